"""Parses TOML, JSON and YAML, a file each: `parse(text)` is fast, `locate(text)` is called only for a message."""
