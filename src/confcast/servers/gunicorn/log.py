"""gunicorn's error log gets confcast's lines: those of the owner, of the master and of the workers.

The owner writes to the error log's file itself, by a descriptor that the master has opened. When the file is rotated
gunicorn makes a new one at USR1 and HUP, and the master has the owner open that one (master_signals.py). If the error
log is no file (the default, a syslog), the owner's lines go to standard error; a daemon has closed that, so its log
gets a warning.

In an application that does not configure logging, logging's last resort would write the lines of the master and the
workers without time and level. They go to gunicorn's error log instead, as long as the root logger has no handler.

Rejected: a pipe to the master for the owner's lines (the master has no thread to read it, and a full pipe would block
the owner), and forwarding lines that the application's own logging gets (each line would be written twice).
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from confcast.log_fields import about

_STANDARD_ERROR = 2


class Forward(logging.Handler):
    """A log handler that gives records to gunicorn's error log, in the master and in the workers that it forks.

    Args:
        log: gunicorn's logger object.
    """

    def __init__(self, log: Any) -> None:
        super().__init__()
        self.log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Forward a record, unless the application has configured logging, or gunicorn's `loglevel` excludes it."""
        if not logging.root.handlers and self.log.error_log.isEnabledFor(record.levelno):
            self.log.error_log.handle(record)


def forward(server: Any) -> None:
    """Forward the records of confcast's loggers to the error log. May be called again, for another configuration."""
    logger = logging.getLogger("confcast")
    if not any(isinstance(handler, Forward) for handler in logger.handlers):
        logger.addHandler(Forward(server.log))


def file_of(server: Any, cfg: Any = None) -> str:
    """The error log's path; empty if it is no file. `cfg`: the settings that gunicorn is about to take over."""
    if cfg is not None and cfg.errorlog != server.cfg.errorlog:
        return str(Path(cfg.errorlog).absolute()) if cfg.errorlog != "-" else ""
    handler = _file_handler(server)
    return handler.baseFilename if handler is not None else ""


def descriptor_of(server: Any) -> int:
    """The descriptor for the output of an owner that starts now. Raises ValueError if the file is closed."""
    handler = _file_handler(server)
    if handler is None or handler.stream is None:
        return _STANDARD_ERROR
    return handler.stream.fileno()


def check_files() -> None:
    """Try to open every log file, before gunicorn opens them anew: it closes each first, and could log no failure.

    Raises:
        OSError: A log file can't be opened.
    """
    for name in list(logging.root.manager.loggerDict):
        for handler in logging.getLogger(name).handlers:
            if isinstance(handler, logging.FileHandler) and handler.stream is not None:
                with open(handler.baseFilename, "ab"):  # noqa: PTH123 - logging opens it so
                    pass


def keep_files_that_can_t_be_reopened(log: Any) -> None:
    """Log a failure to open log files anew, which would end the process, and keep the files. For a worker.

    Args:
        log: gunicorn's logger object, in this process.
    """
    reopen = log.reopen_files

    def reopen_files() -> None:
        try:
            check_files()
            reopen()
        except OSError as error:
            log.error(
                "confcast: the log files stay as they are: %s", error, extra=about("log_file_not_reopened", error=error)
            )

    log.reopen_files = reopen_files


def warn_of_a_daemon_without_a_log(server: Any) -> None:
    """Log a warning if the owner's lines are lost, since a daemon has closed its standard error."""
    if server.cfg.daemon and not file_of(server) and not server.cfg.enable_stdio_inheritance:
        server.log.warning(
            "confcast: the config owner of a daemon logs into the errorlog file, and there is none: what became of a "
            "reload is told by `python -m confcast status` only",
            extra=about("owner_output_lost"),
        )


def _file_handler(server: Any) -> logging.FileHandler | None:
    handlers = server.log.error_log.handlers
    return next((handler for handler in handlers if isinstance(handler, logging.FileHandler)), None)
