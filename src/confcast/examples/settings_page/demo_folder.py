"""What the command puts into an empty folder: the shop's file, and its secrets in files for this user alone."""

from __future__ import annotations

import secrets
from pathlib import Path

_FILE = """\
# What an editor maintains. The page sets values above it, and leaves this file as it is.
greeting = "Good morning"
per_page = 10
free_from = 50
postage = 5

[mail]
host = "mail.example.com"
port = 587
"""
_SECRETS = ("administrators__day", "administrators__night", "mail__password")


def fill(folder: Path) -> None:
    """Make what is missing, so that a folder that was used before stays as it is."""
    (folder / "secrets").mkdir(mode=0o700, parents=True, exist_ok=True)
    if not (file := folder / "shop.toml").exists():
        file.write_text(_FILE, encoding="utf-8")
    for name in _SECRETS:
        if not (path := folder / "secrets" / name).exists():
            path.touch(mode=0o600)
            path.write_text(secrets.token_urlsafe(32), encoding="utf-8")


def token_files(folder: Path) -> dict[str, Path]:
    """Where the token of each administrator is, by name."""
    found = sorted((folder / "secrets").glob("administrators__*"))
    return {path.name.partition("__")[2]: path for path in found}
