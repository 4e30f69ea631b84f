"""Observers: who hears of a new version, in which order, and what became of the calls."""
