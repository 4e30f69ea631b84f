"""A program that executes itself anew starts its own owner anew; one that inherited an address reads whose it is."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from confcast import ConfigLoader, ConfigReloadManager, initialize_reload_manager
from confcast.master import process_wide
from tests.support.fixtures import Manager
from tests.support.programs import ROOT, run
from tests.support.settings import SCHEMA, Settings

AGAIN = """
    import os, signal, sys
    from pathlib import Path
    from confcast import ConfigLoader, initialize_reload_manager
    from tests.support.settings import SCHEMA, write

    image, kill, options = int(sys.argv[1]), sys.argv[2] == "kill", {"watch": False}
    if "keep" in sys.argv:
        options["state_dir"] = "state"
    manager = initialize_reload_manager(ConfigLoader(SCHEMA, "app.toml"), **options)
    folders = len(list(Path(os.environ["CONFCAST_RUNTIME_DIR"]).iterdir()))
    print(os.getpid(), type(manager).__name__, manager.current.number, manager.version, folders, flush=True)
    if image < 2:
        write(Path("app.toml"), image + 1)
        if kill:
            os.kill(manager.owner_pid, signal.SIGKILL)
        os.execv(sys.executable, [sys.executable, __file__, str(image + 1), *sys.argv[2:]])
    manager.close()
"""


@pytest.mark.parametrize(
    ("arguments", "versions"),
    [
        pytest.param(("leave",), [1, 1], marks=pytest.mark.slow),
        pytest.param(("kill",), [1, 1], marks=pytest.mark.slow),
        (("leave", "keep"), [1, 2]),
    ],
)
def test_a_program_that_executes_itself_starts_an_owner_anew_and_leaves_nothing(
    arguments: tuple[str, ...], versions: list[int], tmp_path: Path, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    script = tmp_path / "program.py"
    script.write_text(dedent(AGAIN))

    done = run(script, "1", *arguments)

    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    assert len({pid for pid, *_ in lines}) == 1
    assert [line[1:] for line in lines] == [
        ["ConfigReloadManager", str(number), str(version), "1"] for number, version in enumerate(versions, 1)
    ]


def test_beside_a_manager_of_the_same_program_it_is_still_a_client(manager: Manager, config: Path) -> None:
    """The address is this very process's, and no former program's."""
    again = initialize_reload_manager(ConfigLoader(SCHEMA, config))
    try:
        assert type(again) is not ConfigReloadManager
        assert again.owner_pid == manager.owner_pid
    finally:
        again.close()
        process_wide._manager = None


CHILD = """
    from pydantic import BaseModel
    from confcast import ConfigLoader, SchemaMismatch, initialize_reload_manager

    class Settings(BaseModel):
        color: str = "red"

    try:
        initialize_reload_manager(ConfigLoader(Settings, "app.toml"))
    except SchemaMismatch as error:
        print(error)
"""


def test_to_an_unrelated_program_that_has_inherited_the_address_the_error_says_whose_it_is(
    manager: Manager, tmp_path: Path
) -> None:
    script = tmp_path / "child.py"
    script.write_text(dedent(CHILD))

    said = run(script).stdout

    assert "color: str here, absent there" in said
    assert "the code has changed" not in said
    module = sys.modules[Settings.__module__].__file__
    assert f"whose schema is {SCHEMA} in {module}; here it is Settings in {script}: " in said
    assert "give this one another name than 'app', or start it without CONFCAST_ADDRESS_APP, which it has inher" in said
