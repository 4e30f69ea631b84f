"""`reopen` opens moved log files anew, in this process, as a server's HUP did by replacing its workers.

It looks at every `logging.FileHandler` of the process, made by the server's `--log-config` or by the application. It
skips a handler whose file is still the same: a handler that truncates its file must not do so again. The new file is
opened before the old one is closed; if the new one can't be opened, the handler keeps the old one.

Rejected: recommending `WatchedFileHandler` (it calls stat for each record), and opening the files of known loggers only
(a queue's listener holds handlers that no logger has).
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from typing import Any


def reopen() -> list[str]:
    """Open each moved or deleted log file anew. In any thread, but no signal handler: it takes the handlers' locks.

    Returns:
        A text for each file that could not be opened: its path and the reason.
    """
    return [words for handler in _file_handlers() if (words := _reopen(handler))]


def _file_handlers() -> Iterator[logging.FileHandler]:
    references: list[Any] = list(vars(logging)["_handlerList"])  # logging.shutdown() uses this list
    for handler in (reference() for reference in references):
        if isinstance(handler, logging.FileHandler):
            yield handler


def _reopen(handler: logging.FileHandler) -> str:
    handler.acquire()
    try:
        old: Any = handler.stream
        if old is None or old.closed or not _was_moved(handler.baseFilename, old.fileno()):
            return ""
        handler.stream = handler._open()
        old.close()
    except Exception as error:  # an application's handler may open its file in its own way
        why = getattr(error, "strerror", None) or error
        return f"{handler.baseFilename} can't be opened anew: {why}; it goes on in the file that was moved"
    finally:
        handler.release()
    return ""


def _was_moved(path: str, descriptor: int) -> bool:
    try:
        return not os.path.samestat(os.stat(path), os.fstat(descriptor))  # noqa: PTH116 - `path` is text
    except FileNotFoundError:
        return True
