"""No room outlives its process for long, however that has ended; and nobody's room is removed while it is used."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.fuzz import rooms
from tests.support.programs import ROOT

_KILLED = """\
import os, sys
from tests.fuzz.rooms import room
with room(sys.argv[1]) as made:
    (made / "file").touch()
    os.kill(os.getpid(), 9)
"""


def test_the_room_of_a_process_that_was_killed_is_removed_by_the_next(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", _KILLED, str(tmp_path)], cwd=ROOT, check=False)
    (left,) = tmp_path.iterdir()
    with rooms.room(str(tmp_path)):
        assert left.exists(), "it is new, and may be about to be locked"
    os.utime(left, (0, 0))
    with rooms.room(str(tmp_path)) as mine:
        assert [*tmp_path.iterdir()] == [mine]
    assert [*tmp_path.iterdir()] == []


def test_a_room_that_is_used_stays_however_old_it_is(tmp_path: Path) -> None:
    with rooms.room(str(tmp_path)) as mine:
        os.utime(mine, (0, 0))
        with rooms.room(str(tmp_path)):
            assert mine.exists()
