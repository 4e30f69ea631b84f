"""gunicorn's configuration of one host; the last line embeds confcast, which follows the gateway.

    SHOP_GATEWAYS=http://127.0.0.1:9180 gunicorn -c python:confcast.examples.fleet.gunicorn_conf

The environment has the rest: `SHOP_BIND`, `SHOP_STATE` (the state folder) and `SHOP_RING`.
"""

from __future__ import annotations

import os

from confcast import ConfigLoader
from confcast.fleet import Gateway
from confcast.servers import gunicorn as confcast_gunicorn

wsgi_app = "confcast.examples.fleet.app:app"
bind = os.environ.get("SHOP_BIND", "127.0.0.1:8000")
workers = 2
worker_class = "gthread"
threads = 4

loader = ConfigLoader(
    "confcast.examples.fleet.settings:Settings",
    Gateway(os.environ.get("SHOP_GATEWAYS", "http://127.0.0.1:9180").split(","), "shop"),
)

confcast_gunicorn.install(
    globals(),
    loader,
    name="shop",
    state_dir=os.environ.get("SHOP_STATE"),
    probation=1.0,  # short, for a demonstration: 20 seconds are the default
    labels={"ring": os.environ.get("SHOP_RING", "all")},
)
