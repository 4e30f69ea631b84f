"""What a configuration is: the schema, the sources it is loaded from, its bytes, and what differs between two."""
