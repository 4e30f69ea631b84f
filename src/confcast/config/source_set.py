"""Calls the sources of one loader, and notes the files that they read beyond their own.

Guarantees: whatever a user's source raises becomes a `ConfigError` that names its class and method, without its
secrets; a source that can't be read is never taken for one that sets nothing. A file that a source only finds while it
reads (an included file, the file of a secret) is watched and counted from that read on, also if the read fails on it.

How. A read notes such files, each with the fingerprint of its content. What is noted belongs to the latest read, and is
replaced as a whole, so that another thread (the watcher) sees the files of one read. The set of these files depends on
nothing but the contents that a fingerprint covers, and so two fingerprints of equal contents are equal.

Rejected: to let each source remember its files (a source is data that travels, and two threads call it), and to return
them with the layer (a read that fails returns none, and just then a change of the file matters).
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from confcast.config.schema.kinds import fields_of
from confcast.config.schema.masking import masking
from confcast.config.schema.secret_paths import secrets_in
from confcast.config.sources import disk
from confcast.config.sources.file import File
from confcast.config.sources.layer import Layer, PartsRefused, Source, ValueRefused, combined, fingerprint_of
from confcast.errors import ConfigError, Problem
from confcast.log_fields import about
from confcast.texts import str_of

_log = logging.getLogger("confcast.loader")
_REASONS = ("validation_failed", "file_not_found", "io_error")

Noted = Mapping[Path, bytes]
"""The files that one read of a source found beyond its own, with the fingerprints of their contents."""


class SourcesRead(NamedTuple):
    """What one read of all sources gave.

    Attributes:
        layers: One for each source that could be read, low to high.
        fingerprints: One for each of these sources, of its content and of the files that it noted.
        errors: Why the others could not be read.
    """

    layers: list[Layer]
    fingerprints: list[bytes]
    errors: list[ConfigError]


class SourceSet:
    """The sources of a loader, low to high. For any thread; reads are for one thread at a time.

    Args:
        sources: The sources.

    Attributes:
        followed: What the last read gave of each source with a `follow()` that could be read, or whose answer was none:
            the fingerprint of its layer, by the source's index from the end (-1 is the last one).
    """

    def __init__(self, sources: Sequence[Source]) -> None:
        self.sources = tuple(sources)
        self.followed: dict[int, bytes] = {}
        self._follows = {index: each for index, each in indexed(self.sources) if follows(each)}
        self._noted: tuple[Noted, ...] = tuple({} for _ in self.sources)

    def read(self, schema: Callable[[], Any] = lambda: None) -> SourcesRead:
        """Read every source. Raises nothing but what ends the process.

        Args:
            schema: Gives the class, or None if it can't be had; called only for a source whose files it decides on.
        """
        found, noted, followed = SourcesRead([], [], []), [], {}
        if any(hasattr(source, "_asked_now") for source in self.sources):
            from confcast.config.sources import polled

            polled.ask_together(self.sources)
        for index, source in indexed(self.sources):
            files: dict[Path, bytes] = {}
            try:
                layer = _layer(source, files.__setitem__, schema)
                found.layers.append(layer)
                if index in self._follows:
                    followed[index] = layer.fingerprint
                found.fingerprints.append(_with_files(layer.fingerprint, files.items()))
            except ConfigError as error:
                found.errors.append(error)
                if index in self._follows and (answer := _fingerprint_of_answer(source)) is not None:
                    followed[index] = answer
            noted.append(files)
        self._noted, self.followed = tuple(noted), followed
        return found

    def fingerprints(self) -> list[bytes]:
        """The fingerprints that `read()` would return, without parsing anything. Never raises.

        A source that can't be read has a fingerprint of its own, so that its return is a change.
        """
        return [
            _with_files(_content_fingerprint(source), ((file, disk.fingerprint_now(file)) for file in noted))
            for source, noted in zip(self.sources, self._noted, strict=True)
        ]

    def watched(self) -> Iterator[Path]:
        """The files and directories of all sources, and those that they noted.

        Raises:
            ConfigError: The `watched()` of a source raised.
        """
        for source, noted in zip(self.sources, self._noted, strict=True):
            yield from files_of(source)
            yield from noted

    def names_none(self) -> bool:
        """Whether a source that has files at times names none now."""
        return any(not files_of(source) for source in self.sources if hasattr(source, "watched"))

    def still_being_written(self) -> Iterator[Path]:
        """The files that some process has open for writing now, as far as the system can tell."""
        for source, noted in zip(self.sources, self._noted, strict=True):
            writing = getattr(source, "still_being_written", bool)()
            yield from files_of(source) if writing is True else writing or ()
            yield from filter(disk.is_being_written, noted)


def indexed(sources: Sequence[Source]) -> Iterator[tuple[int, Source]]:
    """The sources, each with its index from the end: a BaseSettings class has sources of its own before the given."""
    return enumerate(sources, -len(sources))


def follows(source: object) -> bool:
    """Whether the config owner follows this source, and not only polls it, or watches its files."""
    return callable(getattr(source, "follow", None))


def as_source(given: Any) -> Source:
    """A source as it was given to a loader: a str or a Path is a `File`. Raises TypeError for what is no source."""
    if isinstance(given, str | os.PathLike):
        return File(given)
    if isinstance(given, type) or not callable(getattr(given, "read", None)):
        raise TypeError(f"{given!r} is no source: it has to be a path, or a msgspec.Struct with a read() -> Layer")
    return given  # type: ignore[no-any-return]  # just tested


def _layer(source: Source, note: Callable[[Path, bytes], None], schema: Callable[[], Any]) -> Layer:
    """What a source gives now; `note` is called with each file that it reads beyond its own. Raises ConfigError.

    A source with a `read_for` is given the schema, too: the keys of the class say which of its values name files.
    """
    try:
        if (fitting := getattr(source, "read_for", None)) is not None:
            layer = fitting(schema, note)
        else:
            noting = getattr(source, "read_noting", None)
            layer = source.read() if noting is None else noting(note)
    except (ValueRefused, PartsRefused):
        raise
    except ConfigError as error:
        raise _fit_to_travel(error) from error
    except (Exception, SystemExit) as error:
        raise _raised(error, source, "read") from error
    if not isinstance(layer, Layer):
        raise ConfigError([Problem("", _no_layer(type(source).__name__, layer))])
    return layer


def _no_layer(name: str, given: object) -> str:
    """What to do about a source that gives plain data."""
    call = f'Layer("{name}", data)' if isinstance(given, dict) else f'Layer("{name}", {{"key": "value"}})'
    return f"{name}.read() gave a {type(given).__name__}, not a Layer: `from confcast import Layer`, and return {call}"


def files_of(source: Source) -> tuple[Path, ...]:
    """The files that a source says it has. Raises ConfigError for what its `watched()` raises."""
    try:
        return tuple(getattr(source, "watched", tuple)())
    except (Exception, SystemExit) as error:
        raise _raised(error, source, "watched") from error


def _raised(error: BaseException, source: Source, method: str) -> ConfigError:
    """The ConfigError for an exception of a user's source, which may raise anything."""
    text = f"{type(source).__name__}.{method}() raised {type(error).__name__}: {_text_of(error, source)}"
    return ConfigError([Problem("", text)], "io_error")


def _text_of(error: BaseException, source: Source) -> str:
    return without_its_secrets(str_of(error), source)


def without_its_secrets(text: str, source: Any) -> str:
    """What a user's source raised, as text, with the source's own secrets, such as a token, masked."""
    try:
        fields = {field.key: getattr(source, field.name, None) for field in fields_of(type(source)) or ()}
    except TypeError:  # an annotation names a type that is imported for type checkers only
        return "(the text is left out: what is a secret can't be told)"
    return masking(secrets_in(type(source), fields))(text)


def _fit_to_travel(error: ConfigError) -> ConfigError:
    """The error with a known reason and real Problems: a user's source may raise others, which no message can hold."""
    problems = [each if isinstance(each, Problem) else Problem("", str_of(each)) for each in error.problems]
    return ConfigError(problems, error.reason if error.reason in _REASONS else "validation_failed")


def _with_files(own: bytes, files: Iterable[tuple[Path, bytes]]) -> bytes:
    """The fingerprint of a source's own content and of the files that it noted, in the order of their paths."""
    noted = [each for _, each in sorted(files)]
    return combined([own, *noted]) if noted else own


def _fingerprint_of_answer(source: Any) -> bytes | None:
    """The fingerprint of what a source was told in the load that this thread is in; None if it asks nobody."""
    if not hasattr(source, "_asked_now"):
        return None
    from confcast.config.sources.one_load import asked_in_load

    answer = (asked_in_load.get() or {}).get(source)
    if answer is None or not answer.done() or answer.exception() is not None:
        return None
    return bytes(answer.result().fingerprint)


def _content_fingerprint(source: Source) -> bytes:
    try:
        cheap = getattr(source, "content_fingerprint", None)
        found = (
            cheap() if cheap is not None else _layer(source, lambda file, fingerprint: None, lambda: None).fingerprint
        )
    except (Exception, SystemExit) as error:
        # A source that can't be read counts as content of its own. The load that follows reports what is wrong.
        _log.debug(
            "no fingerprint of %s: %s: %s",
            type(source).__name__,
            type(error).__name__,
            _text_of(error, source),
            extra=about("no_fingerprint", source=type(source).__name__),
        )
        return fingerprint_of(f"{type(error).__name__}: {str_of(error)}".encode(errors="surrogatepass"))
    return bytes(found)
