"""What the nemesis does to the configuration's file. Each act records what it has written, or could not write.

All is done by one thread, in the order of the plan, so that a file is in one act's hands at a time. An act before may
have made the file a folder, a link, or unreadable: what puts a content there first removes a folder, and is done to a
link's target where that is what a writer in place would do.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from tests.torture import broken, content
from tests.torture.history import Recorder, Written, now
from tests.torture.plan import Scalar

_DATA = "..data"


class _Half(NamedTuple):
    """What is left to be written of a content, to a file that is open, or to be opened again (-1)."""

    file: int
    rest: bytes
    what: dict[str, Any]


class ActsOnFiles:
    """The acts, as methods with the plan's names.

    Args:
        config: The file. It has a valid content, with the number 1.
        recorder: Where the acts are recorded.
    """

    def __init__(self, config: Path, recorder: Recorder) -> None:
        self._config, self._recorder = config, recorder
        self._aside = config.with_name("renamed.toml")
        self._present: dict[str, Any] = {"serial": 1}  # as `Written` has it
        self._half: _Half | None = None
        self._is_away = False
        self._swaps = 0

    # ---- whole texts

    def write(
        self,
        *,
        serial: int,
        veto: str,
        harm: str,
        padding: int,
        how: str,
        listens: int = content.LISTENS,
        empty: bool = False,
    ) -> None:
        """A valid content: by a rename, in place, or by a swap of a folder's link."""
        text = content.text(serial, veto=veto, harm=harm, padding=padding, listens=listens, empty=empty)
        self._put(text.encode(), how, serial=serial, veto=veto, harm=harm, empty=empty)

    def break_file(self, *, kind: str, serial: int, padding: int, how: str) -> None:
        """A text that is no content."""
        has_a_number = kind in ("syntax", "type", "missing")
        self._put(broken.text(kind, serial, padding), how, serial=serial if has_a_number else 0, kind=kind)

    def touch(self) -> None:
        """The same text, written again: no reason for a version."""
        with self._recorded(**self._present, how="touch"):
            self._replace(self._config.read_bytes())

    def _put(self, text: bytes, how: str, **what: Scalar) -> None:
        self._present = what
        with self._recorded(**what, how=how):
            {"replace": self._replace, "rewrite": self._rewrite, "data": self._swap}[how](text)

    def _replace(self, text: bytes) -> None:
        fresh = self._config.with_name("fresh.toml")
        fresh.write_bytes(text)
        self._remove_folder()
        fresh.replace(self._config)

    def _rewrite(self, text: bytes) -> None:
        self._make_writable()
        self._config.write_bytes(text)

    def _swap(self, text: bytes) -> None:
        """As a kubelet does: a new folder beside the old one, and the link to it renamed over the former link."""
        self._swaps += 1
        data = self._config.with_name(_DATA)
        former = data.readlink() if data.is_symlink() else None
        folder = self._config.with_name(f"..{self._swaps}")
        folder.mkdir()
        (folder / self._config.name).write_bytes(text)
        _link(data, folder.name)
        if not self._config.is_symlink():
            self._remove_folder()
            _link(self._config, f"{_DATA}/{self._config.name}")
        if former is not None:
            shutil.rmtree(self._config.with_name(str(former)), ignore_errors=True)

    # ---- a content in two parts

    def cut(self, *, pair: int, kept_open: bool, serial: int, veto: str, harm: str, padding: int) -> None:
        """The first half of a content, in place. Its writer keeps the file open, or comes back for the rest."""
        text = content.text(serial, veto=veto, harm=harm, padding=padding)
        first, rest = broken.halves(text.encode())
        how = "in two, kept open" if kept_open else "in two"
        self._present = {"serial": serial, "veto": veto, "harm": harm}
        with self._recorded(serial=0, kind="cut", how=how):
            self._make_writable()
            file = os.open(self._config, os.O_WRONLY | os.O_TRUNC | os.O_CREAT | os.O_CLOEXEC, 0o600)
            os.write(file, first)
            if not kept_open:
                os.close(file)
            self._half = _Half(file if kept_open else -1, rest, {**self._present, "how": how})

    def complete(self, *, pair: int) -> None:
        """The rest of it."""
        half, self._half = self._half, None
        if half is None:
            return
        with self._recorded(**half.what):
            file = half.file if half.file >= 0 else os.open(self._config, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
            try:
                os.write(file, half.rest)
            finally:
                os.close(file)

    # ---- no file

    def delete(self) -> None:
        """The file is gone."""
        with self._recorded(serial=0, kind="deleted", how="delete"):
            self._remove_folder()
            self._config.unlink(missing_ok=True)

    def rename_away(self, *, pair: int) -> None:
        """The file has another name."""
        with self._recorded(serial=0, kind="deleted", how="rename"):
            self._config.rename(self._aside)
            self._is_away = True

    def rename_back(self, *, pair: int) -> None:
        """And its own again."""
        if not self._is_away:
            return
        self._is_away = False
        with self._recorded(**self._present, how="rename"):
            self._remove_folder()
            self._aside.rename(self._config)

    def make_unreadable(self, *, how: str) -> None:
        """A folder is in its place, or nobody has a right to read it."""
        with self._recorded(serial=0, kind="unreadable", how=how):
            if how == "mode":
                self._config.chmod(0)
            else:
                self._config.unlink(missing_ok=True)
                self._config.mkdir()

    def mend(self) -> None:
        """End what has begun. Whatever the file is then: a content may be written."""
        self.complete(pair=0)
        self.rename_back(pair=0)

    # ---- how

    def _make_writable(self) -> None:
        self._remove_folder()
        with contextlib.suppress(FileNotFoundError):
            self._config.chmod(0o600)

    def _remove_folder(self) -> None:
        if self._config.is_dir() and not self._config.is_symlink():
            self._config.rmdir()

    @contextlib.contextmanager
    def _recorded(self, **what: Any) -> Iterator[None]:
        """The block, as a record. What the system refuses is recorded as that, and is no failure."""
        began, ok = now(), False
        try:
            yield
            ok = True
        except OSError:
            pass
        finally:
            self._recorder.write(Written(**{**what, "at": now(), "by": os.getpid(), "began": began, "ok": ok}))


def _link(path: Path, target: str) -> None:
    fresh = path.with_name("fresh.link")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(target)
    fresh.replace(path)
