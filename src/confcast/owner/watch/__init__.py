"""Watching the sources: a hint that their content may have changed, and no more. Reading is the truth."""
