"""Runs an application on the settings file that it ships, and edits that file: `python run.py NAME`.

`NAME` is a module here with `Settings`, `sources()`, `build(config)`, `ask(application)` and `edits()`. Each line of
the output is what the application answers, in JSON: at first, and after each edit, without being started again.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import threading
from typing import Any

from confcast import ConfigLoader, ConfigReloadManager, Replica


def main(name: str) -> None:
    module = importlib.import_module(name)
    settings: Replica[Any] = Replica(module.Settings, name=name)
    application = settings.derive(module.build, lambda config: config)
    changed = threading.Event()
    settings.subscribe(lambda old, new: changed.set())
    with ConfigReloadManager(ConfigLoader(f"{name}:Settings", *module.sources()), name=name, probation=0) as manager:
        settings.attach(manager.address)
        say(module.ask(application.current))
        for edit in module.edits():
            changed.clear()
            edit()
            assert changed.wait(30), manager.status()
            with settings.pin():
                say(module.ask(application.current))
        settings.close()


def say(answer: Any) -> None:
    print(json.dumps(answer), flush=True)


def answer_of(application: Any, method: str, path: str) -> tuple[str, dict[str, str], bytes]:
    """What a WSGI application answers to a request: status, headers and body."""
    from wsgiref.util import setup_testing_defaults

    environ: dict[str, Any] = {"REQUEST_METHOD": method, "PATH_INFO": path}
    setup_testing_defaults(environ)
    started: list[Any] = []
    body = b"".join(application(environ, lambda *arguments: started.append(arguments)))
    return started[0][0], {name.lower(): value for name, value in started[0][1]}, body


if __name__ == "__main__":
    main(sys.argv[1])
    os._exit(0)  # isso leaves a thread that never ends
