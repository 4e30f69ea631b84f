"""Twenty reloads a second for ten seconds on a gunicorn under load, against the same ten seconds without.

The load is closed: as many clients as there are workers, each asking as soon as it is answered, so that everything a
reload costs is missing from the answers. Each HUP finds another content, so each is a version that every worker builds,
votes on and swaps. Rounds with and without take turns, and a round's figures are compared with those of its neighbour:
on a shared machine ten seconds differ from the next ten by more than a storm costs.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median, quantiles
from typing import NamedTuple

from benchmarks.document import Document
from benchmarks.programs import Program, program
from benchmarks.rows import Row, against_peer, at_least, exactly
from benchmarks.server import PATIENCE

SECONDS = 10
A_SECOND = 20
_CLIENTS = 4
_WARM_UP = 1


class Round(NamedTuple):
    """What the clients of one round saw."""

    answers: int
    p99: float
    failed: int
    versions: int


def measure(rounds: int) -> list[Row]:
    """Pairs of rounds, calm and storm, the order reversed in every other pair."""
    calm, storm = [], []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="confcast-bench-")))
        document = Document(folder / "config.yaml")
        server, port = stack.enter_context(_gunicorn(folder, document))
        clients = [stack.enter_context(program("storm_client", port)) for _ in range(_CLIENTS)]
        _round(clients, _WARM_UP)
        for number in range(max(3, rounds // 2)):
            for stormy in (number % 2 == 1, number % 2 == 0):
                if stormy:
                    storm.append(_round(clients, SECONDS, lambda: _reload(server, document)))
                else:
                    calm.append(_round(clients, SECONDS))
    return _rows(calm, storm)


def _round(clients: list[Program], seconds: int, reload: Callable[[], None] | None = None) -> Round:
    for client in clients:
        client.tell(seconds)
    began = time.monotonic()
    for number in range(seconds * A_SECOND if reload is not None else 0):
        time.sleep(max(0.0, began + number / A_SECOND - time.monotonic()))
        reload()
    heard = [client.hear(seconds + PATIENCE) for client in clients]
    took = [each for times, *_ in heard for each in times]
    versions = max(newest for *_, newest in heard) - min(oldest for *_, oldest, _ in heard)
    return Round(len(took), quantiles(took, n=100)[98], sum(failed for _, failed, *_ in heard), versions)


def _reload(server: subprocess.Popen[bytes], document: Document) -> None:
    document.turn()
    server.send_signal(signal.SIGHUP)


def _rows(calm: list[Round], storm: list[Round]) -> list[Row]:
    pairs = list(zip(storm, calm, strict=True))
    name = f"{A_SECOND} reloads a second"
    versions = median(each.versions for each in storm) / SECONDS
    throughput = median(a.answers / b.answers for a, b in pairs)
    p99 = median(a.p99 / b.p99 for a, b in pairs)
    # A ratio is the median of the pairs' ratios; ours is what the peer's median becomes by it.
    calm_p99, calm_answers = median(each.p99 for each in calm), median(each.answers for each in calm) / SECONDS
    return [
        at_least(f"{name}: versions a second; peer: the reloads", versions, A_SECOND, 0.9),
        exactly(f"{name}: failed requests", sum(each.failed for each in (*calm, *storm)), 0),
        at_least(f"{name}: answers a second; peer: without", throughput * calm_answers, calm_answers, 0.97),
        against_peer(f"{name}: p99 (ms); peer: without", p99 * calm_p99, calm_p99, 1.25),
    ]


@contextmanager
def _gunicorn(folder: Path, document: Document) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """It, and its port, when it has answered. Its log is shown when something fails."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    environment = os.environ | {
        "BENCH_BIND": f"127.0.0.1:{port}",
        "BENCH_CONFIG": str(document.path),
        "CONFCAST_RUNTIME_DIR": str(folder),
    }
    log = folder / "gunicorn.log"
    command = [sys.executable, "-m", "gunicorn", "--no-control-socket", "-c", "python:benchmarks.storm_conf"]
    with log.open("wb") as file, subprocess.Popen(command, env=environment, stdout=file, stderr=file) as server:
        try:
            _await(port)
            yield server, port
        except BaseException:
            sys.stderr.write(log.read_text(encoding="utf-8")[-2000:])
            raise
        finally:
            server.terminate()


def _await(port: int) -> None:
    """Somebody listens there."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise TimeoutError(f"gunicorn does not listen after {PATIENCE:g} s")
