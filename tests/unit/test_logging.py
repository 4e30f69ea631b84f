"""`confcast.logging.follow`: what is refused at the vote, what is applied, and what a failure leaves."""

from __future__ import annotations

import asyncio
import contextvars
import io
import logging
import logging.config
import multiprocessing
import os
import queue
import sys
import threading
from collections.abc import Callable, Iterator
from logging.handlers import QueueHandler, QueueListener
from pathlib import Path
from typing import Any

import msgspec
import pytest

import confcast.logging
from confcast import ConfigError, Problem, Replica

NAME = "followed"


class Settings(msgspec.Struct, frozen=True):
    """As in the module's example."""

    logging: dict[str, Any] = {}


def part(file: Path, level: str = "INFO", **more: Any) -> Settings:
    """Logs of one logger go to a file."""
    handler = {"class": "logging.FileHandler", "filename": str(file), "formatter": "plain", **more}
    return Settings(
        {
            "formatters": {"plain": {"format": "%(config_version)s %(message)s"}},
            "handlers": {"file": handler},
            "loggers": {NAME: {"level": level, "handlers": ["file"]}},
        }
    )


@pytest.fixture
def settings() -> Replica[Settings]:
    settings = Replica(Settings, name="logs")
    confcast.logging.follow(settings, lambda c: c.logging)
    return settings


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """A logger is the process's own; the root's state is put back around every test."""
    yield
    logger = logging.getLogger(NAME)
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
        handler.close()
    logger.setLevel(logging.NOTSET)
    logger.disabled = False


def test_it_is_applied_and_records_have_the_version_of_their_request(settings: Replica[Settings], tmp_path: Path):
    other = logging.getLogger("not.named")
    with settings.override(Settings()) as fake:
        fake.push(part(tmp_path / "log"))
        with settings.pin():
            fake.push(part(tmp_path / "log", "DEBUG"))
            logging.getLogger(NAME).debug("pinned")
        logging.getLogger(NAME).debug("newest")
    assert (tmp_path / "log").read_text() == "2 pinned\n3 newest\n"
    assert not other.disabled
    logging.getLogger(NAME).info("nowhere")
    assert (tmp_path / "log").read_text().endswith("0 nowhere\n")


def test_an_empty_part_leaves_logging_as_it_is(settings: Replica[Settings], tmp_path: Path):
    with settings.override(Settings()) as fake:
        fake.push(part(tmp_path / "log"))
        handlers = list(logging.getLogger(NAME).handlers)
        fake.push(Settings())
        assert logging.getLogger(NAME).handlers == handlers


@pytest.mark.parametrize(
    ("wrong", "key", "text"),
    [
        ({"version": 2}, "logging.version", "1 is expected"),
        ({"loggers": {NAME: {"level": "LOUD"}}}, f"logging.loggers.{NAME}.level", "no level 'LOUD'"),
        ({"loggers": {NAME: {"handlers": ["fiel"]}}}, f"logging.loggers.{NAME}.handlers", "no handler named 'fiel'"),
        ({"loggers": {NAME: "INFO"}}, f"logging.loggers.{NAME}", "a table is expected"),
        ({"root": {"level": "LOUD"}}, "logging.root.level", "no level 'LOUD'"),
        ({"root": "INFO"}, "logging.root", "a table is expected"),
        ({"handlers": {"h": {}}}, "logging.handlers.h", "no class"),
        ({"handlers": {"h": {"class": "logging.Nope"}}}, "logging.handlers.h.class", "can't be imported"),
        ({"handlers": {"h": {"()": "nowhere.make"}}}, "logging.handlers.h.()", "can't be imported"),
        (
            {"handlers": {"h": {"class": "logging.NullHandler", "formatter": "f", "filters": ["g"], "level": "LOUD"}}},
            "logging.handlers.h.formatter",
            "no formatter named 'f'",
        ),
        ({"formatters": {"f": {"format": "%(", "style": "{"}}}, "logging.formatters.f", "f"),
        ({"formatters": {"f": {"class": "nowhere.F"}}}, "logging.formatters.f.class", "can't be imported"),
        ({"filters": {"f": {"()": "nowhere.F"}}}, "logging.filters.f.()", "can't be imported"),
        ({"incremental": True, "handlers": {"h": {"level": "LOUD"}}}, "logging.handlers.h.level", "no level"),
    ],
)
def test_what_is_wrong_refuses_the_version_with_its_key(
    settings: Replica[Settings], wrong: dict[str, Any], key: str, text: str
):
    with settings.override(Settings()) as fake:
        with pytest.raises(ConfigError) as refused:
            fake.push(Settings(wrong))
        found = {problem.key: problem.message for problem in refused.value.problems}
        assert all("<locals>" not in message for message in found.values()), "nobody knows that function"
        assert key in found
        assert text in found[key]
        assert settings.version == 1


def test_the_vote_opens_no_handler(settings: Replica[Settings], tmp_path: Path):
    with settings.override(Settings()) as fake, pytest.raises(ConfigError):
        fake.push(part(tmp_path / "log", "LOUD"))
    assert not (tmp_path / "log").exists()


def test_what_shows_only_when_it_is_applied_is_said_and_the_former_one_is_applied_again(
    settings: Replica[Settings], tmp_path: Path
):
    with settings.override(Settings()) as fake:
        fake.push(part(tmp_path / "log"))
        with pytest.raises(ValueError, match="Unable to configure handler 'file'"):
            fake.push(part(tmp_path / "no" / "log"))
        (said,) = fake.healthcheck()
        assert said.message.startswith("logging: Unable to configure handler 'file': [Errno 2] No such file")
        logging.getLogger(NAME).info("goes on")
    assert (tmp_path / "log").read_text() == "3 goes on\n"


def test_with_levels_only_what_is_left_out_has_its_default_again(settings: Replica[Settings]):
    logger = logging.getLogger(NAME)
    with settings.override(Settings()) as fake:
        levels = {"incremental": True, "loggers": {NAME: {"level": "ERROR"}}, "root": {"level": "DEBUG"}}
        fake.push(Settings(levels))
        assert (logger.level, logging.root.level) == (logging.ERROR, logging.DEBUG)
        fake.push(Settings({"incremental": True}))
        assert (logger.level, logging.root.level) == (logging.NOTSET, logging.WARNING)


def queued(file: Path, level: str = "INFO") -> Settings:
    """As `part`, through a queue whose listener dictConfig makes and does not start (from Python 3.12 on)."""
    whole = {**part(file, level).logging}
    queue = {"class": "logging.handlers.QueueHandler", "handlers": ["file"]}
    whole["handlers"] = {**whole["handlers"], "queue": queue}
    whole["loggers"] = {NAME: {"level": level, "handlers": ["queue"]}}
    return Settings(whole)


def listeners() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if "_monitor" in thread.name}


@pytest.mark.skipif(sys.version_info < (3, 12), reason="dictConfig makes no listener")
def test_a_queue_has_a_listener_after_each_change(settings: Replica[Settings], tmp_path: Path):
    before = listeners()
    with settings.override(Settings()) as fake:
        for file in (tmp_path / "one", tmp_path / "two"):
            fake.push(queued(file))
            logging.getLogger(NAME).info("queued")
            assert len(listeners() - before) == 1
        fake.push(part(tmp_path / "last"))
        assert not listeners() - before
    assert [(tmp_path / name).read_text() for name in ("one", "two", "last")] == ["2 queued\n", "3 queued\n", ""]


@pytest.mark.skipif(sys.version_info < (3, 12), reason="dictConfig makes no listener")
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork")
def test_a_forked_child_logs_though_the_listener_s_thread_is_the_parent_s(settings: Replica[Settings], tmp_path: Path):
    """Without: all that it logs stays in its copy of the queue, for good."""
    with settings.override(Settings()) as fake:
        fake.push(queued(tmp_path / "one"))
        if not (child := os.fork()):
            status = 1
            try:
                logging.getLogger(NAME).info("of the child, %d", len(listeners()))
                fake.push(queued(tmp_path / "two"))
                logging.getLogger(NAME).info("by its own, %d", len(listeners()))
                fake.push(part(tmp_path / "last"))
                status = 0
            finally:
                os._exit(status)
        assert os.waitpid(child, 0)[1] == 0
        logging.getLogger(NAME).info("of the parent, %d", len(listeners()))
        fake.push(part(tmp_path / "last"))
    assert (tmp_path / "one").read_text() == "2 of the child, 0\n2 of the parent, 1\n"
    assert (tmp_path / "two").read_text() == "3 by its own, 1\n"


@pytest.mark.skipif(sys.version_info < (3, 13), reason="such a child does nothing at its exit")
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork")
def test_a_child_of_multiprocessing_ends_its_listeners_at_its_exit(settings: Replica[Settings], tmp_path: Path):
    """It forgets what its parent does at the exit. Without: what is in the queue of its own listener then is lost."""

    def logs() -> None:
        fake.push(queued(tmp_path / "one"))
        (listener,) = confcast.logging._listeners._started
        ends, handle, stop = threading.Event(), listener.handle, listener.stop
        listener.handle = lambda record: ends.wait() and handle(record)  # type: ignore[method-assign]
        listener.stop = lambda: (ends.set(), stop())[1]  # type: ignore[method-assign, func-returns-value]
        logging.getLogger(NAME).info("at the end")

    with settings.override(Settings()) as fake:
        fake.push(queued(tmp_path / "parent"))
        child = multiprocessing.get_context("fork").Process(target=logs)
        child.start()
        child.join(20)
        assert child.exitcode == 0
        fake.push(part(tmp_path / "last"))
    assert (tmp_path / "one").read_text() == "3 at the end\n"


@pytest.mark.skipif(sys.version_info < (3, 12), reason="dictConfig makes no listener")
def test_what_is_logged_while_a_queue_is_replaced_is_in_the_next_file(
    settings: Replica[Settings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def logs_first(whole: dict[str, Any]) -> None:
        logging.getLogger(NAME).info("meanwhile")  # its listener has been stopped
        logging.config.dictConfig(whole)

    with settings.override(Settings()) as fake:
        fake.push(queued(tmp_path / "one"))
        monkeypatch.setattr(confcast.logging, "dictConfig", logs_first)
        fake.push(part(tmp_path / "two"))
    assert (tmp_path / "one").read_text() == ""
    assert (tmp_path / "two").read_text().endswith(" meanwhile\n")


@pytest.mark.skipif(sys.version_info < (3, 12), reason="dictConfig makes no listener")
def test_a_queue_that_comes_back_after_a_failure_has_a_listener(settings: Replica[Settings], tmp_path: Path):
    before = listeners()
    with settings.override(Settings()) as fake:
        fake.push(queued(tmp_path / "log"))
        with pytest.raises(ValueError, match="Unable to configure handler 'file'"):
            fake.push(part(tmp_path / "no" / "log"))
        logging.getLogger(NAME).info("again")
        assert len(listeners() - before) == 1
        fake.push(part(tmp_path / "last"))
    assert not listeners() - before
    assert (tmp_path / "log").read_text().endswith(" again\n")


def test_a_second_replica_has_an_attribute_of_its_own(settings: Replica[Settings]):
    second = Replica(Settings, name="flags")
    confcast.logging.follow(second, lambda c: c.logging, attribute="flags_version")
    with settings.override(Settings()) as fake, second.override(Settings()) as other:
        for each in (fake, fake, other):
            each.push(Settings({"incremental": True, "loggers": {NAME: {"level": "INFO"}}}))
            each.push(Settings({"incremental": True}))
        record: Any = logging.getLogRecordFactory()(NAME, logging.INFO, "file", 1, "text", (), None)
        assert (record.config_version, record.flags_version) == (5, 3)
        stamping = logging.getLogRecordFactory()
        assert not isinstance(stamping.former.former, confcast.logging._Stamping)  # type: ignore[attr-defined]


def test_a_select_that_computes_names_no_key():
    settings = Replica(Settings, name="computed")
    confcast.logging.follow(settings, lambda c: {"loggers": dict(c.logging)})
    with settings.override(Settings()) as fake, pytest.raises(ConfigError) as refused:
        fake.push(Settings({NAME: {"level": "LOUD"}}))
    assert [each.key for each in refused.value.problems] == [f"loggers.{NAME}.level"]
    assert isinstance(refused.value.problems[0], Problem)


# ---- the version without `follow`


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """What one logger's handler writes: the version, and the text."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(config_version)s %(message)s"))
    logger = logging.getLogger(NAME)
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield stream
    logger.filters.clear()


def say(text: str) -> None:
    logging.getLogger(NAME).info(text)


def test_each_record_of_a_pinned_request_has_its_version(written: io.StringIO):
    settings = Replica(Settings, name="stamped")
    confcast.logging.stamp_records(settings)
    say("before there is one")
    with settings.override(Settings()) as fake:
        with settings.pin():
            fake.push(Settings({"a": 1}))
            say("pinned")
            asyncio.run(_in_tasks())
            in_thread(lambda: say("a thread of its own"))
            context = contextvars.copy_context()
            in_thread(lambda: context.run(say, "a thread with the context"))
        say("newest")
    assert written.getvalue().splitlines() == [
        "0 before there is one",
        "1 pinned",
        "1 a task",
        "1 asyncio.to_thread",
        "2 a thread of its own",
        "1 a thread with the context",
        "2 newest",
    ]


async def _in_tasks() -> None:
    async def task() -> None:
        say("a task")

    await asyncio.create_task(task())
    await asyncio.to_thread(say, "asyncio.to_thread")


def in_thread(act: Callable[[], object]) -> None:
    thread = threading.Thread(target=act)
    thread.start()
    thread.join()


def test_stamping_again_replaces_the_replica(written: io.StringIO):
    first, second = Replica(Settings, name="first"), Replica(Settings, name="second")
    before = logging.getLogRecordFactory()
    for each in (first, first, second):
        confcast.logging.stamp_records(each)
    assert logging.getLogRecordFactory().former is before  # type: ignore[attr-defined]
    with second.override(Settings()):
        say("the second's")
    assert written.getvalue() == "1 the second's\n"


def test_a_filter_at_the_queue_keeps_the_version_that_one_behind_it_would_lose(settings: Replica[Settings]):
    """The listener handles records in its own thread, when the request is over."""
    behind = logging.StreamHandler(stream := io.StringIO())
    behind.setFormatter(logging.Formatter("%(config_version)s %(message)s"))
    behind.addFilter(confcast.logging.ConfigVersionFilter(settings))
    records: queue.SimpleQueue[Any] = queue.SimpleQueue()
    logger = logging.getLogger(NAME)
    logger.setLevel(logging.INFO)
    with_filter, without = QueueHandler(records), QueueHandler(records)
    with_filter.addFilter(confcast.logging.ConfigVersionFilter(settings))
    with settings.override(Settings()) as fake:
        with settings.pin():
            fake.push(Settings({}))
            for handler in (with_filter, without):
                logger.addHandler(handler)
                say("pinned")
                logger.removeHandler(handler)
        listener = QueueListener(records, behind)
        listener.start()
        listener.stop()
    assert stream.getvalue() == "1 pinned\n2 pinned\n"


def test_a_filter_of_a_dict_config_finds_its_replica_by_import_path(
    written: io.StringIO, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "filtered_settings.py").write_text(
        "import msgspec, confcast\nclass S(msgspec.Struct): pass\nsettings = confcast.Replica(S, name='filtered')"
    )
    monkeypatch.syspath_prepend(tmp_path)
    kind = "confcast.logging.ConfigVersionFilter"
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "incremental": False,
            "filters": {"v": {"()": kind, "replica": "ext://filtered_settings.settings"}},
            "loggers": {NAME: {"filters": ["v"], "level": "INFO"}},
        }
    )
    handler = logging.StreamHandler(written)
    handler.setFormatter(logging.Formatter("%(config_version)s %(message)s"))
    logging.getLogger(NAME).addHandler(handler)
    say("not attached")
    from filtered_settings import S, settings  # type: ignore[import-not-found]

    with settings.override(S()):
        say("attached")
    assert written.getvalue() == "0 not attached\n1 attached\n"


def test_several_replicas_are_named(monkeypatch: pytest.MonkeyPatch, written: io.StringIO):
    app, flags = Replica(Settings, name="app"), Replica(Settings, name="flags")
    monkeypatch.setattr(confcast.logging, "declared", lambda: (app, flags))
    confcast.logging.stamp_records()
    with app.override(Settings()):
        say("one of two has a version")
        assert confcast.logging.config_version() == "app=1, flags=0"
        assert confcast.logging.config_version(app) == 1
    monkeypatch.setattr(confcast.logging, "declared", tuple)
    say("none is declared")
    assert written.getvalue() == "app=1, flags=0 one of two has a version\n0 none is declared\n"
