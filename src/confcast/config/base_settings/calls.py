"""Makes the sources of a BaseSettings class, calls them, and puts together what they give, as its constructor does.

`warnings` of pydantic-settings (a missing directory of secrets, a secret behind a link that leads outside) are caught
and returned: the owner's log is where people look. The filters of `warnings` belong to the whole process, so one lock
keeps two threads from exchanging them at the same time.
"""

from __future__ import annotations

import json
import logging
import re
import threading
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from confcast.errors import ConfigError, Problem

_OF_A_FIELD = re.compile(r'error (getting|parsing) value for field "(?P<field>.*?)" from source "(?P<source>.*?)"')
_FILES_OF_SOURCES = {
    "toml_file": "TomlConfigSettingsSource",
    "yaml_file": "YamlConfigSettingsSource",
    "json_file": "JsonConfigSettingsSource",
    "pyproject_toml_table_header": "PyprojectTomlConfigSettingsSource",
}
_CATCHING = threading.Lock()
_WAITS_FOR_ANOTHER = 1.0  # seconds
_LONG = 16  # characters of a text that count as one more value
_FEW_VALUES, _MOST_TIMES = 10_000, 50
"""So much may be there by aliases: some values anyhow, and others as many times as they are written."""
_COUNTED = 2**62  # a chain of aliases stands for numbers with as many bits as it has links
_CONTAINERS = (dict, list, tuple, set, frozenset)  # tuples are in what PyYAML makes of !!pairs and !!omap


class Called(NamedTuple):
    """One source of a class, and what it gave.

    Attributes:
        source: The source.
        data: What it gave.
    """

    source: Any
    data: dict[str, Any]


class SourceFailed(Exception):
    """A source of the class raised.

    Attributes:
        source: The source; None if the sources could not be made.
        error: What was raised.
        method: The method that raised; empty if the source was called.
    """

    def __init__(self, source: Any, error: BaseException, method: str = "") -> None:
        super().__init__(str(error))
        self.source, self.error, self.method = source, error, method


def refusal(cls: Any, *, inside: bool) -> Iterator[Problem]:
    """Why a class can't be read without its constructor, in words; nothing if it can be.

    Args:
        cls: The class.
        inside: Whether it is nested in another: then pydantic calls its constructor.
    """
    from pydantic_settings import BaseSettings

    if cls.__init__ is not BaseSettings.__init__ and not inside:
        own = next(base.__qualname__ for base in cls.__mro__ if "__init__" in vars(base))
        yield Problem(
            "",
            f"{own} has an __init__ of its own, which is not called, since its sources are read without it: put what it"
            " does into settings_customise_sources, or into a validator",
        )
    if cls.model_config.get("cli_parse_args"):
        yield _of_command_line(cls, "has cli_parse_args in its model_config")


def _of_command_line(cls: Any, what: str) -> Problem:
    return Problem(
        "",
        f"{cls.__qualname__} {what}, and the command line of the config owner is not yours: parse it where the server"
        " starts, and give what it says as ConfigLoader(…, overrides={…})",
    )


def made(cls: Any) -> list[Any]:
    """The sources of a class, high to low, the defaults of tables last.

    Raises:
        ConfigError: One of them reads the command line.
        SourceFailed: Making them raised.
    """
    import pydantic_settings as library
    from pydantic_settings.sources import DefaultSettingsSource

    try:
        sources = cls.settings_customise_sources(
            cls,
            init_settings=library.InitSettingsSource(cls, init_kwargs={}),
            env_settings=library.EnvSettingsSource(cls),
            dotenv_settings=library.DotEnvSettingsSource(cls),
            file_secret_settings=library.SecretsSettingsSource(cls),
        )
        found = [*sources, DefaultSettingsSource(cls)]
    except (Exception, SystemExit) as error:
        raise SourceFailed(None, error) from error
    if any(isinstance(source, library.CliSettingsSource) for source in found):
        raise ConfigError([_of_command_line(cls, "has a CliSettingsSource among its sources")])
    return found


def unread(cls: Any, sources: list[Any]) -> Iterator[str]:
    """A sentence for each file that a class names for a source that it does not have; the constructor warns, too."""
    import pydantic_settings as library

    for option, name in _FILES_OF_SOURCES.items():
        there = any(isinstance(source, getattr(library, name)) for source in sources)
        if cls.model_config.get(option) and not there:
            yield (
                f"{cls.__qualname__} has {option} in its model_config, and no {name} in settings_customise_sources:"
                " nothing is read from it"
            )


def called(sources: list[Any]) -> list[Called]:
    """What each source gives, in the same order. Raises SourceFailed."""
    state: dict[str, Any] = {}
    states: dict[str, dict[str, Any]] = {}
    found = []
    for source in sources:
        try:
            for tell, what in (("_set_current_state", state), ("_set_settings_sources_data", states)):
                getattr(source, tell, lambda known: None)(what)
            data = dict(source())
            _check_size(data)
        except (Exception, SystemExit) as error:
            raise SourceFailed(source, error) from error
        found.append(Called(source, data))
        states[getattr(source, "__name__", type(source).__name__)] = data
        state = updated(data, state)
    return found


class TooMuch(Exception):
    """What a source gives is more than it has in memory; the text is the predicate of a sentence about its file."""


def _check_size(data: dict[str, Any]) -> None:
    """Count each value as often as it is referred to, since each is validated and sent. Raises TooMuch.

    PyYAML makes one object of all aliases of a value: a kilobyte may stand for as much as it likes, or for itself. A
    small number, or a text of one character, is one object wherever it is written: only what is long is counted once.
    """
    sizes: dict[int, int] = {}
    around: set[int] = set()
    known: set[int] = set()
    left: list[tuple[Any, bool]] = [(data, False)]
    there = 0
    while left:
        node, is_counted = left.pop()
        inside = _inside(node)
        if is_counted:
            size = 1 + sum(sizes.get(id(each), 0) or _size(each) for each in inside)
            sizes[id(node)] = min(size, _COUNTED)
            around.discard(id(node))
        elif id(node) in around:
            raise TooMuch("has a value that contains itself, by an alias")
        elif id(node) not in sizes:
            there += sum(_size_once(each, known) for each in inside)
            around.add(id(node))
            left.append((node, True))
            left += [(each, False) for each in inside if isinstance(each, _CONTAINERS)]
    if sizes[id(data)] > _FEW_VALUES + _MOST_TIMES * there:
        raise TooMuch(f"has aliases that stand for {_MOST_TIMES} times as much as it has, or more")


def _inside(node: Any) -> Collection[Any]:
    return [*node, *node.values()] if isinstance(node, dict) else node


def _size(value: Any) -> int:
    return 1 + len(value) // _LONG if isinstance(value, str | bytes) else 1


def _size_once(value: Any, known: set[int]) -> int:
    size = 1 if id(value) in known else _size(value)
    known.add(id(value))
    return size


def together(found: list[Called]) -> dict[str, Any]:
    """What the constructor would validate: every table merged, without tables that only repeat the defaults."""
    state: dict[str, Any] = {}
    for each in found:
        state = updated(each.data, state)
    defaults = found[-1].data
    return {key: value for key, value in state.items() if key not in defaults or defaults[key] != value}


def updated(low: Mapping[str, Any], high: Mapping[str, Any]) -> dict[str, Any]:
    """One table over another, as pydantic-settings merges them: by the very text of each key."""
    merged = dict(low)
    for key, value in high.items():
        below = merged.get(key)
        merged[key] = updated(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged


class Caught:
    """What the libraries have warned of in one read.

    Attributes:
        texts: The texts of warnings, and what else is to be said of the classes.
        skipped_lines: Whether python-dotenv has skipped a line that it can't parse.
    """

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.skipped_lines = False

    def filter(self, record: logging.LogRecord) -> bool:
        """Keep a record of python-dotenv's parser, its only ones, out of the log."""
        self.skipped_lines = True
        return False


@contextmanager
def caught_warnings() -> Iterator[Caught]:
    """Catch what is warned of inside; the texts are there afterwards.

    python-dotenv logs a line that it can't parse each time that it reads a file, which is twice a minute here;
    `files.ignored_lines` says it with its place, and is logged once. A source that hangs in one thread must not keep
    another from reading: that one soon goes on without catching.
    """
    found = Caught()
    if not _CATCHING.acquire(timeout=_WAITS_FOR_ANOTHER):
        yield found
        return
    parser = logging.getLogger("dotenv.main")
    parser.addFilter(found)
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            yield found
        found.texts += dict.fromkeys(str(each.message) for each in caught)
    finally:
        parser.removeFilter(found)
        _CATCHING.release()


def problem_of(failure: SourceFailed, cls: Any, where: Callable[[Any, str], str]) -> Problem:
    """The problem of a failure: its field, its source and its cause, without a value.

    Args:
        failure: What was raised.
        cls: The class.
        where: Returns the place of a field's value in a source.
    """
    error = failure.error
    named = _OF_A_FIELD.match(str(error))
    if named is None:
        name = f"{cls.__qualname__}.settings_customise_sources" if failure.source is None else _name(failure.source)
        name += f".{failure.method}" if failure.method else ""
        return Problem("", f"{name}() raised {type(error).__name__}{_text_of(error)}", file_of(error))
    cause = error.__cause__ or error
    place = file_of(cause) or where(failure.source, named["field"]) or named["source"]
    return Problem(named["field"], f"{_why(cause)} (read by {named['source']})", place)


def _why(cause: BaseException) -> str:
    if isinstance(cause, json.JSONDecodeError):
        place = f"line {cause.lineno}, column {cause.colno}"
        return f"a list or a table has to be written as JSON here; the text is no valid JSON: {cause.msg} ({place})"
    if isinstance(cause, UnicodeDecodeError):
        return f"is not {cause.encoding.upper()}: save it as that"
    if isinstance(cause, OSError):
        return f"can't be read: {cause.strerror}"
    return f"can't be read: {type(cause).__name__}{_text_of(cause)}"


def _text_of(error: BaseException) -> str:
    """The text of an error, with a colon; empty for one that quotes what was read, which may be a secret."""
    quoting = isinstance(error, json.JSONDecodeError) or type(error).__module__.split(".")[0] in (
        "yaml",
        "pydantic_core",
    )
    return "" if quoting or not str(error) else f": {error}"


def _name(source: Any) -> str:
    return getattr(source, "__name__", type(source).__name__)


def file_of(error: BaseException) -> str:
    """The file that a failure is about: that of the system's error, or that which pydantic-settings was reading."""
    if isinstance(error, OSError) and isinstance(error.filename, str | Path):
        return str(error.filename)
    found, trace = "", error.__traceback__
    while trace is not None:
        found, trace = _file_in(trace) or found, trace.tb_next
    return found


def _file_in(trace: TracebackType) -> str:
    if not trace.tb_frame.f_globals.get("__name__", "").startswith("pydantic_settings."):
        return ""
    found = (trace.tb_frame.f_locals.get(name) for name in ("file_path", "path"))
    return next((str(path) for path in found if isinstance(path, str | Path) and Path(path).is_file()), "")
