"""INI files. Declared: ConfigError (`config/sources/file.py`, `config/loader.py`). What holds is in `loading.py`."""

from __future__ import annotations

import configparser
import contextlib

from tests.fuzz.loading import check, tokens

TOKENS = tokens("ini")

OPTIONS = [{}, {"nested": True}, {"interpolate": True}, {"nested": True, "interpolate": True, "table": "a"}]
"""How a file is read, by its length."""
GROWS = True


def seeds():
    return [
        b"[a]\nnumber = 3\ntext = one\n  two\n[d]\nk: v\n; c\n[DEFAULT]\nz = 1\n",
        b"[a]\ntext = %(z)s\n[a.tree]\nx = 1\n[DEFAULT]\nz = %%y\n",
        b"[b]\n",
    ]


def one(data: bytes) -> None:
    check("ini", data, **OPTIONS[len(data) % len(OPTIONS)])


def floor(data: bytes) -> None:
    """What configparser does with the text by itself."""
    with contextlib.suppress(configparser.Error):
        configparser.RawConfigParser(strict=False).read_string(data.decode(errors="replace"))
