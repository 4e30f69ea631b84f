"""gunicorn's configuration for the database pool's recipe."""

from __future__ import annotations

from confcast import ConfigLoader
from confcast.servers import gunicorn

worker_class = "gthread"
threads = 2
loader = ConfigLoader("confcast.examples.recipes.database_pool:Settings", "app.toml")
gunicorn.install(globals(), loader, watch=False, vote_timeout=20.0)
