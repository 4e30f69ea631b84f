"""The first owner's death is said with its cause: where the manager starts, and in the log when it comes later."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from confcast import ConfcastError, ConfigLoader
from confcast.master.embedded import EmbeddedManager
from confcast.master.start import launch
from confcast.wire.master_channel import MasterChannel
from tests.support.slow import slow
from tests.support.waiting import DEADLINE, eventually

SCHEMA = """
import os, signal, sys
from pydantic import BaseModel


class Settings(BaseModel):
    number: int = 1


if "confcast.owner" in sys.modules:
    print("a line of the module's", file=sys.stderr, flush=True)
    {deed}
"""

FAULT = """
    from confcast.owner.core.machine import Core
    from confcast.wire.messages import Reload

    handle = Core.handle

    def fail(self, given, now):
        if isinstance(getattr(given, "message", None), Reload):
            raise RuntimeError("a fault that nobody thought of")
        return handle(self, given, now)

    Core.handle = fail
"""

ENDS = {
    "os._exit(7)": "died while it started: exit status 7; `python -m confcast check",
    "os._exit(0)": "died while it started: exit status 0",
    "os.kill(os.getpid(), signal.SIGKILL)": "died while it started: killed by SIGKILL; look whether it was the kernel",
    "os.kill(os.getpid(), signal.SIGSEGV)": "killed by SIGSEGV; a compiled module that it imports has crashed",
    "sys.exit('the module wants no more')": "SystemExit: the module wants no more",
}
QUICK_ENDS = [end for end in ENDS if not end.endswith(("(0)", "SIGSEGV)"))]


class Bench:
    """A manager whose schema does something in the owner, and the log."""

    def __init__(self, folder: Path, deed: str, name: str) -> None:
        (folder / f"{name}.py").write_text(SCHEMA.replace("{deed}", deed.strip() or "pass"), encoding="utf-8")
        (folder / "app.json").write_text('{"number": 1}', encoding="utf-8")
        self.log = folder / "log"
        self._fd = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.write(self._fd, b"an older line\n")
        loader = ConfigLoader[object](f"{name}:Settings", folder / "app.json")
        self.manager = EmbeddedManager(loader, watch=False, name=name, enable_signal_handler=False, supervise="caller")
        self.manager.send_output_to(lambda: self._fd)

    def close(self) -> None:
        self.manager.close()
        os.close(self._fd)


@pytest.fixture
def bench(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.syspath_prepend(str(tmp_path))
    made = Bench(tmp_path, request.param, "first_death")
    yield made
    made.close()


@pytest.fixture
def bench_of_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """Its schema does nothing."""
    monkeypatch.syspath_prepend(str(tmp_path))
    made = Bench(tmp_path, "", "first_death")
    yield made
    made.close()


@pytest.mark.parametrize(
    ("bench", "told"), [each if each[0] in QUICK_ENDS else slow(*each) for each in ENDS.items()], indirect=["bench"]
)
def test_an_owner_that_dies_while_it_starts_is_said_with_its_cause(bench: Bench, told: str) -> None:
    with pytest.raises(ConfcastError) as caught:
        bench.manager.start()
    assert told in str(caught.value)
    if "SystemExit" not in told:
        assert str(caught.value).endswith("; the last that it wrote:\na line of the module's")


class Channel:
    """Something that can't be read back, and what its other end gets of it."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        if kind == "nowhere":
            self._reader, self.fd = -1, os.open(os.devnull, os.O_WRONLY)
        else:
            self._reader, self.fd = os.openpty() if kind == "terminal" else os.pipe()

    def got(self) -> str:
        """All of it; to be called once, when nobody else has it open."""
        os.close(self.fd)
        text = b""
        with contextlib.suppress(OSError):  # of a terminal that has no other end any more
            while self._reader >= 0 and (data := os.read(self._reader, 4096)):
                text += data
        if self._reader >= 0:
            os.close(self._reader)
        return text.decode().replace("\r\n", "\n")


@pytest.mark.parametrize("bench", ["os._exit(7)"], indirect=True)
@pytest.mark.parametrize("kind", [slow("nowhere"), slow("terminal"), "pipe"])
def test_where_the_output_can_t_be_read_back_its_last_words_are_in_the_error_all_the_same(
    kind: str, bench: Bench
) -> None:
    channel = Channel(kind)
    bench.manager.send_output_to(lambda: channel.fd)
    with pytest.raises(ConfcastError, match=r"exit status 7; [^\n]*; the last that it wrote:\na line of the module's$"):
        bench.manager.start()
    assert channel.got() == ("" if kind == "nowhere" else "a line of the module's\n")


@pytest.mark.parametrize("bench", [""], indirect=True)
def test_what_an_owner_wrote_before_it_served_comes_where_it_goes_on_once_and_in_its_place(
    bench: Bench, tmp_path: Path
) -> None:
    channel = Channel("terminal")
    bench.manager.send_output_to(lambda: channel.fd)
    with bench.manager.start() as manager:
        (tmp_path / "app.json").write_text('{"number": 2}', encoding="utf-8")
        assert manager.reload()
    got = channel.got()
    assert got.startswith("a line of the module's\n")
    assert got.count("a line of the module's") == 1
    assert "number" in got


@pytest.mark.parametrize("bench", ["sys.stderr.write('and more\\n'); raise ValueError('a fault')"], indirect=True)
def test_so_does_what_one_wrote_that_said_itself_why_it_does_not_serve(bench: Bench) -> None:
    channel = Channel("pipe")
    bench.manager.send_output_to(lambda: channel.fd)
    with pytest.raises(ConfcastError, match="ValueError: a fault"):
        bench.manager.start()
    assert channel.got() == "a line of the module's\nand more\n"


@pytest.mark.parametrize("bench", ["import threading; threading.Event().wait()"], indirect=True)
def test_one_that_is_not_ready_in_time_is_killed_and_its_last_words_are_said(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel = Channel("pipe")
    bench.manager.send_output_to(lambda: channel.fd)

    def is_late(channel: MasterChannel) -> None:
        assert bench.manager._launcher is None  # it is being started
        [launcher] = [each for each in launch._launchers if each._startup_output is not None]
        eventually(launcher._startup_output.last_lines, "the module's line")
        raise TimeoutError

    monkeypatch.setattr(MasterChannel, "receive", is_late)
    monkeypatch.setattr(launch, "_EXIT_TIMEOUT", 0.1)
    with pytest.raises(ConfcastError, match=r"did not start within 40 s; the last that it wrote:\na line of the"):
        bench.manager.start()
    assert channel.got() == "a line of the module's\n"


MASTER = """
from confcast import ConfigLoader, ConfigReloadManager
ConfigReloadManager(ConfigLoader("first_death:Settings", "app.json"), watch=False).start()
"""
OUTLIVE = """
    import pathlib
    from confcast.wire.processes import Death
    master = Death(os.getppid())
    pathlib.Path("reached").touch()
    assert master.wait(20)
"""


def test_a_master_that_is_killed_meanwhile_takes_no_word_with_it_and_nobody_stands_still(tmp_path: Path) -> None:
    (tmp_path / "first_death.py").write_text(SCHEMA.replace("{deed}", OUTLIVE.strip()), encoding="utf-8")
    (tmp_path / "app.json").write_text('{"number": 1}', encoding="utf-8")
    (tmp_path / "master.py").write_text(MASTER, encoding="utf-8")
    program = subprocess.Popen([sys.executable, "master.py"], cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    eventually((tmp_path / "reached").exists, "the owner imports the schema")

    program.kill()
    _, said = program.communicate(timeout=DEADLINE)  # until the owner has closed it, too

    assert said.startswith("a line of the module's\n")


def test_an_interpreter_that_can_not_begin_is_said_with_its_own_words(
    bench_of_nothing: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before there is an owner that could say anything: what is imported for every Python, a wrong folder, …"""
    (tmp_path / "site").mkdir()
    fault = "import os, sys\nif 'confcast.owner' in sys.orig_argv:\n    os.write(2, b'no licence\\n'); os._exit(9)\n"
    (tmp_path / "site" / "sitecustomize.py").write_text(fault, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))
    channel = Channel("pipe")
    bench_of_nothing.manager.send_output_to(lambda: channel.fd)
    with pytest.raises(ConfcastError, match=r"exit status 9; [^\n]*; the last that it wrote:\nno licence$"):
        bench_of_nothing.manager.start()
    assert channel.got() == "no licence\n"


@pytest.mark.parametrize("bench", [FAULT], indirect=True)
def test_the_fault_that_ends_a_first_owner_which_served_is_in_its_log(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    with bench.manager.start() as manager:
        assert not manager.reload(timeout=2)
        assert "the config owner could not go on: RuntimeError: a fault that nobody thought of" in bench.log.read_text()
        assert "is dead (exit status 3); the next one starts" in caplog.text


@pytest.mark.parametrize("bench", [""], indirect=True)
def test_a_killed_owner_s_signal_is_in_the_master_s_log(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    with bench.manager.start() as manager:
        os.kill(manager.owner_pid, signal.SIGKILL)

        def is_told() -> bool:
            manager.ensure_owner()
            return "is dead (killed by SIGKILL); the next one starts" in caplog.text

        eventually(is_told, "the master has said how its owner ended")
