"""TOML files. Declared: ConfigError (`config/sources/file.py`, `config/loader.py`). What holds is in `loading.py`."""

from __future__ import annotations

from tests.fuzz.loading import check, tokens

TOKENS = tokens("toml")
GROWS = True


def seeds():
    return [
        (
            b'x = "y"\npassword = "Hunter2"\n[a]\nnumber = 3\nwhen = 2024-01-02T03:04:05Z\n'
            b"[[b]]\ntree = {a.b = [1, 2.5]}\n"
        ),
        b'[d]\n"k" = """\nv"""\n[a.tree]\nx = 0x1F\ny = -inf\nz = 12:30:00.5\n',
    ]


def one(data: bytes) -> None:
    check("toml", data)
