"""Loggers that a program's logging configuration does not switch off unless it names them.

`logging.config.dictConfig` and `fileConfig` disable every logger that exists and that they do not name, unless they are
told otherwise; Django's `LOGGING` goes through the first. Ours exist once confcast is imported, which in a server is
before the application configures logging: nobody would hear of a failing observer, or of a lost config owner. So what
these two functions disable without having named it stays enabled. A configuration that names `confcast`, or one logger
of ours, is obeyed (level, handlers, `propagate`, filters), and so is a program that sets `disabled` on one.

Rejected: enabling them again before each line (nobody could disable one), making them at their first line (those that
have spoken before would be lost), and loggers outside the tree (no configuration could name them).
"""

from __future__ import annotations

import logging
import sys


class _StaysEnabled:
    """What a logger's class has before its own."""

    @property
    def disabled(self) -> bool:
        return bool(self.__dict__.get("disabled", False))

    @disabled.setter
    def disabled(self, value: bool) -> None:
        by = sys._getframe(1).f_globals.get("__name__")
        if not (value and by == "logging.config"):  # which never disables what it names
            self.__dict__["disabled"] = value


def keep_enabled(logger: logging.Logger) -> None:
    """From now on a logging configuration disables this logger only by naming it. May be called again."""
    own = type(logger)
    if not issubclass(own, _StaysEnabled):
        logger.__class__ = type(own.__name__, (_StaysEnabled, own), {})
