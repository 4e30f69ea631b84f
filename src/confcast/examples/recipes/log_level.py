"""The log level, changed in every worker by a reload; no worker is restarted, and no request is disturbed.

    # app.toml
    [log_levels]
    root = "INFO"
    "app.payments" = "DEBUG"

`initial=True` sets the levels in a worker that has just started, too, so there is only one way to set a level. The
observer is called only when the levels have changed. It runs right after the swap, in each worker's thread for
observers: a reload may return success a moment before the levels are set.

A logger that the file no longer lists gets the default of `logging` again: it inherits its parent's level. gunicorn's
loggers are `"gunicorn.error"` and `"gunicorn.access"`.

    def test_a_level_follows_the_configuration():
        with settings.override(Settings()) as fake:
            fake.push(Settings(log_levels={"root": "DEBUG"}))
            assert logging.getLogger().level == logging.DEBUG
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel

from confcast import Replica

Level = Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]
Levels = Mapping[str, Level]


class Settings(BaseModel, frozen=True):
    """The part of an application's schema that is about logging. An unknown level is refused, with its place."""

    log_levels: dict[str, Level] = {}


settings = Replica(Settings, name="app")


def set_levels(old: Levels | None, new: Levels) -> None:
    """Set the levels, as an observer; `old` is None the first time."""
    for name in (old or {}).keys() - new.keys():
        logging.getLogger(name).setLevel(logging.WARNING if name == "root" else logging.NOTSET)
    for name, level in new.items():
        logging.getLogger(name).setLevel(level)


settings.subscribe(set_levels, select=lambda config: config.log_levels, initial=True)
