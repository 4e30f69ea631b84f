"""Log files that were moved away are opened anew, in this process: what a server's HUP does by replacing its workers.

Every `logging.FileHandler` of the process counts, whoever made it: the server's `--log-config`, or the application. One
whose file is the same as before is left alone, so that a handler that truncates its file does so no second time. The
new file is open before the old one is closed; where it can't be opened the old one goes on.

Rejected: telling `WatchedFileHandler` to everybody (it looks at the file for each record), and opening the files of
known loggers only (a queue's listener holds handlers that no logger has).
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from typing import Any


def reopen() -> list[str]:
    """Open what was moved away or deleted. In any thread; not in a signal handler, for it takes the handlers' locks.

    Returns:
        What could not be opened, in words: the path and why.
    """
    return [words for handler in _file_handlers() if (words := _reopen(handler))]


def _file_handlers() -> Iterator[logging.FileHandler]:
    references: list[Any] = list(vars(logging)["_handlerList"])  # what logging.shutdown() goes through
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
    except Exception as error:  # a handler of the application's may open its file as it likes
        why = getattr(error, "strerror", None) or error
        return f"{handler.baseFilename} can't be opened anew: {why}; it goes on in the file that was moved"
    finally:
        handler.release()
    return ""


def _was_moved(path: str, descriptor: int) -> bool:
    try:
        return not os.path.samestat(os.stat(path), os.fstat(descriptor))  # noqa: PTH116 - it is text here
    except FileNotFoundError:
        return True
