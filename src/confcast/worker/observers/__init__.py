"""Observers: which of them are called for a new version, in which order, and what the calls' outcomes are."""
