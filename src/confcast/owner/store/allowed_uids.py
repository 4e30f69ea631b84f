"""The workers' user, where it is not the master's (a server that is started as root, and its `user=` and `group=`).

The owner stays the master's user: its sources may be for that one only. Its run-time folder and all that lies in it
stay that user's too, but for what a worker opens: the control socket and the snapshot file are given to the workers'
uid, 0600 as ever, and the folder may be walked through (0710), not listed, by their group. The control socket serves
both uids, and root's questions.

Rejected: giving the folder itself to the workers (whoever gets hold of one could put links in the place of the journal
or of the next snapshot file, and have root write through them), and the group's permission on the files (`nogroup` and
`www-data` are many services' group).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple


class AllowedUids(NamedTuple):
    """Whom to let in beside this user; -1: nobody."""

    uid: int = -1
    gid: int = -1

    def uids(self) -> frozenset[int]:
        """Whose processes may open a pipe: this user's, and these."""
        return frozenset({os.geteuid(), self.uid} - {-1})

    def open_folder(self, folder: Path) -> None:
        """Let them walk through this folder. Raises OSError."""
        if self.uid >= 0:
            os.chown(folder, -1, self.gid)
            folder.chmod(0o710)
