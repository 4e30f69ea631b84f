"""gunicorn's configuration for the search service; the last line embeds confcast.

    gunicorn -c python:confcast.examples.leindex.gunicorn_conf

`kill -HUP` of the master reloads the YAML file in every worker, and replaces none of them. The environment has the
rest: `LEINDEX_CONFIG` (the YAML file, by default `~/.leindex/mcp_config.yaml`), `LEINDEX_FOLDER` (what is indexed, by
default `~/.leindex/texts`), `LEINDEX_BIND` and `LEINDEX_WORKERS`.
"""

from __future__ import annotations

import os

from confcast.examples.leindex.config import GlobalConfigManager
from confcast.servers import gunicorn as confcast_gunicorn

wsgi_app = "confcast.examples.leindex.app:app"
bind = os.environ.get("LEINDEX_BIND", "127.0.0.1:8000")
workers = int(os.environ.get("LEINDEX_WORKERS", "4"))
worker_class = "gthread"  # sync workers close every connection after one answer
threads = 8
keepalive = 30

confcast_gunicorn.install(globals(), GlobalConfigManager(os.environ.get("LEINDEX_CONFIG")))
