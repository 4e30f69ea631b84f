"""gunicorn's configuration for the storm: four synchronous workers, as gunicorn starts them by default."""

from __future__ import annotations

import os

from benchmarks.server import NAME, SCHEMA
from confcast import ConfigLoader
from confcast.servers import gunicorn

wsgi_app = "benchmarks.storm_app:app"
bind = os.environ["BENCH_BIND"]
workers = 4
loglevel = "warning"

gunicorn.install(globals(), ConfigLoader(SCHEMA, os.environ["BENCH_CONFIG"]), name=NAME, watch=False)
