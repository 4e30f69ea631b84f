"""gunicorn's configuration for the log level's recipe."""

from __future__ import annotations

from confcast import ConfigLoader
from confcast.servers import gunicorn

loader = ConfigLoader("confcast.examples.recipes.log_level:Settings", "app.toml")
gunicorn.install(globals(), loader, watch=False, vote_timeout=10.0)
