"""Where the configuration comes from: `app.toml` in the working directory, and what `APP_…` in the environment says."""

from __future__ import annotations

from confcast import ConfigLoader, Environment

loader = ConfigLoader("confcast.examples.frameworks.settings:Settings", "app.toml", Environment("APP_"))
