"""`scripts/bench --rivals`: what is counted, by made-up rivals of which each does one thing wrong; and the page."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import tomllib
import xml.etree.ElementTree as ET
from importlib import import_module
from itertools import cycle
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from benchmarks.__main__ import main
from benchmarks.plots import drawing
from benchmarks.rivals import NAMES, chart, environments, events, job, load, results, serving, site, table
from benchmarks.rivals.chart import Verdict, verdict
from benchmarks.rivals.counting import Change, Counted, Death, count, has_shown
from benchmarks.rivals.events import EVENTS, Event, Outcome, Plan, observed, telling
from benchmarks.rivals.load import Answer
from benchmarks.rivals.results import Found, Results, code_lines, rival
from benchmarks.rivals.site import Failed
from benchmarks.servers.running import _pids, _read
from tests.support.waiting import eventually

PLAN = Plan(bad=0.15, limit=20.0, changes=3, quiet=0.12, answers=40)
"""Answers are waited for, since a machine that is busy gives few of them in a fixed time."""
IN_VAIN = PLAN._replace(limit=0.4)
"""For whom no change arrives."""
WORKERS = frozenset({11, 12, 13, 14})
BY_NAME = {event.name: event for event in EVENTS}


class Faithful:
    """A site that serves rightly, and has no process: at each request, by each worker in turn, it looks at its file."""

    def __init__(self, folder: Path) -> None:
        self.rival = job.Rival("made-up", "a rival made up", ())
        self.path = folder / "config.toml"
        self.shown = ("1", "1")
        self.seen, self.asked = ("1", "1"), 0
        self.turns = cycle(sorted(WORKERS))
        self.is_alive = True
        self.log_end = 0
        self.killed = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
        self.replace(job.toml(1, 1))

    def close(self) -> None:
        self.killed.kill()
        self.killed.communicate()

    # ---- what an event does to it

    def replace(self, text: str) -> None:
        self.path.with_name("fresh").write_text(text)
        self.path.with_name("fresh").replace(self.path)

    swap = replace

    def publish(self) -> str | None:
        return None

    def helper(self) -> int:
        return self.killed.pid

    def workers(self) -> frozenset[int]:
        return frozenset({self.killed.pid})

    @property
    def alive(self) -> frozenset[int]:
        return WORKERS if self.is_alive else frozenset()

    def log_from(self, place: int) -> str:
        return "INFO: all is well\n"

    # ---- what it answers

    def ask(self) -> Answer:
        began, pid = monotonic(), next(self.turns)
        try:
            left, right = self.answered_by(pid, self.read())
        except (OSError, ValueError) as error:
            return Answer(began, monotonic(), why=str(error))
        return Answer(began, monotonic(), left, right, pid)

    def read(self) -> tuple[str, str] | None:
        """None if the file is not valid, or half."""
        try:
            values = tomllib.loads(self.path.read_text())
        except (OSError, ValueError):
            return None
        found = str(values.get("left")), str(values.get("right"))
        return found if found[0] == found[1] and found[0].isdigit() else None

    def answered_by(self, pid: int, read: tuple[str, str] | None) -> tuple[str, str]:
        return self.answer(read)

    def answer(self, read: tuple[str, str] | None) -> tuple[str, str]:
        self.shown = read or self.shown
        return read or self.shown


class Late(Faithful):
    """Has a change some requests later."""

    BY = 30

    def answer(self, read: tuple[str, str] | None) -> tuple[str, str]:
        if read not in (None, self.seen):
            self.seen, self.asked = read, 0
        self.asked += 1
        if self.asked > self.BY:
            self.shown = self.seen
        return self.shown


class Torn(Late):
    """And meanwhile takes the one setting from here, the other from there."""

    def answer(self, read: tuple[str, str] | None) -> tuple[str, str]:
        shown = super().answer(read)
        return self.seen[0], shown[1]


class Credulous(Faithful):
    """Takes whatever can be read."""

    def read(self) -> tuple[str, str] | None:
        values = tomllib.loads(self.path.read_text())
        return str(values["left"]), str(values.get("right", job.DEFAULT))

    def answer(self, read: tuple[str, str] | None) -> tuple[str, str]:
        assert read is not None
        return read


class Fragile(Faithful):
    """Fails while its file is bad."""

    def answer(self, read: tuple[str, str] | None) -> tuple[str, str]:
        if read is None:
            raise ValueError("status 500")
        return super().answer(read)


class Forgetful(Faithful):
    """Three of its workers fail for good, when once their file was bad; the fourth answers again."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.gone = set[int]()

    def answered_by(self, pid: int, read: tuple[str, str] | None) -> tuple[str, str]:
        if read is None and pid != min(WORKERS):
            self.gone.add(pid)
        if read is None or pid in self.gone:
            raise ValueError("status 500")
        return read


class Deaf(Faithful):
    """Keeps the content that it began with."""

    def answer(self, read: tuple[str, str] | None) -> tuple[str, str]:
        return self.shown


class Mortal(Faithful):
    """Ends when its file is bad."""

    def answer(self, read: tuple[str, str] | None) -> tuple[str, str]:
        self.is_alive = self.is_alive and read is not None
        if not self.is_alive:
            raise OSError("refused")
        return super().answer(read)


class Telling(Faithful):
    """Has a command, which says what it finds."""

    def publish(self) -> str | None:
        return "published" if self.read() else "status 1: it is bad"


@pytest.fixture
def seen(tmp_path: Path, request: pytest.FixtureRequest):
    def run(kind: type[Faithful], event: str, plan: Plan = PLAN) -> Outcome:
        site = kind(tmp_path)
        request.addfinalizer(site.close)
        return observed(site, BY_NAME[event], plan, WORKERS, site.ask)

    return run


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.name)
def test_who_serves_rightly_is_found_right_in_each_event(seen, event: Event):
    outcome = seen(Faithful, event.name)

    assert outcome.lives
    counted = outcome.counted
    assert (counted.failed, counted.torn, counted.wrong, counted.old, counted.kept) == (0, 0, 0, 0, 4)
    assert counted.old_seconds is not None
    assert counted.requests >= PLAN.answers
    assert (outcome.said, outcome.by) == ("", "")


@pytest.mark.parametrize(
    ("kind", "event", "shows"),
    [
        (Late, "valid", lambda each: each.old > 10 and each.old_seconds > 0 and each.torn == each.failed == 0),
        (Torn, "both", lambda each: each.torn > 10 and each.wrong == 0),
        (Credulous, "type", lambda each: each.wrong > 10 and each.torn == each.failed == 0),
        (Credulous, "paused", lambda each: each.torn > 5 and each.wrong == 0),
        (Fragile, "syntax", lambda each: each.failed > 10 and each.old_seconds is not None),
        (Fragile, "missing", lambda each: each.failed > 10),
        (Fragile, "empty", lambda each: each.failed > 10),
        (Fragile, "worker", lambda each: each.failed > 10),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)).lower(),
)
def test_what_one_does_wrong_is_counted_as_that(seen, kind, event, shows):
    assert shows(seen(kind, event).counted)


def test_who_never_has_a_change_is_found_out(seen):
    counted = seen(Deaf, "both", IN_VAIN).counted
    assert counted.old_seconds is None
    assert counted.old > 10


def test_a_change_that_one_of_four_workers_has_has_not_arrived(seen):
    counted = seen(Forgetful, "worker", IN_VAIN).counted
    assert counted.old_seconds is None
    assert counted.failed > 10


def test_a_server_that_ends_is_seen_to_end(seen):
    outcome = seen(Mortal, "syntax")

    assert not outcome.lives
    assert outcome.counted.kept == 0
    assert outcome.counted.old_seconds is None


@pytest.mark.parametrize(("event", "said"), [("valid", "published"), ("empty", "status 1: it is bad")])
def test_what_is_said_is_said_of_what_the_event_is_about(seen, event, said):
    outcome = seen(Telling, event)
    assert (outcome.said, outcome.by) == (said, "command")


@pytest.mark.parametrize("event", ["worker", "helper"])
def test_a_process_is_killed(tmp_path: Path, event: str):
    site = Faithful(tmp_path)
    try:
        observed(site, BY_NAME[event], PLAN, WORKERS, site.ask)
        assert site.killed.wait(5) == -9
    finally:
        site.close()


# ---- counting


def answers(*shown: tuple[float, str]) -> list[Answer]:
    return [Answer(began, began + 0.1, *text.split(), 11) for began, text in shown]


def by_all(began: float, number: int) -> list[Answer]:
    return [Answer(began, began + 0.1, str(number), str(number), pid) for pid in sorted(WORKERS)]


def test_a_request_that_was_under_way_at_the_change_is_not_old():
    found = count([*answers((0.9, "1 1")), *by_all(2.0, 2)], [Change(2, 1.0, 1.0)], WORKERS, WORKERS)
    assert (found.old, found.old_seconds) == (0, 0.0)


def test_until_the_command_has_ended_nobody_is_late_but_the_time_runs():
    seen = [*answers((1.2, "1 1"), (1.6, "1 1")), *by_all(2.0, 2)]
    found = count(seen, [Change(2, 1.0, 1.5)], WORKERS, WORKERS)
    assert (found.old, found.old_seconds) == (1, 0.6)


@pytest.mark.parametrize(
    ("last", "has"),
    [
        (by_all(2.0, 2), True),
        ([*answers((1.5, "1 1")), *by_all(2.0, 2)], True),
        ([*by_all(2.0, 2), *answers((2.1, "1 1"))], False),
        ([*by_all(2.0, 2), *answers((2.1, "2 1"))], False),
        ([*by_all(2.0, 2), Answer(2.1, 2.2, why="status 500")], False),
        (by_all(2.0, 2)[:3], False),
        (by_all(2.0, 2)[:1] * 1000, False),
        ([], False),
    ],
)
def test_a_change_has_arrived_when_every_worker_has_shown_it_and_nobody_another_since(last, has):
    assert (has_shown(last, 2) == WORKERS) == has
    assert (count(last, [Change(2, 1.0, 1.0)], WORKERS, WORKERS).old_seconds is not None) == has


def test_it_has_arrived_a_moment_later():
    seen = [*answers((1.5, "1 1")), *by_all(1.7, 2)]
    assert has_shown(seen, 2, until=1.5) == frozenset()
    assert has_shown(seen, 2, until=1.7) == WORKERS


def test_a_worker_that_has_shown_it_and_is_no_more_does_not_count():
    """Four of each server, of which two are being replaced."""
    of_another = [Answer(2.0, 2.1, "2", "2", pid) for pid in (15, 16)]
    seen, change = [*by_all(2.0, 2), *of_another], [Change(2, 1.0, 1.0)]
    assert count(seen, change, WORKERS, frozenset({11, 15, 16})).old_seconds is None
    assert count(seen, change, WORKERS, frozenset({11, 12, 15, 16})).old_seconds == 0


@pytest.mark.parametrize(
    ("began", "ended", "why", "found"),
    [
        (0.9, 1.1, "RemoteDisconnected: closed", (0, 1)),
        (0.9, 1.1, "ConnectionResetError: reset", (0, 1)),
        (0.9, 1.1, "HTTPException: status 500", (1, 0)),
        (0.9, 11.0, "TimeoutError: timed out", (1, 0)),
        (1.2, 1.3, "ConnectionResetError: reset", (1, 0)),
        (0.5, 0.9, "ConnectionResetError: reset", (1, 0)),
    ],
)
def test_a_request_that_dies_with_its_worker_is_counted_by_itself(began, ended, why, found):
    seen = [Answer(began, ended, why=why), *by_all(3.0, 2)]
    counted = count(seen, [Change(2, 2.0, 2.0)], WORKERS, WORKERS, Death(1.0, 1.01))
    assert (counted.failed, counted.died) == found
    assert count(seen, [Change(2, 2.0, 2.0)], WORKERS, WORKERS).failed == 1


def test_a_default_on_both_sides_is_wrong_and_on_one_torn():
    found = count(answers((1, "0 0"), (1, "2 0"), (1, "-1 2")), [Change(2, 0, 0)], WORKERS, WORKERS)
    assert (found.torn, found.wrong) == (1, 2)


def test_workers_are_counted_by_their_pids():
    seen = [Answer(1, 2, "2", "2", 98), Answer(1, 2, "2", "2", 99)]
    found = count(seen, [Change(2, 0, 0)], WORKERS, frozenset({11, 12, 99}))
    assert (found.kept, found.new) == (2, 1)


def test_the_line_of_a_log_that_says_most_is_found():
    assert telling(["Traceback (most recent call last):", "  File x", "ValueError: bad", "INFO: not important"]) == (
        "ValueError: bad"
    )
    assert telling(["1 validation error for Settings", "left", "  Field required"]) == (
        "1 validation error for Settings left   Field required"
    )
    assert telling(["[ERROR] Worker was sent SIGKILL!", "hello"]) == ""


# ---- the rivals


@pytest.mark.parametrize("name", NAMES)
def test_a_rival_names_its_documentation_and_pins_what_it_is_made_of(name: str):
    each = rival(name)
    module = import_module(each.module)
    pinned = (each.folder / "requirements.txt").read_text(encoding="utf-8").split("\n")

    assert each.name == name
    assert name == "confcast" or "https://" in module.__doc__
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", line) or line == "--editable ." for line in pinned if line)
    names = {line.partition("==")[0].lower().replace("_", "-") for line in pinned}
    assert {package.lower() for package in each.packages} - {"confcast"} <= names
    assert 5 < results.lines(each) < 60
    assert (each.folder / "gunicorn_conf.py").exists() == each.has_conf


def test_each_folder_is_a_rival():
    folders = {path.parent.name for path in job.FOLDER.glob("*/__init__.py")}
    assert folders == {name.replace("-", "_") for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_half_of_its_file_lacks_the_second_setting(name: str):
    half = job.first_half(rival(name).write(7, 8))
    assert "left" in half
    assert "8" not in re.sub(r"line 8", "", half)


def test_what_its_environment_imports_is_the_standard_library_alone():
    """A rival's environment has none of ours."""
    command = "import benchmarks.rivals.serving, benchmarks.rivals.hup, sys; print(*sys.modules)"
    ran = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {str(job.ROOT)!r}); {command}"],
        capture_output=True,
        check=True,
        text=True,
        timeout=20,
    )
    assert not {"confcast", "msgspec", "pydantic", "matplotlib"} & set(ran.stdout.split())


def test_an_answer_and_a_cost():
    looks = iter([1, 2])
    assert serving.answer(lambda: next(looks), lambda: next(looks)).split()[:2] == ["1", "2"]
    assert 0 <= float(serving.cost(lambda: 1, 0.001)) < 10_000


def test_only_lines_of_code_count():
    assert (
        code_lines('"""What it is.\n\nMore.\n"""\n\n# why\nimport os\n\n\ndef f():\n    """Doc."""\n    return os\n')
        == 3
    )


# ---- the page


def an_outcome(event: str = "valid", **changed: object) -> Outcome:
    figures = {"requests": 9, "failed": 0, "torn": 0, "wrong": 0, "slowest": 0.1, "old_seconds": 0.25, "old": 3}
    lives = bool(changed.pop("lives", True))
    counted = Counted(**(figures | {"kept": 4, "new": 0} | changed))
    return Outcome(event, counted, lives, "it is `so` | so", "log", 41.2)


@pytest.mark.parametrize(
    ("changed", "found"),
    [
        ({}, Verdict(0, "0.25 s")),
        ({"old_seconds": 1.5}, Verdict(1, "1.50 s")),
        ({"slowest": 2.0}, Verdict(1, "waits 2.0 s")),
        ({"torn": 7}, Verdict(1, "7 torn")),
        ({"old_seconds": None}, Verdict(2, "stays old")),
        ({"wrong": 7, "torn": 7}, Verdict(2, "7 wrong")),
        ({"failed": 1, "wrong": 7}, Verdict(2, "1 failed")),
        ({"event": "worker", "died": 1}, Verdict(0, "0.25 s")),
        ({"lives": False, "failed": 7}, Verdict(2, "ended")),
    ],
    ids=str,
)
def test_the_worst_is_what_the_picture_says(changed, found):
    assert verdict(an_outcome(**changed)) == found


def test_nothing_to_kill_is_good():
    assert verdict(Outcome("helper", None)) == Verdict(0, "none")


@pytest.fixture
def made_up() -> Results:
    outcomes = [an_outcome(event.name) for event in EVENTS]
    outcomes[8] = Outcome("helper", None)
    return Results({"CPUs": "2"}, [Found("one", "one of them", {"one": "1.0"}, 12, outcomes)])


def test_results_come_back_from_json(made_up: Results):
    assert Results.from_json(made_up.to_json()) == made_up


def test_tables_are_written_between_their_comments(made_up: Results):
    names = ["machine", "summary", *BY_NAME]
    page = "".join(f"<!-- scripts/bench --rivals: {name} -->\nold\n<!-- end -->\n\n" for name in names)

    written = table.replaced(page, made_up)

    assert "old\n" not in written
    row = "| one of them | 0.25 s | 3 | 0 | 0 | 0 of 9 | 0.10 s | 4 | in the log: `it is 'so' \\| so` |"
    assert written.count(row) == 9
    assert "| one of them | 41 ns | 12 | 0 | 0 | 0 | 0 | one 1.0 |" in written
    assert table.replaced(written, made_up) == written
    with pytest.raises(ValueError, match="the page has blocks for machine"):
        table.replaced(page.partition("\n\n")[0], made_up)


def test_the_picture_says_whose_results_it_shows(made_up: Results):
    picture = chart.svg(made_up)

    assert picture == chart.svg(made_up)
    assert f"figures {made_up.fingerprint}".encode() in picture
    text = " ".join(ET.fromstring(picture).itertext())
    assert "one of them" in text
    assert "0.25 s" in text
    assert drawing.DARK[drawing.INK] in text


def test_what_the_page_says_of_the_job_and_of_lines_is_so():
    """In words, beside the tables."""
    full = events.FULL
    assert (job.WORKERS, load.CLIENTS, load.EVERY, serving.WORK) == (4, 8, 1 / 25, 0.005)
    assert (full.limit, full.changes) == (12, 20)

    takes = {name: results.lines(rival(name)) for name in NAMES}
    assert min(takes, key=lambda name: takes[name]) == "dynaconf"
    assert max(takes["hup"], takes["flagd"]) < takes["confcast"]


# ---- the command


def bench(*arguments: str, seconds: float = 50) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks", "--rivals", *arguments]
    return subprocess.run(command, cwd=job.ROOT, capture_output=True, check=False, text=True, timeout=seconds)


def test_what_was_measured_before_is_printed_again(tmp_path: Path, made_up: Results):
    before = tmp_path / "results.json"
    before.write_bytes(made_up.to_json())

    ran = bench("--from", str(before), "--quick")

    assert ran.returncode == 0, ran.stderr
    assert "| one of them | 41 ns | 12 |" in ran.stdout


def test_who_is_no_rival_is_named_with_those_that_are():
    ran = bench("redis", "memcached")
    assert ran.returncode == 2
    assert "there is no memcached; there are confcast, dynamic-config, " in ran.stderr


# ---- what goes wrong with the rig itself


def made_up_rival(**changed: Any) -> job.Rival:
    return job.Rival(**({"name": "made-up", "shown": "made up", "packages": ()} | changed))


def processes_of(folder: Path) -> list[int]:
    mark = f"JOB_FOLDER={folder}/".encode()
    return [pid for pid in _pids() if any(each.startswith(mark) for each in _read(pid, "environ").split(b"\0"))]


def test_who_can_not_be_installed_or_started_is_said_to_be_left_out_and_the_others_go_on(monkeypatch, capfd):
    def versions(each: job.Rival) -> dict[str, str]:
        if each.name == "redis":
            raise subprocess.CalledProcessError(1, ["pip", "install"])
        return {each.name: "1.0"}

    def run(each: job.Rival, python: Path, event: Event, plan: Plan) -> Outcome:
        if each.name == "stash":
            raise Failed("stash: 0 workers answer; it has no socket")
        return an_outcome(event.name)

    monkeypatch.setattr(environments, "versions", versions)
    monkeypatch.setattr(environments, "made", lambda each: Path("python"))
    monkeypatch.setattr(results, "run", run)
    monkeypatch.setattr(signal, "signal", lambda number, handler: None)
    monkeypatch.setattr(sys, "argv", ["benchmarks", "--rivals", "stash", "redis", "hup", "--quick"])

    with pytest.raises(SystemExit) as ended:
        main()

    assert ended.value.code == 1
    out, err = capfd.readouterr()
    assert "| HUP, settings read at import | 0.25 s |" in out
    assert "redis is left out: Command '['pip', 'install']' returned non-zero" in err
    assert "stash is left out: stash: 0 workers answer; it has no socket" in err
    assert err.splitlines()[-1] == "--rivals: left out: redis, stash; why is said above"


def test_what_runs_beside_a_server_ends_when_that_can_not_be_started(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(site, "PATIENCE", 0.3)
    beside = ("{python}", "-c", "import time; time.sleep(300)")
    each = made_up_rival(services=(beside,), publish=("/bin/sh", "-c", "exit 7"), first_publish="before")
    before = threading.active_count()

    with pytest.raises(Failed, match="made-up: status 7"), site.started(each, Path(sys.executable)):
        pass

    assert threading.active_count() == before
    assert processes_of(tmp_path) == []


def test_an_interrupt_waits_until_a_server_is_ended(tmp_path: Path, monkeypatch):
    ended = []

    def end(self: site.Site) -> None:
        signal.raise_signal(signal.SIGINT)
        ended.append(self)

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(site.Site, "start", lambda self: None)
    monkeypatch.setattr(site.Site, "end", end)

    with pytest.raises(KeyboardInterrupt), site.started(made_up_rival(), Path(sys.executable)):
        pass

    assert len(ended) == 1


def test_a_command_that_does_not_end_has_said_that(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(site, "PATIENCE", 0.3)
    each = made_up_rival(publish=("/bin/sh", "-c", "exec sleep 300"))
    said = site.Site(each, Path(sys.executable), tmp_path).publish()
    assert said is not None
    assert said.startswith("status 124: ")
    assert "timed out after 0.3 seconds" in said


# ---- for real


@pytest.mark.slow
@pytest.mark.parametrize("name", ["valid", "worker"])
def test_a_real_server_goes_through_an_event(name: str):
    """That of today's HUP, in this environment: it has what that one needs."""
    outcome = events.run(rival("hup"), Path(sys.executable), BY_NAME[name], events.QUICK)

    assert outcome.lives == (name == "valid")
    assert outcome.counted.kept == 0


_INTERRUPTED = """
import sys
from pathlib import Path

from benchmarks.rivals import events, results

events.run(results.rival("hup"), Path(sys.executable), events.EVENTS[1], events.FULL)
"""


@pytest.mark.slow
def test_nothing_is_left_when_somebody_presses_twice(tmp_path: Path):
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    command = [sys.executable, "-c", _INTERRUPTED]
    running = subprocess.Popen(command, cwd=job.ROOT, env=environment, stderr=subprocess.PIPE)
    try:
        eventually(lambda: len(processes_of(tmp_path)) > job.WORKERS, "a server that runs", 60)
        running.send_signal(signal.SIGINT)
        eventually(lambda: len(processes_of(tmp_path)) <= job.WORKERS, "that it is being ended", 60)
        running.send_signal(signal.SIGINT)
        _, said = running.communicate(timeout=60)
    finally:
        running.kill()
        running.communicate()

    assert b"KeyboardInterrupt" in said
    assert processes_of(tmp_path) == []


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_one_of_them_is_measured_by_the_command_of_the_page(tmp_path: Path):
    found = tmp_path / "found.json"

    ran = bench("confcast", "--quick", "--json", str(found), seconds=590)

    assert ran.returncode == 0, ran.stderr
    (ours,) = Results.from_json(found.read_bytes()).rivals
    assert [outcome.event for outcome in ours.outcomes] == [event.name for event in EVENTS]
    for outcome in ours.outcomes:
        assert outcome.lives
        assert outcome.counted.torn == outcome.counted.wrong == 0
        assert outcome.counted.failed == 0
        assert outcome.counted.old_seconds is not None


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_an_environment_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(environments, "ENVIRONMENTS", tmp_path)
    python = environments.made(rival("dynaconf"))
    made = python.stat().st_ctime_ns

    assert environments.made(rival("dynaconf")).stat().st_ctime_ns == made
    assert environments.versions(rival("dynaconf"))["gunicorn"] == "27.0.1"
