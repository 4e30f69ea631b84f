"""A small file that can't be written: the error says which, and nothing of it stays."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

_FULL = """
import resource, sys
from pathlib import Path
from confcast.owner.store.handover import write_number
from confcast.owner.store.runtime_lock import LockHolder, RuntimeLock
from confcast.wire.files import whole_files
folder = Path(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))  # as on a full disk, a descriptor takes nothing
try:
    {write}
except OSError as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("write", "name", "stays"),
    [
        ("whole_files.put(folder, 'snapshot', b'x')", "snapshot", []),
        ("RuntimeLock(LockHolder(1, 1, 1, 1, 'app')).acquire(folder / 'lock')", "lock", ["lock"]),
        ("write_number(folder, 1)", "handover.number", ["handover.number"]),
    ],
    ids=["file", "lock", "number"],
)
def test_an_error_names_the_file_though_a_descriptor_fails(tmp_path: Path, write: str, name: str, stays: list[str]):
    script = [sys.executable, "-c", _FULL.format(write=write), str(tmp_path)]
    done = subprocess.run(script, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == f"[Errno 27] File too large: '{tmp_path / name}'\n"
    assert [path.name for path in tmp_path.iterdir()] == stays
