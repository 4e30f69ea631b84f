"""Probes: what is a no, what is no answer, how long each may take, and when they run at all; with real programs."""

from __future__ import annotations

import errno
import http.server
import logging
import os
import queue
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import msgspec
import pytest

from confcast.owner.core.effects import Probed
from confcast.owner.loop.probe_run import Answer, asked
from confcast.owner.loop.probing import Probing
from confcast.probes import Command, Http
from confcast.wire import programs
from confcast.wire.options import Options, checked
from confcast.wire.probes import probe_of_text
from tests.support.lives import lives_in
from tests.support.waiting import eventually

LONG = 60.0
"""Seconds that no test waits for."""


def python(program: str, every: float = LONG) -> Command:
    return Command([sys.executable, "-c", program], every=every)


# ---- programs


def test_a_program_s_status_is_its_answer_and_its_first_line_says_why() -> None:
    assert asked(python("pass")) == Answer()
    assert asked(python("print('fine')")) == Answer()
    no = asked(python("import sys; print('\\n  the pool is empty', file=sys.stderr); print('more'); sys.exit(3)"))
    assert no == Answer(no="exited with status 3: the pool is empty")
    assert asked(python("raise SystemExit(1)")) == Answer(no="exited with status 1")


def test_what_gives_no_answer_is_no_evidence() -> None:
    assert asked(Command(["no-such-program"])).none == "it can't be started: No such file or directory"
    assert asked(python("import os; os.kill(os.getpid(), 9)")).none == "signal 9 has ended it"


def test_a_program_that_never_ends_is_killed_at_its_deadline_with_all_that_it_has_started(tmp_path: Path) -> None:
    with lives_in(tmp_path) as both:
        opened = f"import subprocess, sys, time; f = open({str(both.path)!r}, 'w'); "
        starts = f"{opened}subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'], "
        answer = asked(python(f"{starts}pass_fds=[f.fileno()]); time.sleep(600)", every=1.0))
        assert answer.none == "it has not ended within 1 s, and was killed"
        both.await_end()


def test_a_program_whose_end_can_t_be_watched_is_ended_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[int] = []

    def refused(pid: int) -> None:
        found.append(pid)
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(programs, "Death", refused)
    assert "Too many open files" in asked(python("import time; time.sleep(600)")).none
    with pytest.raises(ChildProcessError):  # it is neither left running nor a zombie
        os.waitpid(found[0], os.WNOHANG)


def test_a_program_that_may_not_be_killed_has_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that runs as another user; on macOS, any that has ended."""

    found: list[int] = []

    def refused(pid: int, number: int) -> None:
        found.append(pid)
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "killpg", refused)
    assert asked(python("raise SystemExit(3)")) == Answer(no="exited with status 3")
    with pytest.raises(ChildProcessError):
        os.waitpid(found[0], os.WNOHANG)


def test_a_program_whose_output_does_not_end_is_read_and_little_of_it_is_kept() -> None:
    assert asked(python("import sys\nfor _ in range(100): print('x' * 100_000)\nsys.exit(1)")).no[:40] == (
        "exited with status 1: " + "x" * 18
    )
    assert asked(python("print('x' * 1000 + 'secret'); raise SystemExit(1)")).no.endswith("secret"), "masked before cut"
    held = "import os, time\nif os.fork() == 0: time.sleep(600)\nprint('no', flush=True); os._exit(1)"
    assert asked(python(held)) == Answer(no="exited with status 1: no")


def test_a_program_has_signals_as_they_are_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """The owner ignores TERM and blocks others; a probe may be a shell script with a `timeout` in it."""
    import signal

    before, mask = signal.signal(signal.SIGTERM, signal.SIG_IGN), signal.pthread_sigmask(signal.SIG_BLOCK, [1])
    try:
        program = "import signal; assert signal.getsignal(15) == 0; assert not signal.pthread_sigmask(0, [])"
        assert asked(python(program)) == Answer()
    finally:
        signal.signal(signal.SIGTERM, before)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


# ---- URLs


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers with the status that is the path; `/to?URL` redirects; `/hang` waits, `/drip` sends byte by byte."""

    server: Any

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        self.server.heard.append((self.path, self.headers.get("Authorization")))
        if path in ("/hang", "/drip"):
            while not self.server.over.wait(0.05):
                if path == "/drip":
                    self.wfile.write(b"H")
            return
        self.send_response(302 if path == "/to" else int(path[1:]))
        if path == "/to":
            self.send_header("Location", unquote(query))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *about: object) -> None: ...


class Site(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.heard: list[tuple[str, str | None]] = []
        self.over = threading.Event()

    def handle_error(self, *about: object) -> None: ...

    def url(self, path: str, user: str = "") -> str:
        return f"http://{user}127.0.0.1:{self.server_port}/{path}"


@pytest.fixture
def site() -> Iterator[Site]:
    found = Site()
    thread = threading.Thread(target=found.serve_forever, args=(0.01,))
    thread.start()
    yield found
    found.over.set()
    found.shutdown()
    thread.join()
    found.server_close()


@pytest.mark.parametrize("status", [200, 204, 301, 399, 400, 404, 500, 503])
def test_a_status_is_an_answer(site: Site, status: int) -> None:
    no = "" if status < 400 else f"answered with status {status}"
    assert asked(Http(site.url(str(status)))) == Answer(no=no)


def test_a_redirect_is_followed_on_the_same_host_only(site: Site) -> None:
    assert asked(Http(site.url("to?/503"))) == Answer(no="answered with status 503")
    assert asked(Http(site.url("to?http://localhost:1/503"))) == Answer()
    assert asked(Http(site.url("to?/to?/to?/to?/to?/503"))) == Answer(), "it is followed three times"


def test_a_user_in_the_url_is_sent_and_never_shown(site: Site) -> None:
    probe = Http(site.url("200?token=hunter2", user="ada:hunter%402@"))
    assert asked(probe) == Answer()
    assert site.heard == [("/200?token=hunter2", "Basic YWRhOmh1bnRlckAy")]
    for text in (probe.shown, repr(probe), str(probe), f"{[probe]}"):
        assert "hunter" not in text
        assert "ada" not in text
    assert probe.shown == f"http://***@127.0.0.1:{site.server_port}/200?***"


@pytest.mark.parametrize("location", ["/500?a b", "/500?\xe9", "http://127.0.0.1:{}/500"])
def test_a_redirect_is_followed_whatever_is_in_it(site: Site, location: str) -> None:
    assert asked(Http(site.url(f"to?{quote(location.format(site.server_port))}"))).no == "answered with status 500"


def test_a_url_may_have_any_characters(site: Site) -> None:
    assert asked(Http(site.url("204?café=100%25"))) == Answer()
    assert [path for path, _ in site.heard] == ["/204?caf%C3%A9=100%25"]


@pytest.mark.parametrize("path", ["hang", "drip"])
def test_a_url_that_never_answers_has_a_deadline(site: Site, path: str) -> None:
    assert asked(Http(site.url(path), every=0.3)).none == "no whole answer within 0.3 s"


def test_a_connection_that_is_refused_or_cut_is_no_answer() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        assert asked(Http(f"http://127.0.0.1:{free.getsockname()[1]}/")).none == "Connection refused"
    assert asked(Http("http://no-such-host.invalid/")).none.startswith("its name is not found: ")
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        threading.Thread(target=lambda: deaf.accept()[0].close()).start()
        answer = asked(Http(f"http://127.0.0.1:{deaf.getsockname()[1]}/"))
    assert answer.none in ("it closed the connection without an answer", "Connection reset by peer")


# ---- when they run


Probe = Callable[..., Probing]


@pytest.fixture
def probing() -> Iterator[Probe]:
    made: list[Probing] = []

    def make(post: Callable[[Probed], object], *probes: Command | Http) -> Probing:
        made.append(Probing(probes, post))
        return made[-1]

    yield make
    for each in made:
        each.close()


def test_a_no_is_posted_with_the_version_that_was_provisional(probing: Probe) -> None:
    posted: queue.SimpleQueue[Probed] = queue.SimpleQueue()
    probe = python("raise SystemExit(4)")
    found = probing(posted.put, probe)
    assert not [thread for thread in threading.enumerate() if thread.name == "confcast-probe"], "nothing is provisional"
    found.aim(7)
    assert posted.get(timeout=30) == Probed(7, f"{sys.executable} … exited with status 4")
    found.aim(8)  # at once, though the next run was not due
    assert posted.get(timeout=30).version == 8


def test_a_probe_that_hangs_holds_up_no_other_and_ends_with_its_version(probing: Probe, tmp_path: Path) -> None:
    posted: queue.SimpleQueue[Probed] = queue.SimpleQueue()
    begun = tmp_path / "begun"
    hangs = f"import pathlib, time; pathlib.Path({str(begun)!r}).touch(); time.sleep(600)"
    found = probing(posted.put, python(hangs), python("raise SystemExit(1)"))
    found.aim(7)
    assert posted.get(timeout=30).version == 7
    eventually(begun.exists, "the run that hangs")
    begun.unlink()
    found.aim(0)
    found.aim(8)
    assert posted.get(timeout=30).version == 8
    eventually(begun.exists, "its next run, long before its deadline")
    assert not found.unanswered.total(), "nobody had waited for it any more"


def test_no_answer_is_logged_once_in_a_row_and_counted(probing: Probe, caplog: pytest.LogCaptureFixture) -> None:
    posted: list[Probed] = []
    with caplog.at_level(logging.WARNING, "confcast.owner"):
        found = probing(posted.append, Command(["no-such-program", "--password=hunter2"], every=0.01))
        found.aim(7)
        eventually(lambda: found.unanswered["probe without an answer"] >= 3, "three of them")
        found.aim(0)
    (record,) = [each for each in caplog.records if "gives no answer" in each.getMessage()]
    assert record.getMessage() == (
        "the probe no-such-program … gives no answer, which is no evidence: it can't be started: "
        "No such file or directory"
    )
    assert posted == []


def test_a_thread_that_can_t_be_started_ends_no_owner_and_is_tried_again(
    probing: Probe, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    posted: queue.SimpleQueue[Probed] = queue.SimpleQueue()
    found = probing(posted.put, python("raise SystemExit(1)"), python("raise SystemExit(2)"))
    with caplog.at_level(logging.WARNING, "confcast.owner"), monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refused)
        found.aim(7)
    assert "can't start new thread" in caplog.text
    assert found.unanswered["probe without an answer"] == 2
    found.aim(8)
    assert {posted.get(timeout=30).why[-1] for _ in range(2)} == {"1", "2"}


# ---- as an option


def test_probes_travel_to_the_owner() -> None:
    given = [Http("https://ada:pw@example.org/healthz", every=30), Command(["bin/test", "--quick"], every=0.5)]
    options = checked({"probes": given})
    there = msgspec.msgpack.decode(msgspec.msgpack.encode(options), type=Options)
    assert list(there.probes) == given
    assert "pw" not in repr(there)


@pytest.mark.parametrize(
    ("probes", "says"),
    [
        (Http("http://a/"), "a list of probes"),
        (["http://a/"], "probes are expected"),
        ("http://a/", "probes are expected"),
        ([Http("http://a/")] * 17, "at most 16"),
    ],
)
def test_what_are_no_probes_is_refused(probes: Any, says: str) -> None:
    with pytest.raises(ValueError, match=f"^probes=.*{says}"):
        checked({"probes": probes})


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Command("bin/test --quick"), r"a list of texts is expected, as \['bin/test', '--quick'\]"),
        (lambda: Command("bin/test it's"), "a list of texts is expected"),
        (lambda: Command(["a", 1]), "1 is no text"),  # type: ignore[list-item]
        (lambda: Command([]), "a program and its arguments"),
        (lambda: Command(["a\0"]), "a program and its arguments"),
        (lambda: Command(["a"], every=0), "every=0: "),
        (lambda: Command(["a"], every=float("nan")), "every=nan: "),
        (lambda: Http("http://a/", every=3601), "every=3601: "),
        (lambda: Http("a/healthz"), "http:// or https://"),
        (lambda: Http("ftp://a/"), "http:// or https://"),
        (lambda: Http("http:///healthz"), "http:// or https://"),
        (lambda: Http("http://a:hunter2/"), "http:// or https://"),
        (lambda: Http("http://a/ b"), "without blanks"),
    ],
)
def test_what_is_no_probe_is_refused(make: Callable[[], object], says: str) -> None:
    with pytest.raises((ValueError, TypeError), match=says) as found:
        make()
    assert "hunter2" not in str(found.value)


def test_a_probe_on_a_command_line() -> None:
    assert probe_of_text("https://a/b") == Http("https://a/b")
    assert probe_of_text("bin/test 'a b'") == Command(["bin/test", "a b"])
    with pytest.raises(ValueError, match="No closing quotation"):
        probe_of_text("bin/test 'a")
