"""What to type for one of several owners; none of these listens."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from confcast.wire.files.owner_dirs import OwnerDir
from confcast.worker.client import known_owners


def owner(label: str, master: int, tag: str = "x") -> OwnerDir:
    return OwnerDir(Path(f"/run/confcast-{label}-{master}-{tag}"), label, master, 0)


@pytest.mark.parametrize(
    ("found", "typed"),
    [
        ([owner("app", 1)], ["--name app"]),
        ([owner("app", 1), owner("web", 1)], ["--name app", "--name web"]),
        ([owner("app", 1), owner("app", 2)], ["--pid 1", "--pid 2"]),
        (
            [owner("app", 1), owner("web", 1), owner("app", 2)],
            ["--pid 1 --name app", "--name web", "--pid 2"],
        ),
        (
            [owner("app", 1, "x"), owner("app", 1, "y")],
            ["--address /run/confcast-app-1-x/control.sock", "--address /run/confcast-app-1-y/control.sock"],
        ),
    ],
)
def test_the_option_that_is_shown_means_one_owner_only(found, typed, monkeypatch):
    monkeypatch.setattr(OwnerDir, "user", lambda self: os.geteuid())
    assert [each["choose"] for each in known_owners.described(found)] == typed


def test_another_users_owner_is_meant_by_its_pid(monkeypatch):
    monkeypatch.setattr(OwnerDir, "user", lambda self: os.geteuid() + 1)
    found = [owner("app", 1), owner("web", 2)]
    assert [each["choose"] for each in known_owners.described(found)] == ["--pid 1", "--pid 2"]


def test_a_program_is_told_which_client_means_the_owner(monkeypatch):
    monkeypatch.setattr(OwnerDir, "user", lambda self: os.geteuid())
    monkeypatch.setattr(OwnerDir, "command", lambda self: "gunicorn app:app\x1b[2J")
    monkeypatch.setattr(OwnerDir, "started_in", lambda self: "/srv/a")
    found = [owner("app", 1), owner("web", 1), owner("app", 2)]
    about = "no answer, started in /srv/a: gunicorn app:app\\x1b[2J"
    assert known_owners.as_lines(found) == [
        f"  Client(pid=1, name='app')  'app', process 1, {about}",
        f"  Client(name='web')  'web', process 1, {about}",
        f"  Client(pid=2)  'app', process 2, {about}",
    ]
