"""A folder of files: any names, any contents, each read by what its suffix says, the later above the earlier.

An input is names and contents in turns, each behind its length. Declared: ConfigError (`config/sources/files.py`). Each
problem names a file of the folder, or the folder; what is loaded is what its payload decodes to, and no password that
a file has is in a message.
"""

from __future__ import annotations

import os

from confcast import ConfigLoader, Files
from tests.fuzz.bounds import Finding, joined
from tests.fuzz.loading import SENTINEL, Outer, filled, has_a_password, outcome, own_folder, tokens
from tests.unit.config.codec.exactness import assert_exact

TOKENS = [
    *tokens("toml"),
    b"10-a.toml",
    b"9.json",
    b".yaml",
    b".ini",
    b".cfg",
    b".jsonc",
    b"a.toml~",
    b"#a.toml#",
    b".d",
]
_FOLDER = own_folder(__name__)


def seeds():
    yield joined(b"10.toml", b'password = "Hunter2"\n[a]\nnumber = 3\n', b"20.json", b'{"a": {"number": 4}, "b": [{}]}')
    yield joined(b"a.yaml", b"x: y\nd: {k: v}\n", b"b.ini", b"[a]\ntext = z\n", b"c.toml~", b"no")
    yield joined(b"a.jsonc", b'{"x": "y", /* c */}', b"b", b"no suffix", b".hidden.toml", b"x = 1")


def one(data: bytes) -> None:
    filled(_FOLDER, data, _put)
    source = Files(_FOLDER / "*", allow_empty=len(data) % 2 == 1)
    layer, _ = outcome(source.read)
    loader = ConfigLoader(Outer, source)
    candidate, problems = outcome(loader.load)
    for problem in problems:
        if not problem.location.startswith(str(_FOLDER)) and str(_FOLDER) not in problem.message:
            raise Finding(f"a problem without its file: {problem}")
    if candidate is not None:
        assert_exact(loader._codec.decode(candidate.payload), candidate.config)
    said = " ".join(map(str, problems)) + repr(candidate)
    if layer is not None and has_a_password(layer.data) and data.count(SENTINEL.encode()) == 1 and SENTINEL in said:
        raise Finding(f"a message quotes a password: {said}")


def _put(name: bytes, content: bytes) -> None:
    if b"/" in name or b"\0" in name or name in (b"", b".", b".."):
        return
    (_FOLDER / os.fsdecode(name)).write_bytes(content)
