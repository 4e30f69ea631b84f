"""An application with the log level's recipe: each request writes a line that only a DEBUG level shows."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable
from typing import Any

import confcast.examples.recipes.log_level  # noqa: F401 - importing it subscribes

logging.basicConfig(format="%(levelname)s %(name)s %(message)s")


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    logging.getLogger("shop").debug("served by %d.", os.getpid())
    names = ["root", "shop", "shop.till"]
    levels = {name: logging.getLevelName(logging.getLogger(name).getEffectiveLevel()) for name in names}
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps({"pid": os.getpid(), **levels}).encode()]
