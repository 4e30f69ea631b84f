"""Parses TOML, JSON and YAML, one file each: `parse(text)` is fast, `locate(text)` is called only for a message."""
