"""The loader: it reads `app.toml` in the working directory, then the variables `APP_…` of the environment."""

from __future__ import annotations

from confcast import ConfigLoader, Environment

loader = ConfigLoader("confcast.examples.frameworks.settings:Settings", "app.toml", Environment("APP_"))
