"""Reads sources, each a `msgspec.Struct` with a `read() -> Layer` (see `layer.Source`), and merges their layers."""
