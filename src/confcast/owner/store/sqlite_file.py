"""The journal's SQLite file is always whole, readable for its user only, and open in one process.

Guarantees. The path always leads to a whole database, because a new one is made beside it and renamed into place. A
file that is empty, torn or another program's is refused with a reason, and nothing is written to it. Only its user may
read the file (0600, which SQLite passes on to the log). Whatever SQLite, its Python module or the system raises becomes
a `JournalError` that names the file and says what to do.

How. A write-ahead log, so that a commit is one write at the end of one file. `locking_mode=EXCLUSIVE`: there is one
owner, and without the shared-memory index a commit takes two thirds of the time; the kernel releases the lock with the
process, however it died. `synchronous=OFF` is enough to survive processes, since the kernel has their writes by then;
NORMAL flushes now and then, and guarantees nothing for the last commit, so `durable` means FULL.

A log that was deleted while in use would be missed only by the next owner: `keep_log()` looks before each transaction
that takes much in, and opens the file again, which writes all of the lost log into it.

Rejected: a umask while opening (it is the whole process's), and opening a file to see what it is (SQLite takes an empty
file for a new database, and deletes the log beside it).
"""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from confcast.errors import ConfcastError
from confcast.owner.store import store_log
from confcast.owner.store.identity import identity

_APPLICATION = 0x63666A31  # written as "cfj1" in the header: tells a journal from any other SQLite file
_LAYOUT = 1
_SMALLEST = 512  # bytes of SQLite's smallest page: it takes a smaller file for an empty database
_FAULTS = (sqlite3.Error, OSError, OverflowError, ValueError, TypeError)
"""What Python's module raises: beside sqlite3.Error, OverflowError for a number of more than 64 bits, and
UnicodeDecodeError (a ValueError) where damage has reached a message or a name. A row of another shape or type than was
written raises TypeError or ValueError where it is unpacked."""
AHEAD = "-ahead"
"""The ending of the ahead file, which belongs to the file as SQLite's own log does."""

_LOG_PAGES = 128  # SQLite writes the log into the file at 512 KiB: it may be in /dev/shm, which is memory
_LONGEST_LOG = _LOG_PAGES * 4096

_OVERWRITE = "secure_delete=ON"
"""Deleted contents have secrets: SQLite writes zeros over them, also where it could merely mark their pages as free."""

_FLUSH = "PRAGMA wal_checkpoint(TRUNCATE)"

Ask = Callable[..., sqlite3.Cursor]
"""Runs one statement, with the values of its placeholders. Raises what SQLite raises."""


class JournalError(ConfcastError):
    """The journal can't be read or written; the text says which file, what is wrong with it, and what to do."""


class TornJournal(JournalError):
    """The journal can be read, and its content is not what was written: no later try will find it whole."""


class Database:
    """An open journal file. For one thread; no method waits for another process.

    Args:
        path: The file; it is made when it is missing, its folder is not.
        tables: The statements that make the tables of a new file.
        durable: Whether a commit must survive a crash of the machine, too.

    Attributes:
        path: The file, absolute.
        durable: As given.

    Raises:
        JournalError: The file or its folder can't be used, is torn, or is no journal of this version of confcast.
    """

    def __init__(self, path: Path, tables: str, *, durable: bool) -> None:
        self.path = Path(path).absolute()
        self.durable = durable
        self._name, self._log = str(self.path), f"{self.path}-wal"  # a Path takes longer than the look at it
        with self.explained("opened"):
            if not self.path.exists():
                self._make(tables)
            self._open()

    def ask(self, statement: str, values: tuple[object, ...] = ()) -> sqlite3.Cursor:
        """Run one statement, in a transaction of its own unless inside `transaction()`. Raises what SQLite raises."""
        return self._connection.execute(statement, values)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit all statements of the block, or none. Raises what SQLite raises."""
        self.ask("BEGIN IMMEDIATE")
        try:
            yield
            self.ask("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self.ask("ROLLBACK")
            raise

    @contextmanager
    def explained(self, done: str) -> Iterator[None]:
        """Raise a JournalError for what SQLite, its Python module and the system raise in the block."""
        try:
            yield
        except _FAULTS as error:
            misjudged = done != "written" and isinstance(error, ValueError | TypeError)
            if misjudged or tells_of_damage(error):  # no advice: the next owner renames it, and logs that
                raise TornJournal(f"the journal {self.path} can't be {done}: {error}") from error
            raise JournalError(f"the journal {self.path} can't be {done}: {error}{_advice(error)}") from error

    def torn(self, what: str) -> TornJournal:
        """The error for content that can't be what was written."""
        return TornJournal(f"the journal {self.path} is torn: {what}")

    def in_place(self) -> bool:
        """Whether the path still leads to the open file; SQLite goes on committing into a deleted or replaced one."""
        return identity(self._name) == self._identity

    def keep_log(self) -> None:
        """Open the file again if its log was deleted: what is in the lost log is written into the file then.

        Raises JournalError.
        """
        if identity(self._log) != self._log_identity:
            store_log.made_anew(self._log)
            with self.explained("written"):
                self.flush()  # on a full disk this raises, and closing would lose what is in the lost log
            self.reopen()

    def reopen(self) -> None:
        """Close the file, and open it as the next owner would. Raises JournalError."""
        with self.explained("opened again"):
            with suppress(sqlite3.Error):  # often the same fault again; only opening the file matters
                self._connection.close()
            self._open()

    def flush(self) -> None:
        """Write the log into the file, and flush both if the database is durable. Raises what SQLite raises."""
        self.ask(_FLUSH).fetchone()

    def shrink(self) -> None:
        """Give back what large contents have left: a long log, which may have deleted ones, and free pages, if many.

        A failure changes nothing of what is committed: the next call tries again. A file that an earlier confcast has
        made keeps its free pages, for what is written later.
        """
        with suppress(sqlite3.Error, OSError):
            (free,), (pages,) = (self.ask(f"PRAGMA {what}").fetchone() for what in ("freelist_count", "page_count"))
            if free > max(_LOG_PAGES, pages // 2):  # in steady use about one content's pages are free
                self._connection.executescript("PRAGMA incremental_vacuum")  # `execute` frees a single page
            if os.stat(self._log).st_size > _LONGEST_LOG:  # noqa: PTH116 - as above: each reload comes here
                self.flush()

    def copy_to(self, path: Path, complete: Callable[[Ask], None]) -> None:
        """Replace the file at another path by a copy of all that is committed, completed in one transaction.

        Raises what SQLite and the system raise.
        """
        with self._replacing(path) as copy:
            copy.execute(f"PRAGMA {_OVERWRITE}")
            self._connection.backup(copy)  # flushed: a new connection's `synchronous` is FULL
            copy.execute("BEGIN IMMEDIATE")
            complete(copy.execute)
            copy.execute("COMMIT")

    def close(self) -> None:
        """Close the file; does nothing when called again. Writes that fail stay in the log."""
        try:
            self._connection.close()
        except sqlite3.Error as error:
            store_log.left_with_log(self.path, error)

    def _make(self, tables: str) -> None:
        """Make an empty database."""
        with self._replacing(self.path) as connection:
            connection.execute("PRAGMA auto_vacuum=INCREMENTAL")  # before there is a table; for `shrink`
            self._tune(connection)
            header = f"PRAGMA application_id={_APPLICATION}; PRAGMA user_version={_LAYOUT};"
            connection.executescript(f"BEGIN; {header} {tables} COMMIT;")

    @contextmanager
    def _replacing(self, path: Path) -> Iterator[sqlite3.Connection]:
        """A connection to a new file, renamed to this path after the block: a kill leaves the old file or the new."""
        new = path.with_name(path.name + ".new")
        _remove(new)
        os.close(os.open(new, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        try:
            with closing(sqlite3.connect(new, isolation_level=None)) as connection:
                yield connection
                connection.execute(_FLUSH).fetchone()  # closing says nothing of a log that it has no room for
        except BaseException:
            with suppress(OSError):
                _remove(new)  # half a file would keep a full disk full
            raise
        for leftover in companions(path):
            leftover.unlink(missing_ok=True)  # a log without its file would be replayed into the new one
        new.replace(path)
        if self.durable:
            flush_folder(path.parent)

    def _open(self) -> None:
        status = self.path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise JournalError(f"{self.path} is no regular file. Name another path for the journal")
        if status.st_size < _SMALLEST:
            raise self.torn("it is empty" if status.st_size == 0 else f"it has {status.st_size} bytes")
        # One thread at a time uses it: the main thread opens and closes it, the loop's threads work with it between.
        self._connection = sqlite3.connect(self.path, isolation_level=None, timeout=0.0, check_same_thread=False)
        try:
            self._check_header()
            self.path.chmod(0o600)
            self._tune(self._connection)
            (verdict,) = self.ask("PRAGMA integrity_check(1)").fetchone()  # `quick_check` compares no index
            if verdict != "ok":
                raise self.torn(verdict)
            with self.transaction():  # notices a read-only file now, not at the first commit
                pass
            self._identity, self._log_identity = identity(self._name), identity(self._log)
        except BaseException:
            self._connection.close()
            raise

    def _check_header(self) -> None:
        self.ask("PRAGMA locking_mode=EXCLUSIVE")  # before the first read, which would make an index in shared memory
        if self.ask("PRAGMA application_id").fetchone() != (_APPLICATION,):
            raise JournalError(f"{self.path} is a SQLite file, and no journal of confcast. Name another path")
        (layout,) = self.ask("PRAGMA user_version").fetchone()
        if layout != _LAYOUT:
            raise JournalError(
                f"the journal {self.path} has layout {layout}, and this version of confcast reads {_LAYOUT}. "
                "Move it away, or run the version that wrote it"
            )

    def _tune(self, connection: sqlite3.Connection) -> None:
        for setting in (
            "locking_mode=EXCLUSIVE",
            "journal_mode=WAL",
            f"synchronous={'FULL' if self.durable else 'OFF'}",
            f"wal_autocheckpoint={_LOG_PAGES}",
            f"journal_size_limit={_LONGEST_LOG}",
            _OVERWRITE,
        ):
            connection.execute(f"PRAGMA {setting}")


def _advice(error: Exception) -> str:
    text = str(error)
    if isinstance(error, OverflowError):
        return ". Its numbers are used up: move it away, and a new one is begun"
    if isinstance(error, sqlite3.ProgrammingError):
        return ""  # an error has closed the connection, and was reported
    if "full" in text or "No space" in text:
        return ". Free some space where it lies"
    if "locked" in text:
        return ". Another process has it open: one owner at a time"
    return ". Look at its folder: it must exist, and be writable for this user"


def tells_of_damage(error: Exception) -> bool:
    """Whether what SQLite has read is not what was written."""
    damaged = getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
    return damaged or "Could not decode to UTF-8" in str(error)  # Python's module sets no error code here


def companions(path: Path) -> list[Path]:
    """The files that belong to a journal at this path."""
    return [path.with_name(path.name + suffix) for suffix in ("-wal", "-shm", "-journal", AHEAD)]


def _remove(path: Path) -> None:
    for leftover in (path, *companions(path)):
        leftover.unlink(missing_ok=True)


def flush_folder(folder: Path) -> None:
    """Have the names in this folder survive the death of the machine. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
