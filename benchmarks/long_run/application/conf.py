"""gunicorn's configuration in a long run: all that a server may have at once."""

import os
from pathlib import Path

from confcast import ConfigLoader, Webhook
from confcast.fleet import Gateway
from confcast.servers import gunicorn as confcast_gunicorn

bind = "127.0.0.1:0"
wsgi_app = "app:app"
workers = 4
graceful_timeout = 10
control_socket_disable = True
max_requests = int(os.environ["LONG_RUN_MAX_REQUESTS"])
max_requests_jitter = max_requests // 4

_above = Gateway([os.environ["LONG_RUN_GATEWAY"]], os.environ["LONG_RUN_KEY"])
loader = ConfigLoader("settings:Settings", "app.toml", _above)
confcast_gunicorn.install(
    globals(),
    loader,
    state_dir="state",
    probation=0.2,  # seconds: what it keeps open meanwhile, as an undo would need it, is closed soon
    vote_timeout=20.0,
    precommit_timeout=20.0,
    load_timeout=20.0,
    webhooks=[Webhook(os.environ["LONG_RUN_WEBHOOK"], Path("hook_secret"))],
)
