"""Many hosts for tests and benchmarks: those that are a config owner each, and those that only speak as one does."""
