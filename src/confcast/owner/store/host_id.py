"""The id of this config owner among those of all hosts that follow one configuration: `web-3-9f86d081`.

Guaranteed: an owner that is started anew has the id of the one before, as long as the folder and the host's name are
the same. A file that is damaged, or was copied from a host of another name, counts as none: two hosts with one id would
be taken for one, and each would overwrite the other's reports. Stated limit: two machines of one name that were both
made of a copy of the folder have one id.

Rejected: /etc/machine-id (two owners on one machine are two hosts, and images are copied with it), and the name alone
(containers often share one).
"""

from __future__ import annotations

import logging
import os
import re
import socket
from pathlib import Path

from confcast.log_fields import about
from confcast.wire.files import whole_files

FILE = "host_id"
"""The file's name in the state folder."""

_LONGEST_NAME = 63
_DIGITS = 8
_log = logging.getLogger("confcast.owner")


def host_name() -> str:
    """The host's name, for people: letters, digits and any of `. _ -`."""
    name = re.sub(r"[^A-Za-z0-9._-]", "-", socket.gethostname())[:_LONGEST_NAME].strip(".-")
    return name or "host"


def host_id(folder: Path) -> str:
    """The id that is kept in this folder, made now if there is none. Without a folder to write to, it is made anew."""
    name = host_name()
    if (found := _kept(folder)) is not None and found[: -_DIGITS - 1] == name:
        return found
    made = f"{name}-{os.urandom(_DIGITS // 2).hex()}"
    try:
        whole_files.put(folder, FILE, f"{made}\n".encode())
    except OSError as error:
        _log.warning(
            "the id of this host can't be kept in %s, and is made anew with each owner: %s",
            folder,
            error,
            extra=about("host_id_not_kept", path=folder, error=error),
        )
    return made


def _kept(folder: Path) -> str | None:
    try:
        with (folder / FILE).open("rb") as file:
            text = file.read(_LONGEST_NAME + _DIGITS + 3).decode("ascii").removesuffix("\n")
    except (OSError, UnicodeDecodeError):
        return None
    return text if re.fullmatch(r"[A-Za-z0-9._-]{1,63}-[0-9a-f]{8}", text) else None
