"""YAML files. Declared: ConfigError (`config/sources/file.py`, `config/loader.py`). What holds is in `loading.py`."""

from __future__ import annotations

from tests.fuzz.loading import check, tokens

TOKENS = tokens("yaml")
GROWS = True


def seeds():
    return [
        (
            b"x: y\npassword: Hunter2\n"
            b"a: {number: 3, when: 2024-01-02 03:04:05}\nb:\n- tree: &t {a: [1, 2.5]}\n- tree: *t\n"
        ),
        b"d:\n  k: |\n    v\n  l: >-\n    w\na: {<<: {number: 1}, text: \"\\u00e9\"}\nmode: 'on'\n",
        b"x: !env NAME:-default\npassword: !file /nowhere/Hunter2\n",
    ]


def one(data: bytes) -> None:
    check("yaml", data, tags=("env",) if len(data) % 2 else ())
