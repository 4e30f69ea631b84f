"""JSON files. Declared: ConfigError (`config/sources/file.py`, `config/loader.py`). What holds is in `loading.py`."""

from __future__ import annotations

from tests.fuzz.loading import check, tokens

TOKENS = tokens("json")
GROWS = True


def seeds():
    return [
        b'{"x": "y", "password": "Hunter2", "a": {"number": 3, "when": "2024-01-02T03:04:05Z"}}',
        b'{"b": [{"tree": {"a": [1, 2.5e3, null, "\\u00e9"]}}], "d": {"k": "v"}, "ratio": 0.25}',
    ]


def one(data: bytes) -> None:
    check("json", data)
