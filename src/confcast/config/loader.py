"""Makes a candidate from sources and a schema, or reports every problem at once with its position.

Order, low to high: the schema's defaults, the sources in the order given, the overrides of the constructor, and the
values that were set at run time (`overrides.py`), which a load is given. Guarantees: problems of all sources come in
one `ConfigError`; a source that can't be read or parsed is never taken for one that sets nothing. A loader imports its
schema at first use, so that a master that only passes the loader on never imports it.

Reading and building are two steps: the config owner compares what was read with what it attempted last, before any of
the user's code runs. Rejected: validating the other sources when one can't be read (half of the problems would be that
keys are missing).
"""

from __future__ import annotations

import codecs
import contextlib
import copy
import functools
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast, overload

import msgspec

from confcast.config import callers_files, contents, guarding, restart
from confcast.config.base_settings.nested import has_own_sources
from confcast.config.candidate import Candidate, Reading
from confcast.config.codec.masked_header import with_masked, without_masked
from confcast.config.excerpts import with_excerpts
from confcast.config.field_walk import masked_in_configuration
from confcast.config.guarding import Guard
from confcast.config.import_loader import find_loader
from confcast.config.left_out import LeftOut
from confcast.config.loader_spec import LoaderSpec as LoaderSpec
from confcast.config.loader_spec import check_plain, packed, unpacked
from confcast.config.lookup import Lookup
from confcast.config.overrides import NONE, Call, Overrides
from confcast.config.plain_bytes import decode_data, encode_data
from confcast.config.schema.key_path import KeyPath, value_at
from confcast.config.schema.kinds import import_path, is_of_main, kind_of, resolve
from confcast.config.schema.mark_check import check_marks
from confcast.config.schema.masked_keys import mask_keys, masked_keys
from confcast.config.schema.masking import masking
from confcast.config.schema.secret_paths import secrets_in, shown_key
from confcast.config.schema.spelling import Spelling, spelling_of
from confcast.config.schema.watched_path import has_watched
from confcast.config.source_set import SourceSet, as_source
from confcast.config.sources import disk
from confcast.config.sources.layer import Fitted, Layer, PartsRefused, Source, ValueRefused, combined, fingerprint_of
from confcast.config.sources.merge import Merged
from confcast.config.sources.one_load import asked_once
from confcast.config.validation import shadowed
from confcast.config.validation.field_errors import FieldError, Invalid, problems_of
from confcast.config.validation.leftovers import Leftovers
from confcast.config.validation.validate import validate
from confcast.errors import ConfigError, NotCarried, Problem, ProtocolError
from confcast.log_fields import about
from confcast.wire.messages import MAX_FRAME, UNDECODABLE

if TYPE_CHECKING:
    from confcast.config.codec import Codec

T = TypeVar("T")

_log = logging.getLogger("confcast.loader")
_ENVELOPE = 1024  # bytes of a frame beside the payload, rounded up


class ConfigLoader(Generic[T]):
    """Loads a configuration of one schema from several sources.

    Args:
        schema: The class, or `"pkg.settings:Settings"`, which is imported at first use.
        sources: From low to high: a higher source overrides a lower one field by field. A str or a Path is a `File`.
        overrides: Values above all sources, as nested tables.
        guards: What refuses a change until a person allows it (`confcast.guards`). Their keys are checked when the
            config owner starts.

    Values are taken as they are written, unless a `File` is told to resolve `references`. A placeholder in a value,
    `${VAR}` or `{{ x }}`, causes a warning in the log, once for as long as the placeholder stays.

    Raises:
        TypeError: The schema is of no supported kind, a source has no `read()`, or a guard is none.
        ValueError: Two guards have the same name.
    """

    @overload
    def __init__(
        self,
        schema: type[T],
        *sources: str | os.PathLike[str] | Source,
        overrides: Mapping[str, Any] | None = None,
        guards: Iterable[Guard] = (),
    ) -> None: ...

    @overload
    def __init__(
        self: ConfigLoader[Any],
        schema: str,
        *sources: str | os.PathLike[str] | Source,
        overrides: Mapping[str, Any] | None = None,
        guards: Iterable[Guard] = (),
    ) -> None: ...

    def __init__(
        self,
        schema: type[T] | str,
        *sources: str | os.PathLike[str] | Source,
        overrides: Mapping[str, Any] | None = None,
        guards: Iterable[Guard] = (),
    ) -> None:
        if not isinstance(schema, str):
            kind_of(schema)
        self._schema = schema
        self._warned: set[str] = set()
        self._left_out = LeftOut()
        self._leftovers = Leftovers()
        self._contents: tuple[Path, ...] = ()  # the files whose contents count, as the latest load has found them
        self._content_paths: tuple[Path, ...] = ()
        self._given_only = SourceSet(list(map(as_source, sources)))
        self._overrides = _plain(overrides or {})
        self._guards = guarding.checked(guards)

    @staticmethod
    def find(path: str) -> ConfigLoader[Any]:
        """Import the loader that `MODULE:NAME` names, from the current directory, too; of a function, take the result.

        Raises ConfigError when there is none, or when the import raises anything.
        """
        return find_loader(path, ConfigLoader)

    @property
    def sources(self) -> tuple[Source, ...]:
        """The sources as given, low to high, each str or Path as a `File`."""
        return self._given_only.sources

    @property
    def _set_of_sources(self) -> SourceSet:
        """The sources that are read: those that were given, above the own ones of a BaseSettings class.

        A schema by name is not imported for it: an owner has imported it before, and `load()` does.
        """
        return self._given_only if isinstance(self._schema, str) else self._with_own_sources

    @functools.cached_property
    def _with_own_sources(self) -> SourceSet:
        if not has_own_sources(self.schema):
            return self._given_only
        from confcast.config.base_settings.source import OwnSources

        self._codec  # noqa: B018 - what can't be serialised is named before a source of the class is called
        return SourceSet([OwnSources(self.schema), *self.sources])

    def __repr__(self) -> str:
        return f"<ConfigLoader of {self._name()}, {len(self.sources)} sources>"

    @property
    def schema(self) -> type[T]:
        """The schema's class; imported now if given by name. Raises ImportError, or TypeError if it is no schema."""
        if isinstance(self._schema, str):
            found = resolve(self._schema)
            kind_of(found)
            self._schema = found
        return self._schema

    def _schema_if_any(self) -> type[T] | None:
        """The schema's class; None if it can't be had. `_build` raises what is wrong with it."""
        try:
            return self.schema
        except (Exception, SystemExit):  # a module of the user's may raise anything
            return None

    @property
    def schema_path(self) -> str:
        """The name by which another process imports the class. Raises TypeError if there is none."""
        if isinstance(self._schema, str) and not is_of_main(self._schema):
            return self._schema
        return import_path(self.schema)

    @functools.cached_property
    def _codec(self) -> Codec[T]:
        """The codec that turns configurations of the schema into bytes; made at first use.

        Raises:
            NotCarried: The schema has fields that can't be serialised exactly, or a mark without effect.
            ConfigError: The schema has not the key of a guard.
        """
        from confcast.config.codec import codec_of

        codec = codec_of(self.schema)
        check_marks(cast("Any", self.schema))
        guarding.check_keys(self._guards, self.schema)
        return codec

    def load(self) -> Candidate[T]:
        """Read, validate and encode the configuration as it is now. May be called in any thread.

        Raises:
            ConfigError: The configuration is wrong; the error has every problem.
            NotCarried: The schema has fields that can't be serialised exactly, or that its library can't read.
        """
        with contextlib.suppress(Exception, SystemExit):  # raised again when the configuration is built
            self.schema  # noqa: B018 - a BaseSettings has sources of its own
        return self._build(self._read())

    @asked_once()
    def _read(self, overrides: Overrides = NONE) -> Reading:
        """Read every source at one moment, under these overrides. Raises ConfigError with the problems of all."""
        files, known = self._watched(), self._contents
        try:
            return disk.at_one_moment(files, lambda: self._read_once(known)).with_overrides(overrides)
        except disk.StillChanging as error:
            raise ConfigError([Problem("", f"the files {error}: {', '.join(map(str, files))}")]) from None

    def _read_once(self, known: tuple[Path, ...]) -> Reading:
        layers, fingerprints, errors = self._set_of_sources.read(self._schema_if_any)
        if errors:  # raised in a frame without a source: error trackers send variables, and its repr may show a token
            problems = [problem for error in errors for problem in self._with_key(error).problems]
            raise ConfigError(problems, _reason(errors))
        known_now = {file: contents.read(file) for file in known}
        return Reading(layers, contents=known_now, fingerprints=fingerprints)

    def _with_key(self, error: ConfigError) -> ConfigError:
        """The error with the key of its value, secrets in the key masked; unchanged if the schema can't be imported."""
        if isinstance(error, PartsRefused):
            return PartsRefused([*map(self._with_key, error.errors)], error.reason)
        if not isinstance(error, ValueRefused):
            return error
        try:
            key = shown_key(error.path, self.schema)
        except (Exception, SystemExit):  # what the schema's module raises is reported when `_build` imports it
            return error
        return ConfigError([Problem(key, each.message, each.location) for each in error.problems], error.reason)

    def _build(self, reading: Reading) -> Candidate[T]:
        """Validate and encode what was read, and prove it exact. Raises ConfigError and NotCarried."""
        candidate = self._propose(reading)
        self._check(candidate)
        return candidate

    def _check(self, candidate: Candidate[T]) -> None:
        """Prove that a worker decodes exactly this configuration from the payload (G8). Raises ConfigError."""
        self._check_exact(candidate.payload)

    def _check_exact(self, payload: bytes) -> None:
        codec = self._codec
        try:
            exact = codec.encode(codec.decode(payload)) == without_masked(payload)
        except (NotCarried, ProtocolError) as error:  # a registered type whose decode does not undo its encode
            raise ConfigError([Problem("", f"can't be carried to the workers exactly: {error}")]) from None
        if not exact:
            text = "can't be carried to the workers exactly: decoded, it encodes to other bytes"
            raise ConfigError([Problem("", text)])

    def _propose(self, reading: Reading) -> Candidate[T]:
        """Validate and encode what was read: the candidate before `_check`. Raises ConfigError and NotCarried."""
        self._codec  # noqa: B018 - what can't be serialised is named before what is wrong with the data
        schema = self.schema
        merged, fitted = self._merge(reading)
        for warning in self._leftovers.warnings(schema, merged):
            _log.warning("%s", warning, extra=about("source_warning", warning=warning))
        hidden = list(shadowed.check(schema, merged))
        field_errors = hidden + list(shadowed.doubled(merged))
        try:
            config = validate(schema, merged.data)
            if astray := self._led_to_files(config, reading):
                field_errors += astray
                del config  # error trackers send the variables of each frame
        except Invalid as error:
            refused = {merged.spelling.canonical(path) for each in fitted for path in each.refused}
            field_errors += [
                each for each in error.field_errors if not _follows(each, refused, hidden, merged.spelling)
            ]
        problems = [problem for each in fitted for problem in each.problems]
        if field_errors or problems:
            if self._left_out.leave_out(reading, merged.spelling, field_errors, fitted):
                return self._propose(reading)
            raise ConfigError(problems_of(field_errors, schema, merged, problems))
        self._left_out.accept(reading)
        self._warn(f"an override is left out: {each}" for each in reading.overrides.left_out(schema))
        try:
            return self._made(config, merged, reading)
        except ConfigError as error:
            del config  # error trackers send the variables of each frame
            raise error.with_traceback(None) from None

    def _led_to_files(self, config: T, reading: Reading) -> list[FieldError]:
        """The errors about files that are named because of a caller who may not read them."""
        if not has_watched(self.schema):
            return []
        trusted = reading.overrides.of_callers(callers_files.may_read_all)
        if trusted is reading.overrides and reading.own is None:
            return []
        own, _ = self._merge((reading.own or reading).with_overrides(trusted))
        return callers_files.errors(config, self.schema, own)

    def _made(self, config: T, merged: Merged, reading: Reading) -> Candidate[T]:
        """The candidate of a validated configuration. Raises ConfigError."""
        from confcast.config.codec import digest

        payload = _encoded(self._codec, config, merged)
        if has_watched(self.schema):
            config, payload = self._with_digests(config, payload, reading, merged)
        return Candidate(self.schema, config, payload, digest(payload), (merged, reading.fingerprint))

    def _keeping(
        self, candidate: Candidate[T], reading: Reading, running: T, values: bytes
    ) -> tuple[Candidate[T], list[restart.Kept]]:
        """The candidate with what runs in the fields that need a restart, and those that would change otherwise.

        Args:
            candidate: What the sources give.
            reading: What it was made of.
            running: The configuration that runs.
            values: What the sources gave to that, as `_given` returns it; empty if that is not known.

        Raises:
            ConfigError: With the values that run, the new configuration is refused.
        """
        kept = restart.kept(self._codec, running, candidate.config)
        if not kept:
            return candidate, kept
        merged, problems = candidate._merged, list[Problem]()
        for way in restart.data_with(kept, merged, decode_data(values) if values else None):
            try:
                found = self._kept_in(way, reading, running, kept)
            except Invalid as error:
                problems = problems_of(error.field_errors, self.schema, way)
                continue
            if found is not None:
                return found, kept
        why = "so the running value stays, and with it the new configuration is refused"
        if not problems:
            why = "and the running value can't be put into the new configuration: start the server anew"
        raise ConfigError(restart.refusals(kept, merged, why) + problems)

    def _kept_in(self, way: Merged, reading: Reading, running: T, kept: list[restart.Kept]) -> Candidate[T] | None:
        """The candidate of data with running values in it; None if it has others. Raises Invalid, ConfigError."""
        config = validate(self.schema, way.data)
        stays = [each.running.key for each in kept]
        there = contents.contents_in(running, self.schema, stays)
        other = reading.with_contents(there)
        candidate = self._made(config, way, other)
        candidate.fingerprint, candidate._kept = reading.fingerprint, tuple(stays)
        if other.named is not None:
            reading.contents |= {file: each for file, each in other.contents.items() if file not in reading.contents}
            reading.named = tuple(dict.fromkeys((*(reading.named or ()), *other.named)))
        return candidate if restart.runs_on(self._codec, kept, candidate.config) else None

    def _with_digests(self, config: T, payload: bytes, reading: Reading, merged: Merged) -> tuple[T, bytes]:
        """The configuration with the digests of the contents of its files, and its bytes. Raises ConfigError."""
        codec, named = self._codec, contents.named_in(config, self.schema)
        reading.named = tuple(dict.fromkeys(each.file for each in named))
        if missing := [file for file in reading.named if file not in reading.contents]:
            reading.contents |= contents.read_together(missing)
        if faults := contents.faults(named, reading.contents):
            raise ConfigError(problems_of(faults, self.schema, merged))
        if not named:
            return config, payload
        self._check_exact(payload)
        stamped = contents.stamped(codec.decode(payload), self.schema, reading.contents)
        return stamped, _encoded(codec, stamped, merged)

    def _masked(self, text: str, reading: Reading) -> str:
        """An application's text with every secret of a reading masked. Raises whatever the schema's module raises."""
        merged, _ = self._merge(reading)
        return masking(secrets_in(self.schema, merged.data))(text)

    def _with_excerpts(self, problems: Iterable[Problem]) -> tuple[Problem, ...]:
        """The same problems, with the lines of the files that they name; unchanged if the schema can't be imported."""
        problems = tuple(problems)
        try:
            return tuple(with_excerpts(problems, self.schema, self._text_of))
        except (Exception, SystemExit) as error:  # of the schema's module
            _log.debug("no excerpts: %s", type(error).__name__, extra=about("no_excerpts", error=type(error).__name__))
            return problems

    def _text_of(self, shown: str) -> str | None:
        """The content of the file that messages call so; None if no source is called so, or it can't be read."""
        for source in self.sources:
            if (text_called := getattr(source, "_text_called", None)) is not None:
                content: bytes | None = text_called(shown)
                if content is not None:
                    return content.removeprefix(codecs.BOM_UTF8).decode(errors="replace")
        return None

    def _fingerprint(self) -> bytes:
        """The fingerprint that `_read()` would return, without parsing anything. Never raises.

        A source that can't be read has a fingerprint of its own, so that its return is a change.
        """
        return combined(self._set_of_sources.fingerprints() + list(map(contents.read_now, self._contents)))

    def _follow(self, files: tuple[Path, ...]) -> None:
        """Count the contents of these files from now on, beside the sources: the configuration names them."""
        self._contents, self._content_paths = files, tuple(file.absolute() for file in files)

    def _watched(self) -> tuple[Path, ...]:
        """The files and directories whose change may change the configuration: of all sources, and `Watched` ones.

        Raises:
            ConfigError: The `watched()` of a source raised.
        """
        return (*self._set_of_sources.watched(), *self._content_paths)

    def _watches_nowhere(self) -> bool:
        """Whether a source that has files at times names none now, so that the watcher has no directory to watch."""
        return self._set_of_sources.names_none()

    def _still_being_written(self) -> tuple[Path, ...]:
        """The files that some process has open for writing now, as far as the system can tell."""
        own = filter(disk.is_being_written, self._content_paths)
        return (*self._set_of_sources.still_being_written(), *own)

    def _to_spec(self) -> LoaderSpec:
        """Turn the loader into data, for the config owner.

        Raises:
            TypeError: The schema or the class of a source or a guard can't be imported elsewhere, a source is no
                `msgspec.Struct`, a guard has a field that is no plain data, or an override is not plain data.
        """
        check_plain(self._overrides, ())
        return LoaderSpec(
            self.schema_path,
            list(map(packed, self.sources)),
            msgspec.msgpack.encode(self._overrides),
            tuple(map(packed, self._guards)),
        )

    @classmethod
    def _from_spec(cls, spec: LoaderSpec) -> ConfigLoader[Any]:
        """Build the loader that `_to_spec` described; a ConfigLoader even for a subclass, which only chooses arguments.

        Raises:
            ImportError: The class of a source, or of a guard, can't be imported.
        """
        sources, guards = ([unpacked(*each) for each in part] for part in (spec.sources, spec.guards))
        return ConfigLoader(spec.schema, *sources, overrides=msgspec.msgpack.decode(spec.overrides), guards=guards)

    def _merge(self, reading: Reading) -> tuple[Merged, list[Fitted]]:
        spelling, fitted = spelling_of(cast("Any", self.schema)), list[Fitted]()
        for layer in (*reading.layers, *self._above(reading)):
            # A layer may call `below` for each of its values, so the layers below it are merged once.
            below = functools.cache(lambda: Merged([each.layer for each in fitted], spelling).data)
            fitted.append(layer.fit(self.schema, below))
        self._warn(warning for each in fitted for warning in each.warnings)
        merged = Merged([each.layer for each in fitted], spelling)
        mask_keys(self.schema, merged.secrets)
        return merged, fitted

    def _warn(self, warnings: Iterable[str]) -> None:
        """Log warnings that were not logged before: each reload would log the same again."""
        for warning in warnings:
            if warning not in self._warned:
                self._warned.add(warning)
                _log.warning("%s", warning, extra=about("source_warning", warning=warning))

    def _above(self, reading: Reading) -> Iterator[Layer]:
        """The layers above all sources."""
        if self._overrides:
            yield Layer("override", self._overrides)
        if reading.overrides:
            yield reading.overrides.as_layer()

    def _given(self, reading: Reading, candidate: Candidate[T]) -> bytes:
        """What the sources of a reading give together, as bytes for `_reading_of`. Raises ConfigError.

        The values of variables are converted, and stay so. What the candidate has kept from before is in it.
        """
        merged, _ = self._merge(reading.with_overrides(NONE))
        data, found = merged.data, candidate._merged.data
        for key in candidate._kept:
            value = value_at(found, merged.spelling.as_in(found, key), restart.ABSENT)
            data = restart.put(data, merged.spelling.as_in(data, key), value)
        try:
            return encode_data(data)
        except TypeError as error:
            raise ConfigError([Problem("", f"what the sources give can't be kept: {error}")]) from None

    def _reading_of(self, given: bytes, name: str, overrides: Overrides = NONE, config: T | None = None) -> Reading:
        """A reading of what `_given` returned, which messages call by this name; no source is read.

        The contents of files are those with which `config` was made.

        Raises:
            ProtocolError: The bytes are damaged.
        """
        try:
            data = decode_data(given)
        except UNDECODABLE as error:
            raise ProtocolError(f"what the sources gave can't be read: {type(error).__name__}") from None
        known = {} if config is None else contents.contents_in(config, self.schema)
        masked = masked_keys(self.schema)
        secrets = masked.paths if masked is not None else ()  # which keys the version itself had is in its payload
        return Reading([Layer(name, data, fingerprint_of(given), secrets=secrets)], overrides, known)

    def _with_sources(self, sources: Sequence[Source]) -> ConfigLoader[T]:
        """The same loader, which reads these sources."""
        found = copy.copy(self)
        vars(found).pop("_with_own_sources", None)
        found._given_only = SourceSet(sources)
        return found

    def _with_contents(self, contents: Mapping[str, bytes], *, trusted: bool = True) -> ConfigLoader[T]:
        """This loader with these contents in the place of its files', by their names or paths. Raises ConfigError.

        `trusted`: whether they come from who may read, and knows, all that this process may.
        """
        from confcast.config import given_files  # with the sources that it replaces files of

        try:
            sources = given_files.in_place(self.sources, contents, trusted=trusted)
        except ConfigError as error:
            own = f"the files that {self._name()} itself names are read by pydantic-settings, and can't be replaced"
            raise ConfigError(
                [*error.problems, Problem("", own)] if has_own_sources(self.schema) else error.problems
            ) from None
        other: ConfigLoader[T] = ConfigLoader(self._schema, *sources, overrides=self._overrides, guards=self._guards)
        return other

    def _read_with(self, contents: Mapping[str, bytes], *, trusted: bool) -> Reading:
        """What the sources give with these contents in the place of their files'. Raises ConfigError."""
        reading = self._with_contents(contents, trusted=trusted)._read()
        if not trusted and has_watched(self.schema):
            try:
                reading.own = self._read()
            except ConfigError:  # so they name nothing now
                reading.own = Reading(())
        return reading

    def _set(self, reading: Reading, values: Mapping[str, Any], call: Call) -> Overrides:
        """The overrides of a reading with these values set, too; nothing is validated. Raises ConfigError."""
        below = functools.cache(lambda: self._merge(reading.with_overrides(NONE))[0].data)
        return reading.overrides.set(values, self.schema, call, below)

    def _name(self) -> str:
        return self._schema if isinstance(self._schema, str) else self._schema.__qualname__


def _reason(errors: Iterable[ConfigError]) -> str:
    reasons = {error.reason for error in errors}
    if len(reasons) == 1:
        return reasons.pop()
    return "io_error" if reasons == {"file_not_found", "io_error"} else "validation_failed"


def _follows(field_error: FieldError, refused: set[KeyPath], hidden: Iterable[FieldError], spelling: Spelling) -> bool:
    """Whether a key is missing only because its own value, or the section that it belongs in, is refused anyway."""
    if field_error.about != "missing":
        return False
    path = spelling.canonical(field_error.path)
    above = (spelling.canonical(each.path) for each in hidden)
    return path in refused or any(path[: len(each)] == each for each in above)


def _encoded(codec: Codec[T], config: T, merged: Merged) -> bytes:
    """Encode the configuration. Raises ConfigError with the keys of what can't be encoded, or if it is too long."""
    try:
        payload = codec.encode(config)
    except NotCarried as error:
        masked = masking(secrets_in(codec.schema, merged.data))  # a key of a table may be a secret
        lookup = Lookup(codec.schema, merged.data)
        raise ConfigError([_at(problem, lookup, merged, masked) for problem in error.problems]) from None
    if merged.secrets:
        payload = with_masked(payload, masked_in_configuration(codec, config, merged))
    if len(payload) + _ENVELOPE > MAX_FRAME:
        size, most = len(payload) // 1024**2, MAX_FRAME // 1024**2
        raise ConfigError([Problem("", f"takes {size} MiB when encoded; {most} MiB are allowed")])
    return payload


def _at(problem: Problem, lookup: Lookup, merged: Merged, masked: Callable[[str], str]) -> Problem:
    location = problem.location or merged.where(lookup.nearest(problem.key))
    return Problem(masked(problem.key), problem.message, location)


def _plain(table: Mapping[str, Any]) -> dict[str, Any]:
    """A deep copy as dicts, so that the caller may change its mapping afterwards."""
    return {key: _plain(value) if isinstance(value, Mapping) else value for key, value in table.items()}
