"""Reads environment variables as a source: `PREFIX_A__B` sets `a.b`.

Which key a name means, and what a text means, is `named_texts.py`'s. A name with the prefix that the schema doesn't
know is refused, or logged once (`unknown="warn"`). Names that Kubernetes injects for services (`APP_SERVICE_HOST`,
`APP_PORT=tcp://…`) are skipped: no person wrote them. Variables of other names count only where they are named.

A variable may name the file that holds a secret: `APP_DB_PASSWORD_FILE=/run/secrets/db`; with `files=True`, any value.
The schema decides, since a path may be a value: a key of the schema that ends in `_file` itself is that key. So such a
source is read with the schema (`read_for`), and notes the files that it reads.

Rejected: reading each file that a variable of such a name names, and deciding afterwards (a log file would be read and
watched), and taking a text for a path if a file of that name exists.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from confcast.config.sources import disk
from confcast.config.sources.layer import Layer, Place, fingerprint_of
from confcast.config.sources.named_texts import (
    Fitting,
    Lists,
    NamedTexts,
    Naming,
    Text,
    Unknown,
    check_naming,
    names_as_dict,
)
from confcast.config.sources.secret_file import SecretFile, read_in_its_folder
from confcast.config.sources.variable_targets import Target

_SERVICE = re.compile(r"(?:.+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_(ADDR|PORT|PROTO))?)")
_SERVICE_URL = re.compile(r"(tcp|udp|sctp)://\S+:\d+")
_FILE = "_FILE"
_NO_FILE = SecretFile("", fault="has no name: the variable is empty")


class _Options(msgspec.Struct, frozen=True, kw_only=True):
    names: dict[str, str] = {}
    files: bool = False
    lists: Lists = "json"
    unknown: Unknown = "refuse"


class Environment(_Options, frozen=True):
    """The environment variables whose names begin with a prefix, and those that are named.

        Environment("APP_", names={"DATABASE_URL": "database.url"}, files=True, lists="comma")

    With `APP_`, `APP_NAME=x` sets `name` and `APP_MEMORY__TOTAL=2` sets `total` in the table `memory`. A field with an
    alias is found by its alias (`APP_MAX_CONNS` for `max-conns` or `maxConns`) and by its name. A list or a table is
    JSON (`APP_HOSTS='["a", "b"]'`), and a list is set as a whole. Text is taken as it is; a number, a boolean (`true`,
    `yes`, `on`, `1`, …) or an enumeration by its field's type; `null` is None where a field that is no text may be
    None. An empty value counts, too: it sets the empty text, which a number refuses, or None for a list or a table that
    may be None. Unset the variable to keep the file's value or the default. A validator of yours that comes before
    pydantic's (`mode="before"`) also gets the converted value, and the text only if it can't be converted.

    Args:
        prefix: Such as `APP_`, in any case. If it is empty, `names` alone are read.
        names: For variables without the prefix, such as `DATABASE_URL`, the key that each sets, as messages write keys.
            They are found as they are written here, in this case only.
        files: Whether a variable of any key may name the file that holds the value: `APP_DB_HOST_FILE=/etc/app/host`
            sets `db_host`, unless the schema has a key `db_host_file`. One whose key is a secret in the schema, such as
            `APP_DB_PASSWORD_FILE=/run/secrets/db`, may always. The file is watched, its value counts as a secret, and
            one newline at its end is no part of it. The path is relative to the current directory.
        lists: With `comma`, a list of single values is also written with commas, `APP_HOSTS=a, b`: a text that does not
            begin with `[` is split at its commas, blanks around an item are dropped, an item is converted by its type,
            an empty text is the empty list, an empty item is refused. What begins with `[` stays JSON, and so do tables
            and lists of lists or tables.
        unknown: A name with the prefix that the schema has no key for refuses the configuration (`refuse`), or is
            named in the log and ignored (`warn`).

    Raises:
        ValueError: There are neither a prefix nor names, `lists` or `unknown` is another word, or a key of `names`
            can't be one.
        TypeError: The prefix, a name or its key is no text.
    """

    prefix: str = ""

    if TYPE_CHECKING:
        # A Struct that is sent to another process has its names as a dict; callers may give any mapping.
        def __init__(
            self,
            prefix: str = "",
            *,
            names: Mapping[str, str] = {},
            files: bool = False,
            lists: Lists = "json",
            unknown: Unknown = "refuse",
        ) -> None: ...

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "names", names_as_dict(self.names))
        check_naming(self.prefix, self.names, self.lists, self.unknown)
        if not self.prefix and not self.names:
            raise ValueError("an empty prefix would take every variable there is: give one such as 'APP_', or names=")

    def read(self) -> Layer:
        """Read the variables of this process as they are now, but no files; the schema is applied later."""
        return self.read_for(lambda: None, lambda path, fingerprint: None)

    def read_for(self, schema: Callable[[], Any], note: Callable[[Path, bytes], None]) -> Layer:
        """Read the variables of this process as they are now, and the files that they name.

        Args:
            schema: Gives the class, whose keys decide which variables name files; if it gives None, no file is read.
            note: Called with each file, and the fingerprint of its content.
        """
        found = self._found()
        may_name = self.files or any(name.upper().endswith(_FILE) for name in found)
        named = self._files(found, schema() if may_name else None)
        for each in named.values():
            if each.fingerprint:
                note(disk.as_path(each.path), each.fingerprint)
        return EnvironmentLayer(self, found, named)

    def _is_own(self, name: str) -> bool:
        """Whether a variable is the application's by its name: it has the prefix, or is one of the names."""
        return name in self.names or bool(self.prefix and name.upper().startswith(self.prefix.upper()))

    def content_fingerprint(self) -> bytes:
        """The fingerprint that `read()` would return. Any thread may call it."""
        return fingerprint(self._found())

    def _found(self) -> dict[str, str]:
        prefix = self.prefix.upper()
        found = {name: text for name, text in os.environ.items() if prefix and name.upper().startswith(prefix)}
        for name in self.names:  # by os.environ, since on Windows it finds a name in any case
            for each in (name, name + _FILE):
                if (value := os.environ.get(each)) is not None:
                    found[each] = value
        return dict(sorted(found.items()))

    def _files(self, found: Mapping[str, str], schema: Any) -> dict[str, SecretFile]:
        """The file that each of these variables names, by the variable's name; none without a schema."""
        if schema is None:
            return {}
        fitting = Fitting(self.naming, schema)
        named = [
            name
            for name in found
            if fitting.is_suffixed(name, _FILE) and (self.files or fitting.is_secret(name[: -len(_FILE)]))
        ]
        read = disk.OneWait().read_with_stat
        return {
            name: read_in_its_folder(str(Path(path).absolute()), read=read) if (path := found[name]) else _NO_FILE
            for name in named
        }

    @property
    def naming(self) -> Naming:
        """How the variables' names mean keys."""
        return Naming(self.prefix, self.names, self.lists, self.unknown, given="Environment(names")


def fingerprint(found: Mapping[str, str]) -> bytes:
    """The fingerprint of variables."""
    return fingerprint_of("\0".join(f"{name}={text}" for name, text in found.items()).encode(errors="surrogateescape"))


class EnvironmentLayer(NamedTexts):
    """The variables as text.

    Args:
        source: Their source.
        found: Their values by their names.
        files: What the files gave that some of them name.
    """

    def __init__(self, source: Environment, found: Mapping[str, str], files: Mapping[str, SecretFile]) -> None:
        shown = f"environment {source.prefix}*" if source.prefix else "environment"
        texts = [
            _of_file(name, files[name]) if name in files else Text(name, text, functools.partial(_place, name))
            for name, text in found.items()
            if name in files or source._is_own(name)  # the host may have a variable that is a name with _FILE
        ]
        super().__init__(shown, texts, source.naming, fingerprint(found))
        self._names, self._reads_files = found, source.files

    def _is_foreign(self, each: Text, found: tuple[Target, ...]) -> bool:
        # The pattern begins at an underscore: the prefix may be a service's name.
        known, upper = any(target.without is None for target in found), each.name.upper()
        if upper.endswith("_PORT") and _SERVICE_URL.fullmatch(each.text):
            return not known or upper.removesuffix("PORT") + "SERVICE_HOST" in self._names
        return not known and _SERVICE.fullmatch(upper) is not None

    def _warning_of(self, foreign: Sequence[Text]) -> str:
        if not foreign:
            return ""
        return (
            "skipped environment variables that Kubernetes injects for services: "
            f"{', '.join(each.name for each in foreign)} (choose another prefix, or set enableServiceLinks: false)"
        )

    def _advice(self, each: Text, fitting: Fitting) -> str:
        if self._reads_files or not fitting.is_suffixed(each.name, _FILE):
            return ""
        return f"; with files=True the file that {each.name} names would set it"


def _of_file(name: str, file: SecretFile) -> Text:
    where = f"environment variable {name}"
    value = f"{where} ({file.path})" if file.fingerprint else where
    return Text(name[: -len(_FILE)], file.text, Place(where, value), file)


def _place(name: str) -> Place:
    where = f"environment variable {name}"
    return Place(where, where)
