"""Changes of gunicorn's conf file are found in its text."""

from __future__ import annotations

from pathlib import Path

import pytest

from confcast.servers.gunicorn.conf_file import Changes, ConfFile, compare

RAN = """
import os
# how many
workers = 2
timeout = 30
if os.environ.get("DEBUG"):
    loglevel = "debug"
def pre_fork(server, worker):
    print("forking")
install(globals(), loader)
"""


def changes(old: str, new: str) -> Changes:
    return compare(RAN.encode(), RAN.encode(), RAN.replace(old, new).encode())


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("# how many\n", "", Changes(None, ())),
        ("timeout = 30", "timeout  =  30", Changes(None, ())),
        ("workers = 2", "workers = 3", Changes(3, ())),
        ("workers = 2", "workers = 2 + 1", Changes(None, ("workers",))),
        ("workers = 2", "workers = 0", Changes(None, ("workers",))),
        ("workers = 2", "workers = True", Changes(None, ("workers",))),
        ("workers = 2", "workers = 3\nworkers = 4", Changes(None, ("workers",))),
        ("workers = 2\n", "", Changes(None, ("workers",))),
        ("timeout = 30", "timeout = keepalive = 31", Changes(None, ("keepalive", "timeout"))),
        ("debug", "info", Changes(None, ("loglevel",))),
        ("forking", "leaving", Changes(None, ("pre_fork",))),
        ("import os", "import os.path as path, os", Changes(None, ("os", "path"))),
        ("loader)", "loader, watch=False)", Changes(None, ("other lines",))),
        ("workers = 2\ntimeout = 30", "workers = 3\ntimeout = 31", Changes(3, ("timeout",))),
    ],
)
def test_what_is_new_is_reported_by_name(old: str, new: str, expected: Changes):
    assert changes(old, new) == expected


def test_a_number_that_was_taken_over_and_is_no_longer_said_is_named():
    ran, once = b"workers = count()", b"workers = 3"

    assert compare(ran, ran, once) == Changes(3, ())
    assert compare(ran, once, ran) == Changes(None, ("workers",))
    assert compare(b"workers = 2", once, b"workers = 2") == Changes(2, ())


def test_each_text_is_looked_at_once(tmp_path: Path):
    path = tmp_path / "conf.py"
    path.write_text("timeout = 1")
    conf = ConfFile(str(path))
    assert conf.look() is None
    path.write_text("timeout = 2")
    assert conf.look() == Changes(None, ("timeout",))
    assert conf.look() is None
    path.write_text("timeout = (")
    with pytest.raises(SyntaxError):
        conf.look()
    assert conf.look() is None
    path.write_text("timeout = 2")
    assert conf.look() == Changes(None, ("timeout",))

    conf.was_run()

    assert conf.look() is None
    path.unlink()
    with pytest.raises(FileNotFoundError):
        conf.look()


def test_without_a_file_there_is_nothing_to_look_at():
    assert ConfFile(None).look() is None
