"""Workers may run as another user than the master (a server that is started as root, with `user=` and `group=`).

The owner stays the master's user: its sources may be readable for that user only. The runtime directory and its files
stay the master's user's, too, except those that a worker opens: the control socket and the snapshot file belong to the
workers' uid, 0600 as ever, and their group may walk through the directory (0710), not list it. The control socket
serves both uids, and answers root's queries.

Rejected: giving the directory itself to the workers (a worker that was taken over could put links in the place of the
journal or of the next snapshot file, and make root write through them), and group permissions on the files (`nogroup`
and `www-data` are the group of many services).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple


class AllowedUids(NamedTuple):
    """The workers' user and group, where they differ from the owner's; -1 for none."""

    uid: int = -1
    gid: int = -1

    def uids(self) -> frozenset[int]:
        """The uids whose processes may open a pipe: this user's, and the workers'."""
        return frozenset({os.geteuid(), self.uid} - {-1})

    def open_folder(self, folder: Path) -> None:
        """Let the workers' group walk through this folder. Raises OSError."""
        if self.uid >= 0:
            os.chown(folder, -1, self.gid)
            folder.chmod(0o710)
