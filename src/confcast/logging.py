"""A process's logging follows the configuration: `dictConfig` in every worker, and each record's version.

    # app.toml
    [logging.handlers.stream]
    class = "logging.StreamHandler"
    formatter = "plain"
    [logging.formatters.plain]
    format = "%(asctime)s %(levelname)s %(config_version)s %(message)s"
    [logging.root]
    level = "INFO"
    handlers = ["stream"]

    # settings.py
    import confcast.logging

    class Settings(BaseModel, frozen=True):
        logging: dict[str, object] = {}

    settings = Replica(Settings)
    confcast.logging.follow(settings, lambda c: c.logging)

What is wrong in it refuses the version in every worker, as far as that can be seen without opening a file: unknown
names, levels and classes, formats. What only shows when it is applied (a folder without permission) is said against the
version, which is taken back while it is on trial or probation; meanwhile the former configuration is applied again.

Logging belongs to the process, so it is applied by an observer, after the swap, and not derived: a canary of a trial
logs as before until the version is committed.

Who configures logging otherwise has the version, too: by `stamp_records()` in the module that declares the replica, or
by `ConfigVersionFilter` in a dictConfig of their own. The version is read where the record is made: a filter behind a
queue runs in another thread, outside the request's pin, so it changes no record that has the attribute.

Rejected: opening the handlers at the vote (a version that is never
committed would have made files), and `disable_existing_loggers` as dictConfig has it (each reload would silence the
loggers that the configuration does not name).
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import queue
import sys
from collections.abc import Callable, Iterator, Mapping
from logging.config import DictConfigurator, dictConfig
from logging.handlers import QueueListener
from typing import Any, TypeVar

from confcast import ConfigError, NotAttached, Problem, Replica, declared
from confcast.log_fields import about
from confcast.worker.derived.selected_key import key_of

_log = logging.getLogger("confcast.observers")

T = TypeVar("T")

ATTRIBUTE = "config_version"
"""What the version is called in a log record."""


def follow(
    settings: Replica[T], select: Callable[[T], Mapping[str, Any] | None], *, attribute: str = ATTRIBUTE
) -> None:
    """Configure this process's logging by a part of the configuration, now and after each change of it.

        confcast.logging.follow(settings, lambda c: c.logging)

    The part is what `logging.config.dictConfig` takes; `version` may be left out, and `disable_existing_loggers` is
    false unless it says otherwise. An empty part, or None, leaves logging as it is. With `incremental: true` only
    levels are set, and loggers that the former version has named, and this one does not, get their default level again.
    From Python 3.12 on dictConfig makes a listener for each `QueueHandler`: it is started, and stopped at the next
    change and at the process's exit, after it has handled what is in its queue. In a forked child the handlers behind
    the queue are called at once, until its next change.

    From the first time that it is applied, each log record of the process has an attribute with the version that is
    pinned where the record is made, outside pins the newest; 0 where none is. So a format may have
    `%(config_version)s`.

    Call it once, where the replica is declared. It changes nothing before there is a version. The
    observer runs in confcast's thread for observers; a test that calls `fake.push(…)` has it applied at once.

    Args:
        settings: The replica.
        select: Picks the part.
        attribute: The name of the records' attribute; another one for a second replica.
    """
    key = key_of(select, settings.schema)

    def logging_can_be_configured(old: T, new: T) -> None:
        wanted = select(new)
        problems = [Problem(_joined(key, place), text) for place, text in _problems(wanted)] if wanted else []
        if problems:
            raise ConfigError(problems, "rejected")

    def configure_logging(old: Mapping[str, Any] | None, new: Mapping[str, Any] | None) -> None:
        stamp_records(settings, attribute=attribute)
        if not new:
            return
        try:
            _apply(old, new)
        except Exception as error:
            settings.unhealthy(f"logging: {_said(error)}")
            if old:
                _apply_again(old)
            raise

    # What messages call them, as "confcast.logging:follow" where the module is named, too.
    logging_can_be_configured.__qualname__ = configure_logging.__qualname__ = follow.__qualname__
    settings.precommit(logging_can_be_configured)
    settings.subscribe(configure_logging, select=select, initial=True)


# ---- applying


def _apply(old: Mapping[str, Any] | None, new: Mapping[str, Any]) -> None:
    wanted = _complete(new)
    if wanted.get("incremental") and old:
        wanted["loggers"] = _without_level(old, new) | dict(wanted.get("loggers", {}))
        if "root" in old:
            wanted.setdefault("root", {"level": "WARNING"})
    _configure(wanted)


def _configure(whole: dict[str, Any]) -> None:
    if whole.get("incremental"):  # it makes no handler, and ends none
        dictConfig(whole)
        return
    _listeners.stop()
    dictConfig(whole)
    _listeners.start(whole)


class _Listeners:
    """The listeners of queue handlers. dictConfig makes them, from Python 3.12 on, and starts none.

    Whoever calls it once starts them by hand. Here it is called at each change, and with a listener that nobody starts
    every record would wait in a queue without bound, and be in no output. So it would in a forked child, which has no
    thread of its parent's: its records go to the handlers behind the queue at once, until it has listeners of its own.
    """

    def __init__(self) -> None:
        self._handlers: list[Any] = []  # whose listeners are started
        self._started: list[QueueListener] = []
        self._stopped: list[QueueListener] = []
        self._ends = self._forks = False  # whether the process's exit, and its forks, are hooked

    def stop(self) -> None:
        """End those that run, each after what is in its queue: dictConfig closes the handlers behind them."""
        for listener in self._started:
            listener.stop()
        self._stopped += self._started
        self._started, self._handlers = [], []

    def start(self, whole: Mapping[str, Any]) -> None:
        """Start those of the new handlers, and log again what came into a queue when its listener had ended."""
        if sys.version_info >= (3, 12):
            self._hook()
            for name, given in whole.get("handlers", {}).items():
                handler = logging.getHandlerByName(name)
                listener = getattr(handler, "listener", None)
                if "class" in given and isinstance(listener, QueueListener):  # what a factory makes is its own
                    listener.start()
                    self._started.append(listener)
                    self._handlers.append(handler)
            shared = [each.queue for each in self._started]
            stopped, self._stopped = self._stopped, []
            for listener in stopped:
                if listener.queue not in shared:
                    _log_again(listener.queue)

    def _hook(self) -> None:
        """Have both ends of this process's listeners be known: its own, and that of its memory in a forked child."""
        if not self._ends:
            self._ends = True
            atexit.unregister(self.stop)  # which a forked child has of its parent, but for one of multiprocessing's
            atexit.register(self.stop)
        if not self._forks and hasattr(os, "register_at_fork"):  # Windows has no fork
            self._forks = True
            os.register_at_fork(after_in_child=self._in_child)

    def _in_child(self) -> None:
        for handler in self._handlers:
            if isinstance(handler.queue, queue.Queue | queue.SimpleQueue):  # else the parent's listener has the records
                handler.enqueue = handler.listener.handle
        self._handlers, self._started, self._stopped = [], [], []
        self._ends = False


_listeners = _Listeners()


def _log_again(records: Any) -> None:
    with contextlib.suppress(queue.Empty):
        while True:
            record = records.get_nowait()
            logging.getLogger(record.name).handle(record)


def _complete(part: Mapping[str, Any]) -> dict[str, Any]:
    return {"version": 1, "disable_existing_loggers": False, **part}


def _without_level(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """The loggers that only the former version has named, with their default level."""
    left = set(old.get("loggers", {})) - set(new.get("loggers", {}))
    return {name: {"level": "NOTSET"} for name in left}


def _apply_again(former: Mapping[str, Any]) -> None:
    try:
        _configure(_complete(former))
    except Exception as error:
        _log.error(
            "logging is half configured: the former configuration can't be applied either: %s",
            _said(error),
            extra=about("logging_half_configured", error=_said(error)),
        )


def _said(error: Exception) -> str:
    """The text of dictConfig's error, which names the part, and of its cause, which says why."""
    cause = error.__cause__
    return f"{error}: {cause}" if cause is not None and str(cause) not in str(error) else str(error)


# ---- the version in each record


class ConfigVersionFilter(logging.Filter):
    """Gives each record that passes the version as an attribute; lets every record pass.

        "filters": {"version": {"()": "confcast.logging.ConfigVersionFilter"}},
        "handlers": {"queue": {"class": "logging.handlers.QueueHandler", "filters": ["version"], …}},

    The version is the one that is pinned where the record is made, outside pins the newest, and 0 where none is. So the
    filter belongs to the handlers that loggers call, of which a QueueHandler is one, and not to those behind it.

    Args:
        replica: Whose version; in a dictConfig `ext://pkg.settings.settings`. None: that of the replica that is
            declared. If several are, the value is a text like `app=12, flags=3`.
        attribute: The name of the attribute. A record that has it already keeps its value.
    """

    def __init__(self, replica: Replica[Any] | None = None, *, attribute: str = ATTRIBUTE) -> None:
        super().__init__()
        self._replica = replica
        self._attribute = attribute

    def filter(self, record: logging.LogRecord) -> bool:
        """Set the attribute. Any thread. Raises nothing."""
        if self._attribute not in record.__dict__:
            setattr(record, self._attribute, config_version(self._replica))
        return True


def stamp_records(replica: Replica[Any] | None = None, *, attribute: str = ATTRIBUTE) -> None:
    """Have every log record that this process makes from now on get the version as an attribute.

        settings = Replica(Settings)
        confcast.logging.stamp_records(settings)

    Whatever configures logging, and whenever: a format may have `%(config_version)s`. The version is the one that is
    pinned where the record is made, outside pins the newest, and 0 where none is. `follow` does the same. Called again,
    it replaces the replica. Any thread.

    Args:
        replica: Whose version. None: that of the replica that is declared when the record is made. If several are, the
            value is a text like `app=12, flags=3`.
        attribute: The name of the records' attribute; another one for a second replica.
    """
    former = factory = logging.getLogRecordFactory()
    while isinstance(factory, _Stamping):
        if factory.attribute == attribute:
            factory.replica = replica
            return
        factory = factory.former
    logging.setLogRecordFactory(_Stamping(former, replica, attribute))


class _Stamping:
    """A factory of log records that have the version as an attribute."""

    def __init__(self, former: Callable[..., logging.LogRecord], replica: Replica[Any] | None, attribute: str) -> None:
        self.former = former
        self.replica = replica
        self.attribute = attribute

    def __call__(self, *args: Any, **kwargs: Any) -> logging.LogRecord:
        record = self.former(*args, **kwargs)
        record.__dict__[self.attribute] = config_version(self.replica)
        return record


def config_version(replica: Replica[Any] | None = None) -> int | str:
    """The version to log now, for libraries that make no records of `logging`.

        def add_config_version(logger, method, event_dict):  # a processor of structlog
            return {**event_dict, "config_version": confcast.logging.config_version(settings)}

    The one that is pinned here, outside pins the newest, and 0 where none is. Any thread.

    Args:
        replica: Whose version. None: that of the replica that is declared; if several are, a text like
            `app=12, flags=3`.
    """
    replicas = declared() if replica is None else (replica,)
    versions = [_number(each) for each in replicas]
    if len(versions) > 1:
        return ", ".join(f"{each.name}={number}" for each, number in zip(replicas, versions, strict=True))
    return versions[0] if versions else 0


def _number(replica: Replica[Any]) -> int:
    try:
        return replica.version
    except NotAttached:
        return 0


# ---- what can be seen without opening a handler


def _problems(part: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The places in a part, and what is wrong there."""
    if part.get("version", 1) != 1:
        yield "version", f"1 is expected, not {part['version']!r}"
        return
    check = _Check(_complete(part))
    if part.get("incremental"):
        yield from check.levels()
        return
    for section, of_one in (
        ("formatters", check.formatter),
        ("filters", check.filter),
        ("handlers", check.handler),
        ("loggers", check.logger),
    ):
        for name, each in check.section(section).items():
            place = f"{section}.{name}"
            yield from of_one(place, each) if isinstance(each, Mapping) else [(place, "a table is expected")]
    if isinstance(root := part.get("root", {}), Mapping):
        yield from check.logger("root", root)
    else:
        yield "root", "a table is expected"


class _Check:
    """Looks at a dictConfig's dictionary, and makes none of its handlers, nor what a factory would make."""

    def __init__(self, whole: dict[str, Any]) -> None:
        self._whole = whole
        self._configurator = DictConfigurator(whole)

    def section(self, name: str) -> Mapping[str, Any]:
        found = self._whole.get(name, {})
        return found if isinstance(found, Mapping) else {}

    def levels(self) -> Iterator[tuple[str, str]]:
        for part in ("handlers", "loggers"):
            for name, each in self.section(part).items():
                yield from self._level(f"{part}.{name}", each)
        yield from self._level("root", self.section("root"))

    def formatter(self, place: str, given: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        if "()" in given:
            yield from self._class(f"{place}.()", given["()"])
            return
        if "class" in given:
            found = list(self._class(f"{place}.class", given["class"]))
            yield from found
            if found:
                return
        try:
            self._configurator.configure_formatter(dict(given))  # a Formatter checks its format, and opens nothing
        except Exception as error:
            yield place, _said(error)

    def filter(self, place: str, given: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        if "()" in given:
            yield from self._class(f"{place}.()", given["()"])

    def handler(self, place: str, given: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        made_by = "()" if "()" in given else "class"
        if made_by not in given:
            yield place, "it has no class"
        else:
            yield from self._class(f"{place}.{made_by}", given[made_by])
        yield from self._level(place, given)
        if isinstance(formatter := given.get("formatter"), str):
            yield from self._names(f"{place}.formatter", [formatter], "formatters")
        yield from self._names(f"{place}.filters", given.get("filters"), "filters")

    def logger(self, place: str, given: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        yield from self._level(place, given)
        yield from self._names(f"{place}.handlers", given.get("handlers"), "handlers")
        yield from self._names(f"{place}.filters", given.get("filters"), "filters")

    def _level(self, place: str, given: object) -> Iterator[tuple[str, str]]:
        level = given.get("level") if isinstance(given, Mapping) else None
        if level is None or (isinstance(level, int) and not isinstance(level, bool)):
            return
        known = logging.getLevelNamesMapping()
        if level not in known:
            yield f"{place}.level", f"there is no level {level!r}; expected: {', '.join(known)}, or a number"

    def _class(self, place: str, given: object) -> Iterator[tuple[str, str]]:
        if not isinstance(given, str):
            return  # a class or function itself: the schema lets objects through
        try:
            self._configurator.resolve(given)
        except Exception as error:
            yield place, f"{given!r} can't be imported: {_said(error)}"

    def _names(self, place: str, given: Any, section: str) -> Iterator[tuple[str, str]]:
        known = self.section(section)
        with contextlib.suppress(TypeError):  # no list: dictConfig says so
            for name in given or ():
                if isinstance(name, str) and name not in known:
                    yield place, f"there is no {section[:-1]} named {name!r}"


def _joined(key: str, place: str) -> str:
    return f"{key}.{place}" if key else place
