"""Programs of the typing contract, run as they are written: p07, a window; p09, a value for a time; p13, a page.

Each is imported by a harness that starts a manager and attaches, in a process of its own. p08 is in
`test_guide_three_a_m.py`, p11 in `test_client.py`.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("flask")

_DEADLINE = 60

C = """\
from typing import Annotated
from pydantic import BaseModel, SecretStr
from confcast import NeedsRestart, Replica, Watched
from pathlib import Path
class Database(BaseModel, frozen=True):
    url: str = "sqlite://"
    password: SecretStr = SecretStr("")
    size: int = 5
class Api(BaseModel, frozen=True):
    base: str = "http://x"
    timeout: float = 2.0
    ca: Annotated[Path, Watched] = Path("ca.pem")
class Settings(BaseModel, frozen=True):
    database: Database = Database()
    api: Api = Api()
    logging: dict[str, object] = {}
    limits: dict[str, int] = {}
    bind: str = "127.0.0.1:8000"
    workers: Annotated[int, NeedsRestart("forked at start")] = 4
    project: str = "x"
settings = Replica(Settings, name="app")
"""

P07 = """\
from datetime import timedelta
from c import settings
event = settings.set({"bind": "0.0.0.0:8000"}, confirm_within=timedelta(minutes=10), reason="open to the LAN")
print(bool(event), event.confirm_by)
later = settings.confirm(event.version)
if not later:
    print("too late:", later.error_message)
"""

P09 = """\
from c import settings
event = settings.set({"limits.api": 10}, ttl=600, reason="load")
print(settings.explain("limits.api").expires, settings.get_stats()["held"])
"""

P13 = """\
from flask import Flask, redirect, render_template_string, request
from werkzeug.wrappers import Response
from confcast import ReloadResult
from c import settings
app = Flask(__name__)
@app.post("/settings")
def save() -> Response | tuple[str, int]:
    event = settings.set({"project": request.form["project"]}, expect=int(request.form["version"]), \
reason=f"page, {request.remote_user}")
    if event.result is ReloadResult.CONFLICT: return f"changed meanwhile: {event.error_message}", 409
    if not event: return str(event.error_message), 422
    return redirect("/settings")
@app.get("/settings")
def form() -> str:
    return render_template_string("{{ v }}", v=settings.version, c=settings.current)
"""

HARNESS = """\
import time
from confcast import ConfigLoader, ConfigReloadManager

def page():
    from c import settings
    from p13 import app
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
    import p09
    assert p09.event.who is not None
    ends = p09.settings.explain("limits.api").expires
    assert 0 < ends - time.time() <= 600
    assert p09.settings.latest.limits == {"api": 10}

def window():
    import p07
    from confcast import ReloadResult
    settings = p07.settings
    assert 0 < p07.event.confirm_by - time.time() <= 600
    assert p07.later and settings.latest.bind == "0.0.0.0:8000"
    assert settings.get_stats()["provisional"] == ""
    assert settings.set({"bind": "0.0.0.0:9000"}, confirm_within=0.3)
    ended = settings.wait()
    assert ended.result is ReloadResult.UNDONE, ended
    assert (settings.latest.bind, settings.version) == ("0.0.0.0:8000", ended.version)
    late = settings.confirm()
    assert late.result is ReloadResult.CONFLICT, late
    print("too late:", late.error_message)

if __name__ == "__main__":
    import sys
    with ConfigReloadManager(ConfigLoader("c:Settings", "app.toml"), watch=False):
        from c import settings
        settings.attach()
        globals()[sys.argv[1]]()
        settings.close()
"""


@pytest.mark.parametrize("program", ["page", "for_a_time", "window"])
def test_a_program_of_the_contract_does_what_it_says(program: str, tmp_path: Path) -> None:
    for name, text in {"c": C, "p07": P07, "p09": P09, "p13": P13, "harness": HARNESS}.items():
        (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
    (tmp_path / "app.toml").write_text('project = "x"\n', encoding="utf-8")
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
    if program == "window":
        true, _, _ = done.stdout.partition(" ")
        assert true == "True"
        assert "too late: " in done.stdout
