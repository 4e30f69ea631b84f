"""gunicorn with aiohttp's worker class."""

from confcast import ConfigLoader
from confcast.servers import gunicorn

wsgi_app = "aiohttp_app:app"
worker_class = "aiohttp.GunicornWebWorker"
workers = 2
loader = ConfigLoader("settings:Settings", "app.toml")
gunicorn.install(globals(), loader, watch=False, vote_timeout=10.0)
