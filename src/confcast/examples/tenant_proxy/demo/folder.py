"""The demonstration's folder: the configuration, files of keys, and configurations to put in its place.

Guarantees: a key is in no file but its own, which only its owner may read.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from pathlib import Path

TENANTS = ("acme", "bolt", "cargo", "delta")

_TENANTS = """
[tenants.acme]
keys = ["${file:keys/acme}"]
limits = { per_second = 100.0, burst = 1000 }

[tenants.bolt]
keys = ["${file:keys/bolt}"]

[tenants.cargo]
keys = ["${file:keys/cargo}"]
limits = { per_second = 1.0, burst = 3, at_once = 1 }

[tenants.delta]
keys = ["${file:keys/delta}"]
upstreams = ["text"]
"""
_ROTATED = ("${file:keys/acme}", '${file:keys/acme.next}", "${file:keys/acme}')


def fill(folder: Path, urls: Mapping[str, str]) -> Path:
    """Write all files; existing ones are replaced.

    Args:
        folder: Where; it is made, if need be.
        urls: Of the stubs `text`, `images`, `moved` and `failing`, where they serve.

    Returns:
        The configuration's path.
    """
    keys = folder / "keys"
    keys.mkdir(mode=0o700, parents=True, exist_ok=True)
    for tenant in TENANTS:
        _write_key(keys / tenant)
        _write_key(keys / f"{tenant}.next")
    text, images = urls["text"], urls["images"]
    contents = {
        "proxy.toml": configuration(text=text, images=images),
        "moved.toml": configuration(text=urls["moved"], images=images),
        "rotated.toml": configuration(text=urls["moved"], images=images).replace(*_ROTATED),
        "failing.toml": configuration(text=urls["failing"], images=images),
        "away.toml": configuration(text="http://127.0.0.1:1", images=images),
        "wrong.toml": configuration(text="127.0.0.1:8080", images=images),
        "elsewhere.toml": configuration(text="http://text.example", images=images),
        "emptied.toml": "[upstreams]\n" + _TENANTS.replace('upstreams = ["text"]\n', ""),
    }
    for name, content in contents.items():
        (folder / name).write_text(content, encoding="utf-8")
    return folder / "proxy.toml"


def configuration(**urls: str) -> str:
    """The text of the configuration with these upstreams."""
    upstreams = "\n".join(f'[upstreams.{name}]\nurl = "{url}"\nhealth = "/health"\n' for name, url in urls.items())
    return upstreams + _TENANTS


def _write_key(file: Path) -> None:
    file.touch(mode=0o600)
    file.write_text(f"{file.name}-{secrets.token_urlsafe(24)}", encoding="utf-8")
