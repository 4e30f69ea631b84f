"""gunicorn's configuration; the last line embeds confcast.

    SHOP_FOLDER=/srv/shop gunicorn -c python:confcast.examples.settings_page.gunicorn_conf

`preload_app` imports the application once, in the master, and forks it: so nothing in it may read the configuration
while it is imported. `state_dir` keeps what was saved over a stop of the server. The environment has `SHOP_FOLDER`,
`SHOP_BIND` and `SHOP_PATIENCE`.
"""

from __future__ import annotations

import os
from pathlib import Path

from confcast import ConfigLoader, SecretsDir
from confcast.servers import gunicorn

folder = Path(os.environ.get("SHOP_FOLDER", ".")).resolve()

wsgi_app = "confcast.examples.settings_page.app:app"
bind = os.environ.get("SHOP_BIND", "127.0.0.1:8000")
preload_app = True
workers = 3
worker_class = "gthread"
threads = 4  # a save waits for every worker: it must not keep others waiting

loader = ConfigLoader(
    "confcast.examples.settings_page.settings:Settings", folder / "shop.toml", SecretsDir(folder / "secrets")
)

gunicorn.install(
    globals(),
    loader,
    name="shop",
    state_dir=folder / "state",
    vote_timeout=float(os.environ.get("SHOP_PATIENCE", "2")),  # seconds for which a save waits for a silent worker
)
