"""`confcast serve --metrics` and `--metrics-file`: what is read there, also while the owner is stopped or replaced."""

from __future__ import annotations

import os
import re
import signal
import socket
from collections.abc import Iterator
from multiprocessing.context import BaseContext
from pathlib import Path
from urllib.request import urlopen

import pytest
from prometheus_client.parser import text_string_to_metric_families as parse

from confcast import Client
from tests.support.leaks import is_running
from tests.support.served import Served, Serves, serves
from tests.support.settings import write
from tests.support.stopping import stop
from tests.support.waiting import DEADLINE, eventually


@pytest.fixture
def serve(forkserver: BaseContext, tmp_path: Path, runtime_folder: Path, nothing_is_left: None) -> Iterator[Serves]:
    """Starts `confcast serve` processes of a file with the number 1, at `c.sock`."""
    write(tmp_path / "app.toml", 1)
    with serves(forkserver, tmp_path, runtime_folder / "c.sock") as made:
        yield made


def url(served: Served) -> str:
    """Where a process says that its metrics are."""
    found = re.search(r"metrics at (\S+)", served.await_said("metrics at"))
    assert found is not None
    return found[1]


def told(text: bytes) -> dict[str, float]:
    """The values of the metrics that have one sample."""
    return {each.name: each.value for family in parse(text.decode()) for each in family.samples}


def scraped(where: str) -> dict[str, float]:
    with urlopen(where, timeout=DEADLINE) as answer:
        return told(answer.read())


def test_a_scraper_reads_what_runs_also_while_the_owner_is_stopped_and_after_its_death(serve: Serves) -> None:
    served = serve("--metrics", "127.0.0.1:0")
    where = url(served)
    assert where.startswith("http://127.0.0.1:")
    assert scraped(where)["confcast_config_version"] == 1
    write(serve.folder / "app.toml", 2)
    os.kill(served.pid, signal.SIGHUP)
    eventually(lambda: scraped(where)["confcast_config_version"] == 2, "the second version")

    owner = Client(address=serve.address).get_stats()["owner_pid"]
    stop(owner)
    found = scraped(where)
    assert (found["confcast_up"], found["confcast_config_version"]) == (0, 2)
    os.kill(owner, signal.SIGKILL)
    eventually(lambda: not is_running(owner), "the owner's end")
    eventually(lambda: scraped(where)["confcast_owner_restarts_total"] == 1, "the next owner")
    assert scraped(where)["confcast_up"] == 1
    assert served.end() == 0


def test_the_file_is_there_while_it_serves(serve: Serves, tmp_path: Path) -> None:
    path = tmp_path / "app.prom"
    served = serve("--metrics-file", str(path), "--metrics-file-mode", "0640")
    assert told(path.read_bytes())["confcast_config_version"] == 1
    assert path.stat().st_mode & 0o777 == 0o640
    assert served.end() == 0
    assert not path.exists()


def test_what_can_not_be_served_refuses_the_start(serve: Serves, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        for options, why in (
            (["--metrics", f"127.0.0.1:{port}"], f"--metrics 127.0.0.1:{port}: Address already in use"),
            (["--metrics-file", str(tmp_path / "no" / "a.prom")], f"there is no folder {tmp_path / 'no'}"),
            (["--metrics", "9150x"], "'9150x' is no address: give HOST:PORT, as 127.0.0.1:9150"),
            (["--metrics-file-mode", "999"], "'999' are no permissions: give three octal digits, as 0644"),
        ):
            served = serve.start(*options)
            assert served.status() in (2, 3)
            assert why in served.said()
            assert "success" not in served.said(), "nothing was loaded"


def test_a_port_goes_to_the_process_that_takes_over(serve: Serves, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    path = tmp_path / "app.prom"
    options = ("--metrics", f"127.0.0.1:{port}", "--metrics-file", str(path))
    where = url(serve(*options))
    started = scraped(where)["confcast_owner_start_time_seconds"]

    second = serve("--take-over", *options)

    assert url(second) == where
    assert scraped(where)["confcast_owner_start_time_seconds"] > started
    assert told(path.read_bytes())["confcast_owner_start_time_seconds"] > started
    assert second.end() == 0
    assert not path.exists()
