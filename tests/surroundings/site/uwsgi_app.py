"""An application of uWSGI's: its master imports it and has the manager, and each worker attaches after its fork.

Within uWSGI `sys.executable` is uWSGI, so the owner's interpreter is named; and a HUP is uWSGI's own reload, so
`confcast reload` is confcast's.
"""

from __future__ import annotations

import atexit
import json
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from settings import settings
from uwsgidecorators import postfork

from confcast import ConfigLoader, ConfigReloadManager

manager = ConfigReloadManager(
    ConfigLoader("settings:Settings", "app.toml"),
    enable_signal_handler=False,
    watch=False,
    vote_timeout=10.0,
    executable=Path(sys.prefix, "bin", "python"),
).start()
atexit.register(manager.close)
postfork(settings.attach)


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "application/json")])
    with settings.pin() as config:
        return [json.dumps({"pid": os.getpid(), "number": config.number}).encode()]
