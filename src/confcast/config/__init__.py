"""Loads, validates, serialises and compares configurations: sources and a schema become a candidate and its bytes."""
