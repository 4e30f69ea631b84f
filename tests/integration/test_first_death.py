"""The first owner's death is said with its cause: where the manager starts, and in the log when it comes later."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from confcast import ConfcastError, ConfigLoader, ConfigReloadManager
from tests.support.waiting import eventually

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
    from confcast.owner.core import Core
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


class Bench:
    """A manager whose schema does something in the owner, and the log."""

    def __init__(self, folder: Path, deed: str, name: str) -> None:
        (folder / f"{name}.py").write_text(SCHEMA.replace("{deed}", deed.strip() or "pass"), encoding="utf-8")
        (folder / "app.json").write_text('{"number": 1}', encoding="utf-8")
        self.log = folder / "log"
        self._fd = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.write(self._fd, b"an older line\n")
        loader = ConfigLoader[object](f"{name}:Settings", folder / "app.json")
        self.manager = ConfigReloadManager(
            loader, watch=False, name=name, enable_signal_handler=False, supervise="caller"
        )
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


@pytest.mark.parametrize(("bench", "told"), ENDS.items(), indirect=["bench"])
def test_an_owner_that_dies_while_it_starts_is_said_with_its_cause(bench: Bench, told: str) -> None:
    with pytest.raises(ConfcastError) as caught:
        bench.manager.start()
    assert told in str(caught.value)
    if "SystemExit" not in told:
        assert str(caught.value).endswith("; the last that it wrote:\na line of the module's")


@pytest.mark.parametrize("bench", ["os._exit(7)"], indirect=True)
def test_where_the_log_can_not_be_read_back_it_is_named(bench: Bench) -> None:
    with Path(os.devnull).open("wb") as nowhere:
        bench.manager.send_output_to(nowhere.fileno)
        with pytest.raises(ConfcastError, match=r"exit status 7; .*; what it said is on standard error$"):
            bench.manager.start()


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
