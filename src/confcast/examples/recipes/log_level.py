"""The log level, changed in every worker by a reload; no worker is restarted, and no request is disturbed.

    # app.toml
    [log_levels]
    root = "INFO"
    "app.payments" = "DEBUG"

`confcast.logging.follow` sets them in a worker that has just started, too, and gives each log record the version that
its request had, for a format with `%(config_version)s`. It runs right after the swap, in each worker's thread for
observers: a reload may return success a moment before the levels are set.

A logger that the file no longer lists gets the default of `logging` again: it inherits its parent's level. gunicorn's
loggers are `"gunicorn.error"` and `"gunicorn.access"`.

    def test_a_level_follows_the_configuration():
        with settings.override(Settings()) as fake:
            fake.push(Settings(log_levels={"root": "DEBUG"}))
            assert logging.getLogger().level == logging.DEBUG
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel

from confcast import Replica
from confcast.logging import follow

Level = Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]


class Settings(BaseModel, frozen=True):
    """The part of an application's schema that is about logging. An unknown level is refused, with its place."""

    log_levels: dict[str, Level] = {}


settings = Replica(Settings, name="app")


def as_logging_has_it(config: Settings) -> dict[str, Any]:
    """The levels as `logging.config.dictConfig` takes them."""
    levels = {name: {"level": level} for name, level in config.log_levels.items()}
    root = {"root": levels.pop("root")} if "root" in levels else {}
    return {"incremental": True, "loggers": levels, **root}


follow(settings, as_logging_has_it)
