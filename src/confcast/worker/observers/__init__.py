"""Observers: which are called for a new version, in which order, and what became of the calls."""
