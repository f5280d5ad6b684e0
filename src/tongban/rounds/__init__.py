"""Many applicants at once: the round, its results, freeze and draw."""
