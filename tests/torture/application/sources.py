"""What is loaded: `--loader sources:loader`."""

from __future__ import annotations

from confcast import ConfigLoader

loader = ConfigLoader("settings:Settings", "app.toml")
