"""The places values come from. A source is a `msgspec.Struct` with `read() -> Layer`; see `layer.Source`."""
