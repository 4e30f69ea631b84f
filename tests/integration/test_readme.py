"""Every snippet of the README and of the guide is run as a reader would run it: as a file, or as a command."""

from __future__ import annotations

import re
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.snippets import GUIDE, PAGES, README, commands, files, snippets, write_files
from tests.support.waiting import eventually

_DEADLINE = 30

# Each file that a page shows, and what runs it. A test of this file, or a file that imports it.
RUN = {
    "README.md": {
        "settings.py": "sources.py",
        "app.toml": "sources.py",
        "sources.py": "gunicorn.conf.py",
        "app.py": "gunicorn.conf.py",
        "gunicorn.conf.py": "test_gunicorn_reloads_on_hup",
        "prefork.py": "test_the_prefork_program_reloads",
    },
    "start.md": {
        "greeter.py": "test_a_precommit_function_refuses",
        "watch.py": "test_the_watching_program_receives_an_edit",
    },
    "operating.md": {"ci.py": "test_a_proposal_is_tried_in_ci"},
    "environment.md": dict.fromkeys(("settings.py", "sources.py", "show.py"), "test_guide_environment.py"),
    "secret_files.md": dict.fromkeys(("settings.py", "sources.py", "show.py"), "test_guide_environment.py"),
    "references.md": dict.fromkeys(("sources.py", "app.toml"), "test_guide_references.py"),
    "ini_and_other_files.md": dict.fromkeys(
        ("app.ini", "settings.py", "app.jsonc", "pyproject.toml", "sources.py"), "test_guide_ini.py"
    ),
    "several_files.md": dict.fromkeys(
        ("sources.py", "app.toml", "defaults.toml", "limits.toml"), "test_guide_several_files.py"
    ),
    "surroundings.md": {"alone.py": "test_uninstrumented_owner.py"},
    "three_a_m.md": {"app.toml": "test_guide_three_a_m.py"},
    "testing.md": {
        "test_app.py": "test_the_unit_tests_pass",
        "test_greeter.py": "test_the_unit_tests_pass",
        "test_files.py": "test_the_unit_tests_pass",
        "test_fixtures.py": "test_the_unit_tests_pass",
        "test_workers.py": "test_the_tests_with_workers_pass",
    },
    "derived.md": dict.fromkeys(
        (
            "settings.py",
            "shop.py",
            "engine.py",
            "tls.py",
            "lifespan.py",
            "rotated.py",
            "per_version.py",
            "test_shop.py",
        ),
        "test_guide_derived.py",
    ),
    "changing_safely.md": dict.fromkeys(("settings.py", "greeting.py"), "test_guide_changing_safely.py"),
    "coming_from.md": dict.fromkeys(
        ("settings.py", "sources.py", "show.py", "test_shop.py"), "test_guide_coming_from.py"
    ),
    "guards.md": dict.fromkeys(("settings.py", "sources.py", "test_guards.py"), "test_guide_guards.py"),
    "admin.md": {"change.py": "test_guide_admin.py"},
    "metrics.md": {"web.py": "test_guide_metrics.py"},
    "webhooks.md": dict.fromkeys(("server.py", "receiver.py"), "test_guide_webhooks.py"),
    "secrets.md": dict.fromkeys(("settings.py", "sources.py", "app.toml"), "test_guide_secrets.py"),
    "http_and_commands.md": dict.fromkeys(("settings.py", "sources.py"), "test_guide_http_and_commands.py"),
    "logs.md": dict.fromkeys(
        ("json_logs.py", "log_config.py", "serve.py", "settings.py", "versioned.py", "wsgi.py"), "test_guide_logs.py"
    ),
    "many_hosts.md": dict.fromkeys(("settings.py", "sources.py", "app.toml"), "test_guide_many_hosts.py"),
    "worked_examples.md": {"saving_in_short.py": "test_guide_worked_examples.py"},
    "one_host.md": dict.fromkeys(("web.py", "follower.py"), "test_guide_one_host.py"),
    "own_sources.md": dict.fromkeys(
        ("properties.py", "flags.py", "remote.py", "pushed.py", "sources.py", "settings.py"),
        "test_guide_own_sources.py",
    ),
    "an_application_you_did_not_write.md": dict.fromkeys(
        (
            "settings.py",
            "index.toml",
            "sources.py",
            "gunicorn.conf.py",
            "at_each_request.py",
            "set_in_place.py",
            "per_version.py",
            "by_signal.py",
        ),
        "test_guide_application.py",
    ),
}

# What can't be run here, by page: how many snippets, each with its reason beside it.
NOT_RUN = {
    "README.md": 1,
    "admin.md": 2,
    "one_host.md": 1,
    "operating.md": 1,
    "proven.md": 4,
    "rivals.md": 1,
    "speed.md": 1,
    "worked_examples.md": 1,
}

LAUNCHERS = sorted({line for page in PAGES for line in commands(page) if " confcast.servers." in line})
CLIENTS = dict.fromkeys(
    line for page in PAGES for line in commands(page) if f"{line} ".startswith("python -m confcast ")
)
"""In the order in which a reader meets them: some change what others find."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with every file of the README and of the pages that build on it, and a run-time folder."""
    for page in ("start.md", "testing.md"):
        write_files(GUIDE / page, tmp_path)
    with tempfile.TemporaryDirectory(prefix="run-") as run_time:  # a socket's path in tmp_path would be too long
        monkeypatch.setenv("CONFCAST_RUNTIME_DIR", run_time)
        yield tmp_path


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, *arguments], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def lines_until(program: subprocess.Popen[str], wanted: str) -> list[str]:
    lines = []
    assert program.stdout is not None
    for line in program.stdout:
        lines.append(line.rstrip())
        if wanted in line:
            return lines
    raise AssertionError(f"{wanted!r} was never printed:\n" + "\n".join(lines))


def end(program: subprocess.Popen[str]) -> str:
    output, _ = program.communicate(timeout=_DEADLINE)
    assert program.returncode == 0, output
    return output


@pytest.mark.parametrize("page", PAGES, ids=lambda page: "/".join(page.parts[-2:]))
def test_every_snippet_is_run_or_says_why_not(page: Path) -> None:
    name = "confcast/README.md" if page.parent == GUIDE.parent else page.name
    assert sorted(files(page)) == sorted(RUN.get(name, {}))
    assert len([each for each in snippets(page) if each.not_run]) == NOT_RUN.get(name, 0)
    known = {"", "python", "toml", "ini", "jsonc", "yaml", "dotenv", "sh"}
    assert {each.language for each in snippets(page)} <= known


def test_what_is_said_to_run_a_snippet_exists() -> None:
    here = Path(__file__)
    for page, by_file in RUN.items():
        for runner in by_file.values():
            is_here = f"def {runner}(" in here.read_text(encoding="utf-8")
            assert is_here or runner in by_file or (here.parent / runner).is_file(), (page, runner)


def test_every_command_is_one_that_the_tests_know() -> None:
    verbs = (
        "check|reload|rollback|resume|confirm|set|unset|status|history|versions|show|wait|explain|diff|schema|--version"
    )
    known = ["python -m confcast", r"python -m confcast\.servers\.\w+ .+", rf"python -m confcast ({verbs}|--version).*"]
    typed = (
        "three_a_m.md",
        "changing_safely.md",
        "coming_from.md",
        "environment.md",
        "secret_files.md",
        "many_hosts.md",
        "webhooks.md",
        "metrics.md",
        "one_host.md",
        "serve.md",
        "admin.md",
        "worked_examples.md",
    )
    known += [re.escape(line) for page in typed for line in commands(GUIDE / page)]
    known.append(re.escape("scripts/test -m slow tests/surroundings"))  # it is this suite
    unknown = [line for page in PAGES for line in commands(page) if not re.fullmatch("|".join(known), line)]
    assert unknown == []


def test_the_prefork_program_reloads(folder: Path) -> None:
    output = end(start(folder, "prefork.py"))
    printed = sorted(line for line in output.splitlines() if " confcast app: " not in line)  # the owner's log
    assert printed == ["good morning, first", "good morning, second", "unchanged"]


def test_the_watching_program_receives_an_edit(folder: Path) -> None:
    with start(folder, "watch.py") as program:
        lines_until(program, "edit app.toml")
        (folder / "app.toml").write_text('greeting = "good night"\n')
        assert "good morning became good night" in end(program)


def test_the_unit_tests_pass(folder: Path) -> None:
    tests = [name for name, runner in RUN["testing.md"].items() if runner == "test_the_unit_tests_pass"]
    assert "5 passed" in end(start(folder, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests))


def test_the_tests_with_workers_pass(folder: Path) -> None:
    assert "2 passed" in end(start(folder, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_workers.py"))


def test_a_proposal_is_tried_in_ci(folder: Path) -> None:
    write_files(GUIDE / "operating.md", folder)
    (folder / "proposed.toml").write_text("greeting = 7\n")
    with gunicorn(folder):
        refused = start(folder, "ci.py")
        output, _ = refused.communicate(timeout=_DEADLINE)
        assert (refused.returncode, "app.toml:1:12 " in output) == (1, True), output
        (folder / "proposed.toml").write_text('greeting = "good night"\n')
        assert end(start(folder, "ci.py")) == ""


def test_a_precommit_function_refuses(folder: Path) -> None:
    """The pages' `greeter.py` in the prefork program of the README, which then finds that a version is refused."""
    program = (folder / "prefork.py").read_text()
    program = program.replace("from settings import", "import greeter\nfrom pathlib import Path\nfrom settings import")
    edit = 'Path("app.toml").write_text(\'greeting = "hey"\');'
    (folder / "prefork.py").write_text(program.replace("        print(manager", f"        {edit} print(manager"))
    assert "rejected" in end(start(folder, "prefork.py"))


@contextmanager
def gunicorn(folder: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """The README's server, with all of its workers, and its port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with start(folder, "-m", "gunicorn", "-b", f"127.0.0.1:{port}", "--no-control-socket") as server:
        try:
            for _ in range(4):
                lines_until(server, "Booting worker")
            yield server, port
        finally:
            server.terminate()
            server.communicate(timeout=_DEADLINE)


def test_gunicorn_reloads_on_hup(folder: Path) -> None:
    with gunicorn(folder) as (server, port):
        assert answer(port) == "good morning from version 1"
        (folder / "app.toml").write_text('greeting = "good night"\n')
        server.send_signal(signal.SIGHUP)
        lines_until(server, "success, version 2")
        assert answer(port) == "good night from version 2"


def without_probation(folder: Path) -> None:
    """For commands that are typed one after the other at once: a way back leads to what is good by then."""
    conf = folder / "gunicorn.conf.py"
    conf.write_text(conf.read_text().replace("loader)", "loader, probation=0)"))


def test_each_command_for_a_shell_does_what_it_says(folder: Path) -> None:
    without_probation(folder)
    with gunicorn(folder):
        for line in CLIENTS:
            typed = line.replace("python ", f"{shlex.quote(sys.executable)} ")
            done = subprocess.run(typed, shell=True, cwd=folder, capture_output=True, text=True, timeout=_DEADLINE)
            assert (done.returncode, bool(done.stdout)) == (0, True), (line, done.stdout, done.stderr)


@pytest.mark.parametrize("line", LAUNCHERS)
def test_a_launcher_reloads_on_hup(line: str, folder: Path) -> None:
    server = line.split()[2].rpartition(".")[2]
    with socket.socket() as held:  # granian's workers have a listener each, and can't be given port 0
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        held.bind(("127.0.0.1", 0))
        listen = {
            "uvicorn": ["--port", "0"],
            "granian": ["--port", str(held.getsockname()[1])],
            "hypercorn": ["--bind", "127.0.0.1:0"],
        }[server]
        with start(folder, *line.split()[1:], *listen) as launcher:
            try:
                (listens,) = lines_until(launcher, "http://127.0.0.1:")[-1:]
                port = int(re.findall(r"http://127\.0\.0\.1:(\d+)", listens)[0])
                assert eventually(lambda: answer_of(port), "an answer") == "good morning from version 1"
                (folder / "app.toml").write_text('greeting = "good night"\n')
                launcher.send_signal(signal.SIGHUP)
                lines_until(launcher, "success, version 2")
                assert answer(port) == "good night from version 2"
            finally:
                launcher.terminate()
                launcher.communicate(timeout=_DEADLINE)


def test_the_guide_shows_each_launcher() -> None:
    shown = {line.split()[2] for line in commands(GUIDE / "servers.md")}
    assert shown == {f"confcast.servers.{name}" for name in ("uvicorn", "granian", "hypercorn")}
    assert set(commands(README)) <= set(LAUNCHERS)


def answer_of(port: int) -> str:
    """Nothing while nobody listens."""
    try:
        return answer(port)
    except OSError:
        return ""


def answer(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=_DEADLINE) as response:
        return response.read().decode()
