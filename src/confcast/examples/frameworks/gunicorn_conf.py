"""gunicorn's configuration for every application of this folder; the last line embeds confcast.

gunicorn -c python:confcast.examples.frameworks.gunicorn_conf confcast.examples.frameworks.flask_app:app
gunicorn -c python:confcast.examples.frameworks.gunicorn_conf -k asgi confcast.examples.frameworks.fastapi_app:app
"""

from __future__ import annotations

from confcast.examples.frameworks.sources import loader
from confcast.servers import gunicorn

workers = 4

gunicorn.install(globals(), loader)
