"""The configuration that grows: a table of backends with five fields each, as text in YAML, TOML and JSON.

All text is plain: one key with one value on each line, as far as the format goes.
"""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel

COUNTS = (3, 90, 900, 9000)
"""In a file of 0.3, 9, 93 and 950 KB of YAML."""


class Backend(BaseModel, frozen=True):
    """One entry of the table that grows."""

    host: str
    port: int
    weight: float = 1.0
    enabled: bool = True
    tags: tuple[str, ...] = ()


class Settings(BaseModel, frozen=True):
    """The schema."""

    version: str
    limit: int
    backends: dict[str, Backend]


def values(count: int, start: int = 0) -> dict[str, Any]:
    """So many backends, as plain data; the start tells one of several such documents from the others."""
    backends = {
        f"b{n}": {"host": f"10.0.{n // 256}.{n % 256}", "port": 8000 + n % 1000, "weight": 1.5, "enabled": True}
        | {"tags": ["a", "b"]}
        for n in range(start * count, (start + 1) * count)
    }
    return {"version": "2.0", "limit": 1, "backends": backends}


def with_port(data: dict[str, Any], port: int) -> dict[str, Any]:
    """The same with another port in one backend, in the middle; what else it holds is not copied."""
    middle = [*data["backends"]][len(data["backends"]) // 2]
    return data | {"backends": data["backends"] | {middle: data["backends"][middle] | {"port": port}}}


def yaml_text(data: dict[str, Any]) -> str:
    """As YAML."""
    import yaml

    written: str = yaml.dump(data, Dumper=yaml.CSafeDumper, sort_keys=False)
    return written


def toml_text(data: dict[str, Any]) -> str:
    """As TOML."""
    lines = [f'version = "{data["version"]}"', f"limit = {data['limit']}"]
    for name, backend in data["backends"].items():
        lines += [f"[backends.{name}]", *(f"{key} = {json.dumps(value)}" for key, value in backend.items())]
    return "\n".join(lines) + "\n"


def json_text(data: dict[str, Any]) -> str:
    """As JSON, one value on each line."""
    return json.dumps(data, indent=1)
