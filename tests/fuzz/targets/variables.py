"""The environment: any variables with the prefix, by name and text.

An input is lines of `NAME=text`; a name that ends in _FILE names a file. Declared: ConfigError
(`config/sources/environment.py`).
"""

from __future__ import annotations

import os
from pathlib import Path

from confcast import ConfigLoader, Environment
from tests.fuzz.bounds import Finding
from tests.fuzz.loading import SENTINEL, Outer, outcome, own_folder, tokens

GROWS = True
TOKENS = [
    *tokens("json"),
    b"A__NUMBER=",
    b"PASSWORD=",
    b"PASSWORD_FILE=",
    b"D__",
    b"B__0__NUMBER=",
    b"X_FILE=",
    b"\n",
    b"__",
]
_FOLDER = own_folder(__name__)
_SECRET = _FOLDER / "secret"
_SECRET.write_text("from a file\n")


def seeds():
    yield b'PASSWORD=Hunter2\nA__NUMBER=3\nX=y\nD={"k": "v"}\nB=[{"number": 1}]\nratio=0.25'
    yield (
        b"PASSWORD_FILE=" + os.fsencode(_SECRET.name) + b"\nA__TREE__K=[1]\nA__WHEN=2024-01-02\nB=a, b\nSERVICE_HOST=1"
    )


def one(data: bytes) -> None:
    variables = {}
    for line in data.split(b"\n"):
        name, found, text = line.partition(b"=")
        if found and b"\0" not in line:
            variables[b"FUZZED_" + name] = text
    lists, files = ("json", "comma")[len(data) % 2], len(data) % 3 == 0
    loader = ConfigLoader(Outer, Environment("FUZZED_", lists=lists, files=files))
    os.environb.update(variables)
    here = Path.cwd()
    os.chdir(_FOLDER)
    try:
        candidate, problems = outcome(loader.load)
    finally:
        os.chdir(here)
        for name in variables:
            del os.environb[name]
    for problem in problems:
        if not problem.location.startswith("environment "):
            raise Finding(f"a problem without its variable: {problem}")
    is_secret = data.count(SENTINEL.encode()) == 1 and SENTINEL.encode() in variables.get(b"FUZZED_PASSWORD", b"")
    if is_secret and (any(SENTINEL in str(each) for each in problems) or SENTINEL in repr(candidate)):
        raise Finding("a message quotes a password")
