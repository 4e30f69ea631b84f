"""One small module per server: how a config owner is embedded in it, and how its HUP becomes a reload."""
