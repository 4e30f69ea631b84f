"""Reads a schema: its kind, its fields, their types and keys, and which of its values are secrets."""
