"""uvicorn with a config owner, started by a program of the user's."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from tests.support import uvicorn
from tests.support.server import servers_of

PROGRAM = """\
import signal

from confcast.servers import uvicorn
from sources import loader

def signals():
    handlers = {number: signal.getsignal(number) for number in signal.valid_signals()}
    return handlers, signal.pthread_sigmask(signal.SIG_BLOCK, ())

if __name__ == "__main__":
    before = signals()
    for workers in (2, 1):
        uvicorn.run("asgi_app:app", loader, manager={"watch": False, "vote_timeout": 10.0}, workers=workers, port=0)
        print("stopped", workers, signals() == before, flush=True)
"""


class Program(uvicorn.Server):
    """One that serves twice: with two workers, and then by itself."""

    def command(self, *arguments: str) -> list[str]:
        """What starts it."""
        return [sys.executable, "serve.py"]

    def stopped_by(self, number: int) -> int:
        """The second time it is its only process."""
        return -number


def test_a_program_serves_reloads_and_goes_on_after_the_stop(tmp_path: Path):
    with servers_of(Program, tmp_path) as make:
        server = make()
        (server.folder / "serve.py").write_text(PROGRAM)
        server.start()
        before, number = server.pids(), server.change()
        assert server.pid not in before

        assert server.hup()[0] == "success"

        assert {pid: answer["number"] for pid, answer in server.everyone().items()} == dict.fromkeys(before, number)
        server.signal(signal.SIGTERM)
        server.workers = 1
        server.await_log("stopped 2 True")
        server.await_log("Uvicorn running on", 2)
        server.await_workers()
        assert server.pids() == {server.pid}
        assert server.ask("read")["number"] == number
        server.change()
        assert server.hup()[0] == "success"

        os.kill(server.pid, signal.SIGINT)
        server.await_log("stopped 1 True")
        assert server.ended() == 0
        assert server.crashes() == []
