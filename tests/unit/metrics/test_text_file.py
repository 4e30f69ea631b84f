"""The file of metrics: always whole, with the permissions that were asked for, and gone when its writer is."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from confcast.metrics.text_file import TextFile
from tests.support.waiting import eventually

SHORT, LONG = 0.01, 600.0


class Counting:
    """A collector that gives how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0

    def collect(self) -> Iterator[Any]:
        from prometheus_client.metrics_core import GaugeMetricFamily

        self.asked += 1
        yield GaugeMetricFamily("asked", "How often", float(self.asked))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "textfile").mkdir()
    return tmp_path / "textfile" / "shop.prom"


def writer(path: Path, collector: Counting | None = None, **options: Any) -> TextFile:
    return TextFile(path, collector or Counting(), **options)  # type: ignore[arg-type]


def names(path: Path) -> list[str]:
    return [each.name for each in path.parent.iterdir()]


def test_it_is_there_at_once_written_anew_and_removed_at_the_end(path: Path) -> None:
    with closing(writer(path, every=SHORT)) as file:
        file.start()
        assert path.read_text().startswith("# HELP asked How often")
        assert path.stat().st_mode & 0o777 == 0o644
        eventually(lambda: "asked 3.0" in path.read_text(), "a file that is written anew")
    assert names(path) == []
    file.close()


def test_permissions_are_as_asked_for(path: Path) -> None:
    with closing(writer(path, every=LONG, mode=0o640)) as file:
        file.start()
        assert path.stat().st_mode & 0o777 == 0o640


def test_the_end_leaves_the_file_of_another_writer(path: Path) -> None:
    with closing(writer(path, every=LONG)) as former:
        former.start()
        with closing(writer(path, every=LONG)) as other:
            other.start()
            former.close()
            assert names(path) == ["shop.prom"]
    assert names(path) == []


def test_two_writers_disturb_each_other_in_nothing(path: Path, monkeypatch: Any, caplog: Any) -> None:
    """As while a process takes over from another one; the second writes while the first is about to rename."""
    change_mode = os.fchmod

    def writes_meanwhile(descriptor: int, mode: int) -> None:
        change_mode(descriptor, mode)
        monkeypatch.undo()
        monkeypatch.setattr(os, "getpid", lambda: 4711)
        other.start()

    with closing(writer(path, every=LONG)) as former, closing(writer(path, every=LONG)) as other:
        monkeypatch.setattr(os, "fchmod", writes_meanwhile)
        former.start()
        assert (names(path), caplog.messages) == (["shop.prom"], [])


def test_what_writers_that_were_killed_have_left_is_removed(path: Path) -> None:
    left, under_way = path.with_name(".shop.prom.4711.new"), path.with_name(".shop.prom.4712.new")
    for each in (left, under_way):
        each.write_text("half a li")
    os.utime(left, (0, 0))
    with closing(writer(path, every=LONG)) as file:
        file.start()
        assert sorted(names(path)) == [".shop.prom.4712.new", "shop.prom"]


def test_a_folder_that_is_gone_is_logged_once_and_written_into_again(path: Path, caplog: Any) -> None:
    collector = Counting()
    with caplog.at_level(logging.WARNING, "confcast.metrics"), closing(writer(path, collector, every=SHORT)) as file:
        file.start()
        path.parent.rename(path.parent.with_name("away"))
        eventually(lambda: caplog.records, "a warning")
        before = collector.asked
        eventually(lambda: collector.asked > before + 3, "further tries")
        path.parent.mkdir()
        eventually(path.exists, "the file")
    assert [each.getMessage().rpartition(": ")[2] for each in caplog.records] == [
        "No such file or directory; it is tried again"
    ]
    assert names(path) == []
