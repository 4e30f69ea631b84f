"""Workers may run as another user than the master (a server that is started as root, with `user=` and `group=`).

The owner stays the master's user: its sources may be readable for that user only. The runtime directory and its files
stay the master's user's, too, except those that a worker opens: the control socket and the snapshot file belong to the
workers' uid, 0600 as ever, and their group may walk through the directory (0710), not list it. The control socket
serves both uids, and answers root's queries.

A group may be let in by its name (`confcast serve --group`): then the control socket and what lies beside it for
workers have the group and its permissions, and a note counts only for a process of the user that wrote it. The kernel
lets only the group's members connect; the owner asks it for each peer's groups once more, where the system tells them.

Rejected: giving the directory itself to the workers (a worker that was taken over could put links in the place of the
journal or of the next snapshot file, and make root write through them), and group permissions on the files
without being asked (`nogroup` and `www-data` are the group of many services).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple


class AllowedUids(NamedTuple):
    """The workers' user and group, where they differ from the owner's; -1 for none.

    Attributes:
        uid: The workers' user.
        gid: The workers' group, which may walk through the runtime directory.
        shared: Whether each member of the group may attach, whichever user it is.
    """

    uid: int = -1
    gid: int = -1
    shared: bool = False

    @property
    def group(self) -> int:
        """The group whose members may attach; -1 for none."""
        return self.gid if self.shared else -1

    def uids(self) -> frozenset[int]:
        """The uids whose processes may open a pipe: this user's, and the workers'."""
        return frozenset({os.geteuid(), self.uid} - {-1})

    def open_folder(self, folder: Path) -> None:
        """Let the workers' group walk through this folder. Raises OSError."""
        if self.gid >= 0:
            os.chown(folder, -1, self.gid)
            folder.chmod(0o710)
