"""JSONC files. Declared: ConfigError (`config/sources/file.py`, `config/loader.py`). What holds is in `loading.py`."""

from __future__ import annotations

from tests.fuzz.loading import check, tokens

TOKENS = tokens("jsonc")
GROWS = True


def seeds():
    return [
        b'// c\n{"x": "y", /* d */ "password": "Hunter2", "a": {"number": 3,},}',
        b'{"b": [{"tree": {"a": [1, 2.5e3, null, "\\u00e9",]}}], // e\n "d": {"k": "v"}}',
    ]


def one(data: bytes) -> None:
    check("jsonc", data)
