"""Programs of the typing contract, run as they are written: a window (p07), a time (p09), guards (p10), a page (p13).

They lie in `tests/typing/contract`, where the type checker reads them, too. Each is imported by a harness that starts a
manager and attaches, in a process of its own. p08 is in `test_guide_three_a_m.py`, p11 in `test_client.py`.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.installed import installed_or_skip

installed_or_skip("flask")

_DEADLINE = 60

CONTRACT = Path(__file__).parents[1] / "typing" / "contract"

HARNESS = """\
import time
from confcast import ConfigLoader, ConfigReloadManager
from confcast.guards import changes, empties, shrinks, touches

def page():
    from c import settings
    from p13_page import app
    browser = app.test_client()
    assert browser.get("/settings").text == "1"
    saved = browser.post("/settings", data={"project": "y", "version": "1"}, environ_base={"REMOTE_USER": "ada"})
    assert (saved.status_code, saved.location) == (302, "/settings")
    assert (browser.get("/settings").text, settings.latest.project) == ("2", "y")
    assert settings.versions()[0].reason == "page, ada"
    stale = browser.post("/settings", data={"project": "z", "version": "1"})
    assert stale.status_code == 409
    assert stale.text.startswith("changed meanwhile: "), stale.text
    assert settings.latest.project == "y"

def for_a_time():
    import p09_ttl
    assert p09_ttl.event.who is not None
    ends = p09_ttl.settings.explain("limits.api").expires
    assert 0 < ends - time.time() <= 600
    assert p09_ttl.settings.latest.limits == {"api": 10}

def guards():
    from pathlib import Path
    from c import settings
    Path("app.toml").write_text('project = "x"')
    assert settings.reload().result.value == "guarded"
    assert settings.latest.limits == {"api": 1}
    import p10_guards
    p10_guards.test_restoring_is_no_trip()
    assert p10_guards.event and p10_guards.event.notes, p10_guards.event
    assert settings.latest.limits == {}

def window():
    import p07_confirm
    from confcast import ReloadResult
    settings = p07_confirm.settings
    assert 0 < p07_confirm.event.confirm_by - time.time() <= 600
    assert p07_confirm.later and settings.latest.bind == "0.0.0.0:8000"
    assert settings.get_stats()["provisional"] == ""
    assert settings.set({"bind": "0.0.0.0:9000"}, confirm_within=3.0)
    ended = settings.wait()
    assert ended.result is ReloadResult.UNDONE, ended
    assert (settings.latest.bind, settings.version) == ("0.0.0.0:8000", ended.version)
    late = settings.confirm()
    assert late.result is ReloadResult.CONFLICT, late
    print("too late:", late.error_message)

def mistaken():
    from confcast import ConfigError, ReloadResult
    from c import settings
    unknown = settings.set({"memroy.x": 1})
    assert unknown.result is ReloadResult.VALIDATION_FAILED, unknown
    print(unknown.error_message)
    for call in (lambda: settings.explain("databse.url"), lambda: settings.set({"project": "x"}, ttl=-1)):
        try:
            call()
        except (ConfigError, ValueError) as error:
            print(error)
    from confcast import Canary
    nosuch = settings.reload(allow=["nosuch"])
    assert not nosuch and nosuch.error_message.startswith("allow='nosuch': "), nosuch
    try:
        Canary("25")
    except ValueError as error:
        assert "did you mean '25%'?" in str(error)
    else:
        raise AssertionError("a size without a unit")
    assert settings.version == 1

if __name__ == "__main__":
    import sys
    GUARDS = [shrinks("limits", by=0.5, above=10), empties("limits"), touches("database"), changes(more_than=0.3)]
    with ConfigReloadManager(ConfigLoader("c:Settings", "app.toml", guards=GUARDS), watch=False):
        from c import settings
        settings.attach()
        globals()[sys.argv[1]]()
        settings.close()
"""


@pytest.mark.parametrize("program", ["page", "for_a_time", "guards", "window", "mistaken"])
def test_a_program_of_the_contract_does_what_it_says(program: str, tmp_path: Path) -> None:
    shutil.copytree(CONTRACT, tmp_path, dirs_exist_ok=True)
    (tmp_path / "harness.py").write_text(HARNESS, encoding="utf-8")
    (tmp_path / "app.toml").write_text('project = "x"\n' + "limits.api = 1\n" * (program == "guards"), encoding="utf-8")
    (tmp_path / "ca.pem").write_text("an authority", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "harness.py", program],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=_DEADLINE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    if program == "for_a_time":
        expires, held = done.stdout.split()
        assert float(expires) > 0
        assert held == "None"
    if program == "mistaken":
        unknown, key, time = done.stdout.splitlines()
        assert unknown == "memroy.x: the schema has no such key"
        assert key == "databse.url: the schema has no such key; did you mean database.url?"
        assert time.startswith("ttl=-1: ")
    if program == "window":
        true, _, _ = done.stdout.partition(" ")
        assert true == "True"
        assert "too late: " in done.stdout
