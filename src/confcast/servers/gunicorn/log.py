"""gunicorn's error log gets what confcast says: the owner's verdicts, and the lines of the master and the workers.

The owner writes to the error log's file itself, by a descriptor of the master's. When the file is rotated the owner
goes on in the next one, which gunicorn makes at USR1 and HUP; the master tells the owner by a USR1 (master_signals.py).
Where the error log is no file (the default, a syslog) the owner's lines go to standard error; a daemon's leads nowhere,
which is said.

What is logged in the master and in workers would come out bare, by logging's last resort, in an application that
does not configure logging. It goes to gunicorn's error log instead, as long as nobody else hears it.

Rejected: a pipe to the master for the owner's lines (it has no thread to read it, and a full pipe would hold up the
owner), and passing on what an application's own logging gets (each line would be there twice).
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

_STANDARD_ERROR = 2


class Forward(logging.Handler):
    """Gives records to gunicorn's error log, in the master and in the workers that it forks.

    Args:
        log: gunicorn's logger object.
    """

    def __init__(self, log: Any) -> None:
        super().__init__()
        self.log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Pass it on, unless the application has configured logging, or gunicorn's `loglevel` leaves it out."""
        if not logging.root.handlers and self.log.error_log.isEnabledFor(record.levelno):
            self.log.error_log.handle(record)


def listen(server: Any) -> None:
    """Have the error log get what confcast's loggers get. May be called again, for another configuration."""
    logger = logging.getLogger("confcast")
    if not any(isinstance(handler, Forward) for handler in logger.handlers):
        logger.addHandler(Forward(server.log))


def file_of(server: Any, cfg: Any = None) -> str:
    """The error log's path; empty where it is no file. `cfg`: of settings that gunicorn is about to take over."""
    if cfg is not None and cfg.errorlog != server.cfg.errorlog:
        return str(Path(cfg.errorlog).absolute()) if cfg.errorlog != "-" else ""
    handler = _file_handler(server)
    return handler.baseFilename if handler is not None else ""


def descriptor_of(server: Any) -> int:
    """Where an owner's output goes that starts now. Raises ValueError when the file is closed."""
    handler = _file_handler(server)
    if handler is None or handler.stream is None:
        return _STANDARD_ERROR
    return handler.stream.fileno()


def check_files() -> None:
    """Before all log files are opened anew. gunicorn closes each of them first, and can log nothing when one is lost.

    Raises:
        OSError: One can't be opened.
    """
    for name in list(logging.root.manager.loggerDict):
        for handler in logging.getLogger(name).handlers:
            if isinstance(handler, logging.FileHandler) and handler.stream is not None:
                with open(handler.baseFilename, "ab"):  # noqa: PTH123 - as logging opens it
                    pass


def keep_what_can_t_be_reopened(log: Any) -> None:
    """In a worker: however gunicorn has its log opened anew there, an error would end the process.

    Args:
        log: gunicorn's logger object, in a copy of this process.
    """
    reopen = log.reopen_files

    def reopen_files() -> None:
        try:
            check_files()
            reopen()
        except OSError as error:
            log.error("confcast: the log files stay as they are: %s", error)

    log.reopen_files = reopen_files


def warn_of_a_mute_daemon(server: Any) -> None:
    """A daemon has closed its standard error."""
    if server.cfg.daemon and not file_of(server) and not server.cfg.enable_stdio_inheritance:
        server.log.warning(
            "confcast: the config owner of a daemon logs into the errorlog file, and there is none: what became of a "
            "reload is told by `python -m confcast status` only"
        )


def _file_handler(server: Any) -> logging.FileHandler | None:
    handlers = server.log.error_log.handlers
    return next((handler for handler in handlers if isinstance(handler, logging.FileHandler)), None)
