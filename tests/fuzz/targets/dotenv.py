"""`.env` files, with interpolation and without. Declared: ConfigError (`config/sources/dotenv.py`).

What holds is in `loading.py`; a file may name what it likes, and no variable of this process is changed.
"""

from __future__ import annotations

import io
import logging
import os

import dotenv

from confcast import Dotenv
from tests.fuzz.loading import FOLDER, Text, named, tokens

logging.getLogger("dotenv").setLevel(logging.CRITICAL)  # it warns of each line that is none
GROWS = True
TOKENS = [
    *tokens(""),
    *(
        b"export ",
        b"${",
        b"}",
        b":-",
        b"='",
        b'="',
        b"\\'",
        b" # ",
        b"\r\n",
        b"A__NUMBER=",
        b"PASSWORD=",
        b"D='",
        b"B=[",
        b"=\n",
    ),
]


def seeds():
    yield b"PASSWORD=Hunter2\nA__NUMBER=3\nexport X='y z' # c\nA__WHEN=2024-01-02T03:04:05Z\n"
    yield b'D={"k": "v"}\nB=[{"number": 1}]\nX="a\\nb"\nRATIO=0.25\nMODE=on\n'
    yield b"X=one\nA__TEXT=${X}-${NOPE:-two}-${HOME}\nPASSWORD=${X}Hunter2\nA__TREE__K=1\n"


def one(data: bytes) -> None:
    path, before = FOLDER / ".env", dict(os.environ)
    path.write_bytes(data)
    named(Dotenv(path, interpolate=len(data) % 2 == 1, allow_empty=True, unknown="warn"), Text(str(path), data))
    assert dict(os.environ) == before


def floor(data: bytes) -> None:
    """What python-dotenv does with the text by itself."""
    text = data.decode(errors="replace")
    dotenv.dotenv_values(stream=io.StringIO(text), interpolate=False)
