"""gunicorn's configuration for both manifests. The environment names its folders, in the variables that systemd sets.

- `CONFIGURATION_DIRECTORY` holds app.toml: `ConfigurationDirectory=`, or the folder in which the ConfigMap is mounted.
- `RUNTIME_DIRECTORY` is the runtime directory: `RuntimeDirectory=`. `CONFCAST_RUNTIME_DIR` overrides it.
- `STATE_DIRECTORY` keeps versions and history over a stop: `StateDirectory=`. It may be unset.
"""

from __future__ import annotations

import os
from pathlib import Path

from confcast import ConfigLoader, Environment
from confcast.servers import gunicorn

wsgi_app = "confcast.examples.frameworks.flask_app:app"
bind = os.environ.get("BIND", "127.0.0.1:8000")
workers = 2
worker_class = "gthread"
threads = 4
graceful_timeout = 20
worker_tmp_dir = os.environ.get("CONFCAST_RUNTIME_DIR") or os.environ.get("RUNTIME_DIRECTORY")  # else /tmp is used
control_socket_disable = True  # gunicorn would make it in the home folder, which a service lacks

gunicorn.install(
    globals(),
    ConfigLoader(
        "confcast.examples.frameworks.settings:Settings",
        Path(os.environ["CONFIGURATION_DIRECTORY"], "app.toml"),
        Environment("APP_"),
    ),
    state_dir=os.environ.get("STATE_DIRECTORY"),
)
