"""A folder of secrets: any names, any contents. Declared: ConfigError (`config/sources/secrets_dir.py`).

An input is names and contents in turns, each behind its length; a name in brackets is a link to the next name. Nothing
that a file has stands in a message.
"""

from __future__ import annotations

import os

from confcast import ConfigLoader, SecretsDir
from tests.fuzz.bounds import Finding, joined
from tests.fuzz.loading import SENTINEL, Outer, filled, outcome, own_folder, tokens

TOKENS = [*tokens("json"), b"a__number", b"..data", b"password", b"b__0", b"\xff", b"(x"]
_FOLDER = own_folder(__name__)


def seeds():
    yield joined(b"password", b"Hunter2\n", b"a__number", b"3", b"x", b"y\r\n")
    yield joined(b"d", b'{"k": "v"}', b"b", b'[{"number": 1}]', b"(a__text", b"x", b"x", b"\xef\xbb\xbfz")


def one(data: bytes) -> None:
    filled(_FOLDER, data, _put)
    loader = ConfigLoader(Outer, SecretsDir(_FOLDER, allow_empty=True, unknown=("refuse", "warn")[len(data) % 2]))
    candidate, problems = outcome(loader.load)
    for problem in problems:
        if not problem.location.startswith(str(_FOLDER)):
            raise Finding(f"a problem without its file: {problem}")
    quoted = any(SENTINEL in problem.message for problem in problems) or SENTINEL in repr(candidate)
    if quoted and data.count(SENTINEL.encode()) == 1 and not any(SENTINEL in each.name for each in _FOLDER.iterdir()):
        raise Finding(f"a message quotes a secret: {problems}")


def _put(name: bytes, content: bytes) -> None:
    if not name.strip(b"(") or b"/" in name or b"\0" in name + content or name.strip(b"(") in (b".", b".."):
        return
    path = _FOLDER / os.fsdecode(name.lstrip(b"("))
    if name.startswith(b"("):
        path.symlink_to(os.fsdecode(content.replace(b"/", b"") or b"x"))
    else:
        path.write_bytes(content)
