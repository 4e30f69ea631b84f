"""Files in a runtime directory, or a state folder, that are not what was written: each is as if it was not there.

An input is a byte that says which, and the content: the snapshot file, what a program inherits, `about`, what was good,
what a server gave last, the copy's numbers. Declared: nothing but what each function says.
"""

from __future__ import annotations

import os

import msgspec

from confcast.config.sources import last_known
from confcast.fleet import kept
from confcast.wire.files import about, goodbye_files, inherited_snapshot, snapshot_file
from confcast.wire.files.about import About
from confcast.wire.files.inherited_snapshot import Inherited
from confcast.wire.files.snapshot_file import Saved
from confcast.wire.messages import PROTOCOL
from tests.fuzz import loading

FORM = "msgpack"
TOKENS = [b"left-", b"here-", b"12-34"]

_FOLDER = loading.own_folder(__name__)
_SAVED = Saved(PROTOCOL, b"s" * 16, 3, b"d" * 16, b"payload")
_GOOD = kept.Good(b"{}", "0" * 64, b"payload", 1.5)
_KEPT = last_known.Kept("name", "toml", b"a = 1", "tag", "", 2.5)
_ABOUT = About("app", "a:b", "b", "/a.py", ["File x"], "/", "python", b"f", "")


def seeds():
    yield b"\0" + msgspec.msgpack.encode(_SAVED)
    yield b"\1" + msgspec.msgpack.encode(Inherited(1.5, _SAVED))
    yield b"\2" + msgspec.msgpack.encode(_ABOUT)
    yield b"\3" + msgspec.msgpack.encode(_GOOD)
    yield b"\4" + msgspec.msgpack.encode(_KEPT)
    yield b"\5left-12-34/here-5-6"


def one(data: bytes) -> None:
    which, content = data[:1] or b"\0", data[1:]
    _KINDS[which[0] % len(_KINDS)](content)


def _snapshot(content: bytes) -> None:
    (_FOLDER / snapshot_file.FILE).write_bytes(content)
    found = snapshot_file.load(_FOLDER)
    assert found is None or (isinstance(found, Saved) and found.protocol == PROTOCOL)
    repr(found)


def _inherited(content: bytes) -> None:
    fd = inherited_snapshot._nameless(content)
    status = os.fstat(fd)
    os.environ["CONFCAST_SNAPSHOT_APP"] = f"{fd}:{status.st_dev}:{status.st_ino}"
    found = inherited_snapshot.take("app", "app")
    assert "CONFCAST_SNAPSHOT_APP" not in os.environ
    assert found is None or isinstance(found.age, float)


def _about(content: bytes) -> None:
    (_FOLDER / about.FILE).write_bytes(content)
    found = about.load(_FOLDER)
    assert found is None or isinstance(found.loads, tuple)
    if found is not None:
        about.save(_FOLDER, found)


def _good(content: bytes) -> None:
    (_FOLDER / kept._file("key")).write_bytes(last_known.fingerprint_of(content) + content)
    assert kept.find(_FOLDER, "key") in (None, kept.find(_FOLDER, "key"))


def _kept(content: bytes) -> None:
    last_known.keep_in(_FOLDER)
    (_FOLDER / last_known._file("name")).write_bytes(last_known.fingerprint_of(content) + content)
    found = last_known.find("name", "shown")
    assert found is None or found.name == "name"
    last_known.keep_in(None)


def _goodbyes(content: bytes) -> None:
    """The names of the files are what they say."""
    goodbye_files.make_folder(_FOLDER)
    names = [
        name for name in content.split(b"/")[:5] if name and b"\0" not in name and len(name) < 200 and name[:1] != b"."
    ]
    for name in names:
        (_FOLDER / goodbye_files.FOLDER / os.fsdecode(name)).touch()
    for kind in ("left", "here"):
        assert all(pid >= 0 and since >= 0 for pid, since in goodbye_files.read(_FOLDER, kind))
        goodbye_files.read(_FOLDER, kind, shared=True)
        goodbye_files.clear(_FOLDER, kind)
    goodbye_files.remove_folder(_FOLDER)


_KINDS = (_snapshot, _inherited, _about, _good, _kept, _goodbyes)
