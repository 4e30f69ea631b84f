"""What a schema says: its kind, its fields, their types and keys, and where its secrets stand."""
