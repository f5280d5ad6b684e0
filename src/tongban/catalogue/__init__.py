"""What there is to ask: members, resources, sharing classes, grading."""
