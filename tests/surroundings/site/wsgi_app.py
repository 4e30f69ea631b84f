"""A WSGI application whose process is master and worker in one, as mod_wsgi's daemon processes are.

Its server forbids handlers of signals, so a HUP is none of confcast's: the owner watches the file.
"""

from __future__ import annotations

import atexit
import json
import os
from collections.abc import Callable, Iterable
from typing import Any

from settings import settings

from confcast import ConfigLoader, ConfigReloadManager

loader = ConfigLoader("settings:Settings", os.path.abspath("app.toml"))  # noqa: PTH100
manager = ConfigReloadManager(loader, enable_signal_handler=False, vote_timeout=10.0).start()
settings.attach(ignore_sighup=False)
atexit.register(manager.close)


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "application/json")])
    with settings.pin() as config:
        return [json.dumps({"pid": os.getpid(), "number": config.number}).encode()]
