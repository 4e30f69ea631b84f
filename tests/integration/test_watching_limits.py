"""A system that has no watches left, and a file that is mounted by itself: in namespaces of the test's own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.support.programs import ROOT
from tests.support.settings import write
from tests.support.slow import slow
from tests.support.waiting import DEADLINE


def alone(flags: list[str], before: str, script: str, *arguments: Path) -> subprocess.CompletedProcess[str]:
    """Run a script in namespaces of its own, after a command of the shell that may use the arguments.

    Skips the test where the system allows none of this.
    """
    command = [
        "unshare",
        *flags,
        "sh",
        "-c",
        f'{before} && touch "$0" && exec "$@"',
        str(arguments[0].with_name("begun")),
    ]
    if shutil.which("unshare") is None:
        pytest.skip("there is no unshare here")
    outcome = subprocess.run(
        [*command, sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        timeout=2 * DEADLINE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])},
    )
    if not arguments[0].with_name("begun").exists():
        pytest.skip(f"no namespaces here: {outcome.stderr.strip()}")
    assert outcome.returncode == 0, outcome.stderr
    return outcome


@pytest.mark.parametrize("limit", ["max_inotify_instances", slow("max_inotify_watches")])
@pytest.mark.skipif(not Path("/proc/sys/user/max_inotify_watches").exists(), reason="no such limits here")
def test_without_watches_to_be_had_the_owner_compares_content_and_says_so_once(
    limit: str, config: Path, runtime_folder: Path
) -> None:
    script = """
    import sys
    from pathlib import Path
    from confcast import ConfigLoader, ConfigReloadManager
    from tests.support.settings import SCHEMA, write
    from tests.support.waiting import eventually
    path = Path(sys.argv[1])
    with ConfigReloadManager(ConfigLoader(SCHEMA, path), watch=True) as manager:
        for number in (2, 3):
            write(path, number)
            eventually(lambda: manager.current.number == number, f"number {number}")
        print(manager.version)
    """
    outcome = alone(["--user", "--map-root-user"], f"echo 0 > /proc/sys/user/{limit}", script, config)
    assert outcome.stdout == "3\n"
    told = [line for line in outcome.stderr.splitlines() if "can't listen to" in line]
    assert len(told) == 1, outcome.stderr
    assert str(config.parent) in told[0]
    assert "comparing the files' content every second instead; fs.inotify.max_user_watches" in told[0]


def test_a_file_that_is_mounted_by_itself_is_warned_of_once_at_the_start(config: Path, runtime_folder: Path) -> None:
    """What the warning says is true: the new file is not even seen by a reload."""
    outside = config.with_name("outside.toml")
    write(outside, 7)
    script = """
    import os, signal, sys
    from pathlib import Path
    from confcast import ConfigLoader, ConfigReloadManager
    from tests.support.settings import SCHEMA, write
    from tests.support.waiting import eventually
    path, outside = map(Path, sys.argv[1:])
    with ConfigReloadManager(ConfigLoader(SCHEMA, path), watch=True) as manager:
        write(outside, 8)
        print(manager.reload().result, manager.current.number)
        former = manager.owner_pid
        os.kill(former, signal.SIGKILL)
        eventually(lambda: manager.owner_pid != former and bool(manager.reload()), "the next owner")
        print(manager.current.number)
    """
    outcome = alone(["--mount"], f'mount --bind "{outside}" "{config}"', script, config, outside)
    assert outcome.stdout == "unchanged 7\n7\n"
    told = [line for line in outcome.stderr.splitlines() if "mounted as a single file" in line]
    assert len(told) == 1, outcome.stderr
    assert f": {config}; what is put in the place of such a file outside is never seen here" in told[0]
    assert told[0].endswith("mount the directory instead")
