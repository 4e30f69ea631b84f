"""`scripts/bench --only others`: what a worker answers, when the last of them counts, and whose CPU is read."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmarks import others
from benchmarks.document import TOTALS, Document
from benchmarks.others import crew, edited, stores


@pytest.fixture
def pipes() -> Iterator[tuple[list[Connection], list[Connection]]]:
    """The benchmark's ends and the workers', which have said who they are."""
    with ExitStack() as stack:
        pairs = [Pipe() for _ in range(2)]
        for ours, its in pairs:
            stack.enter_context(ours)
            stack.enter_context(its)
            its.send((1, ""))
        yield [ours for ours, _ in pairs], [its for _, its in pairs]


def test_the_last_worker_counts_and_an_older_value_does_not(pipes):
    ours, its = pipes
    its[0].send((7, 30))
    its[0].send((8, 50))
    its[1].send((8, 40))
    assert crew.Crew(ours).last(8) == 50


def test_a_worker_that_never_has_the_value_is_not_waited_for_without_end(pipes):
    ours, its = pipes
    its[0].send((8, 50))
    its[1].send((7, 40))
    with pytest.raises(TimeoutError):
        crew.Crew(ours).last(8, patience=0.05)


def test_a_worker_reads_and_times_what_the_expression_says_until_the_pipe_ends():
    ours, its = Pipe()
    config = SimpleNamespace(total=7)
    worker = threading.Thread(target=crew.serve, args=(its, "config.total", "here"), kwargs={"config": config})
    worker.start()
    with its:
        with ours:
            one = crew.Crew([ours])
            config.total = 8
            one.ask()
            assert (one.pids, one.about) == ([os.getpid()], ["here"])
            assert one.last(8) <= time.monotonic_ns()
            assert 0 < one.read_us() < 1000
        worker.join(10)
    assert not worker.is_alive()


def test_a_store_is_asked_when_the_value_is_there(pipes):
    ours, its = pipes
    written: list[int] = []

    def write(total: int) -> None:
        assert not any(each.poll() for each in its)
        written.append(total)
        for each in its:
            each.send((total, time.monotonic_ns()))

    store = stores.Store("a list", crew.Crew(ours), write)
    assert store._change() == written[0] == TOTALS[1]
    assert [each.recv() for each in its] == ["read", "read"]


def test_where_there_is_no_redis_server_the_reason_is_said(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(stores.Missing, match="redis-server"), stores.redis_get(tmp_path):
        pass


def test_a_store_that_can_not_be_had_is_left_out(tmp_path, monkeypatch, capsys):
    @contextmanager
    def missing(folder: Path) -> Iterator[stores.Store]:
        raise stores.Missing("there is none")
        yield

    monkeypatch.setattr(others, "STORES", (missing,))
    with ExitStack() as stack:
        assert list(others._stores(stack, tmp_path)) == []
    assert capsys.readouterr().err == "there is none\n"


def test_the_clock_of_a_process_is_that_of_its_cpu_time():
    before = time.process_time_ns()
    seen = time.clock_gettime_ns(edited._cpu_clock(os.getpid()))
    assert before <= seen <= time.process_time_ns()


def test_a_document_says_which_total_it_has(tmp_path):
    document = Document(tmp_path / "config.yaml")
    for total in (TOTALS[1], TOTALS[0], TOTALS[1]):
        assert document.turn() == total
        assert f"total_budget_mb: {total}\n" in document.path.read_text()
