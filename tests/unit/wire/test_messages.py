"""What is passed between processes shows none of its secrets in a log or a traceback."""

from __future__ import annotations

import pytest

from confcast.config.loader import LoaderSpec
from confcast.owner.core.effects import Checked, Load, Loaded, Record, WriteSnapshot
from confcast.owner.core.operator_state import OperatorState
from confcast.owner.store.journal import StateRow, VersionRow
from confcast.wire.files.snapshot_file import Saved
from confcast.wire.master_channel import StartupConfig
from confcast.wire.messages import (
    Check,
    ConfigRequest,
    Install,
    Prepare,
    SchemaRequest,
    Set,
    ShowRequest,
    Unset,
    WithSecrets,
)
from confcast.wire.options import Options

PLANTED = b"hunter2"
STARTUP = StartupConfig(
    options=Options(),
    loader=PLANTED,
    folder="/run/here",
    state_folder="/run/here",
    durable=False,
    master_pid=1,
    master_started=1,
    sys_path=[],
    working_directory="/",
)


@pytest.mark.parametrize(
    ("secretive", "shown"),
    [
        (Install(3, PLANTED, PLANTED), "Install(version=3)"),
        (Prepare(2, PLANTED, PLANTED), "Prepare(round=2)"),
        (Saved(1, b"s", 3, PLANTED, PLANTED), "Saved(version=3)"),
        (STARTUP, "StartupConfig(name='app', folder='/run/here')"),
        (LoaderSpec("app:Settings", [("app:Source", PLANTED)], PLANTED), "LoaderSpec(schema='app:Settings')"),
        (VersionRow(3, PLANTED, b"s", PLANTED, 1.0), "VersionRow(version=3)"),
        (StateRow(3, PLANTED), "StateRow(undo=3)"),
        (
            Loaded(1, PLANTED, PLANTED, differs=False),
            "Loaded(number=1, differs=False, changes=(), notes=(), pending=())",
        ),
        (Record(3, PLANTED, PLANTED, refused=PLANTED), "Record(version=3, undo=False)"),
        (WriteSnapshot(3, PLANTED, PLANTED), "WriteSnapshot(version=3)"),
        (OperatorState(2, None, PLANTED, PLANTED), "OperatorState(serial=2, hold=None, pending=())"),
        (Set(1, {"a": "hunter2"}), "Set(id=1)"),
        (Unset(1, ("hunter2",)), "Unset(id=1)"),
        (Check(1, {"a": "hunter2"}), "Check(id=1)"),
        (ShowRequest(1, "hunter2"), "ShowRequest(id=1)"),
        (SchemaRequest(1, "hunter2"), "SchemaRequest(id=1)"),
        (ConfigRequest(1, "hunter2", "hunter2"), "ConfigRequest(id=1)"),
        (Checked(1, values=PLANTED), "Checked(number=1, changes=(), notes=(), problems=())"),
        (
            Load(1, True, PLANTED, Set(1, {"a": "hunter2"})),
            (
                "Load(number=1, insist=True, rebuild=False, compare=False, dry=False, "
                "guarding=<Guarding.REFUSE: 'refuse'>, allow=())"
            ),
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_no_text_of_what_has_secrets_shows_one(secretive: WithSecrets, shown: str) -> None:
    assert repr(secretive) == shown
    assert "hunter2" not in str(secretive.__rich_repr__()), "rich shows this, also in a traceback"
