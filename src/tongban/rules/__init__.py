"""Questions a lawyer can read: rule text, vocabulary, compiler, engines, verdicts."""
