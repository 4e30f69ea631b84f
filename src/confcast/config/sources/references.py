"""Resolves references in texts: `${VAR}`, `${VAR:-default}` and `${file:/path}`; `$$` is a dollar.

The forms are those that a shell and Compose have, as far as they mean one thing everywhere. `:-` gives its default also
for a variable that is empty, as in a shell. Whatever else begins with `${` is refused, in words that quote nothing of
it: a password may look like one. What a reference gives is never looked at for references, so that no secret can name
another. A dollar that begins neither form stays.

The variables are those of the process that reads: the config owner has those of the server's start. A variable whose
name says that it holds a secret makes one of each text that it is put into, as does each `${file:…}`. The names are
those that Django keeps out of its error reports, and a few more; a URL with a password in it counts, whatever its
variable is called.

Rejected: `$VAR` without braces (passwords and templates have dollars), `${VAR-default}` and `${VAR:?message}` (one
character decides what they mean), references in a default (which of the two closes first?), and references in keys.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from confcast.config.sources import disk
from confcast.config.sources.file_reads import FileReads
from confcast.config.sources.formats.common import MAX_BYTES
from confcast.config.sources.layer import combined, fingerprint_of
from confcast.config.sources.secret_file import SecretFile, read_in_its_folder, warnings_of

FORMS = "a reference is ${NAME}, ${NAME:-default} or ${file:/path}, and a dollar before a brace is written $$"
MOST_PUT_IN = MAX_BYTES
"""Characters that all references of one file, and of those that it includes, may put in."""

_TOKEN = re.compile(r"\$(?:\$|\{([^{}]*)\}|(?=\{))")
_WHOLE = re.compile(r"\$\{[^{}]*\}")
_BODY = re.compile(r"(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>.*))?|file:(?P<path>.+)", re.DOTALL)
_NAMES = re.compile(rb"(?:\$\{|!env[ \t]+[\"']?)([A-Za-z_][A-Za-z0-9_]*)")
_SECRET = re.compile("API|AUTH|TOKEN|KEY|SECRET|PASS|SIGNATURE|COOKIE|CREDENTIAL|PRIVATE|_PWD|DSN", re.IGNORECASE)
_URL_WITH_PASSWORD = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]{0,40}+://[^/\s:@]*:[^/\s@]+@")
"""The scheme's length is bounded: else each letter of a long key would be looked at to the key's end."""


class Resolved(NamedTuple):
    """A text after its references were resolved.

    Attributes:
        text: The outcome.
        origins: What was put in, in words; empty if the text had no references but only doubled dollars.
        is_whole: Whether the text was one reference and nothing else, so that the schema's type decides what it is.
        is_secret: Whether a secret was put in.
    """

    text: str
    origins: tuple[str, ...]
    is_whole: bool
    is_secret: bool

    def __repr__(self) -> str:
        return f"<Resolved from {self.origins}>"  # without the text: error trackers send the variables of a frame


class Unresolved(Exception):
    """A text has references that can't be resolved.

    Args:
        messages: One for each.
        names: The variables among the words of the messages.
    """

    def __init__(self, messages: list[str], names: list[str]) -> None:
        super().__init__("; ".join(messages))
        self.messages, self.names = messages, names


class _Part(NamedTuple):
    """What one reference gives."""

    text: str
    origin: str
    is_secret: bool

    def __repr__(self) -> str:
        return f"<_Part from {self.origin}>"


class Room:
    """How many characters the references of one read may still put in: all keys may name one file of a megabyte."""

    def __init__(self) -> None:
        self._left = MOST_PUT_IN

    def take(self, size: int) -> None:
        """Count what a reference gives. Raises Unresolved if it is too much."""
        self._left -= size
        if self._left < 0:
            raise Unresolved([f"has references that give more than {MOST_PUT_IN} characters, with those before it"], [])


class _Forms(NamedTuple):
    """How a message says what can be written: all forms, and a variable with a default."""

    all: str
    default: str


_BRACES = _Forms(FORMS, "${{{}:-default}}")
_TAG_FORMS = _Forms(
    "behind a tag stands one name, as in !env NAME, !env NAME:-default or !file path", "!env {}:-default"
)


class Resolver:
    """Resolves the references of one file.

    Args:
        folder: The folder of the file: a relative path in `${file:…}` begins there.
        reads: Reads the files that references name.
        room: What they may put in, with those of other files of the same read.
    """

    def __init__(self, folder: Path, reads: FileReads, room: Room | None = None) -> None:
        self._folder, self._reads, self._room = folder, reads, room or Room()
        self._files: dict[str, SecretFile] = {}
        self._known: dict[str, _Part] = {}

    def resolve(self, text: str) -> Resolved:
        """Resolve every reference in a text. Raises Unresolved, with all that is wrong with it."""
        parts, wrong, names = list[_Part](), list[str](), list[str]()

        def put_in(found: re.Match[str]) -> str:
            if found[0] == "$$":
                return "$"
            try:
                parts.append(self._counted(found[1]))
            except Unresolved as error:
                wrong.extend(error.messages)
                names.extend(error.names)
                return ""
            return parts[-1].text

        outcome = _TOKEN.sub(put_in, text)
        if wrong:
            raise Unresolved(list(dict.fromkeys(wrong)), names)
        is_whole = len(parts) == 1 and _WHOLE.fullmatch(text) is not None
        origins = (parts[0].origin,) if len(parts) == 1 else tuple(dict.fromkeys(part.origin for part in parts))
        return Resolved(outcome, origins, is_whole, any(part.is_secret for part in parts))

    def tagged(self, tag: str, text: str) -> Resolved:
        """What stands for a text with the tag `env` or `file`. Raises Unresolved, in words about the tag."""
        part = self._counted(text if tag == "env" else f"file:{text}", _TAG_FORMS)
        return Resolved(part.text, (part.origin,), True, part.is_secret)

    def _counted(self, body: str | None, forms: _Forms = _BRACES) -> _Part:
        part = self._part(body, forms)
        self._room.take(len(part.text))
        return part

    def _part(self, body: str | None, forms: _Forms = _BRACES) -> _Part:
        """What the reference with this between its braces gives; None if they are not closed. Raises Unresolved."""
        if body in self._known:
            return self._known[body]
        found = _BODY.fullmatch(body) if body is not None else None
        if found is None or body is None:
            raise Unresolved([f"has a reference that can't be read: {forms.all}"], [])
        path = found["path"]
        made = self._of_variable(found["name"], found["default"], forms) if path is None else self._of_file(path)
        self._known[body] = made
        return made

    def _of_variable(self, name: str, default: str | None, forms: _Forms) -> _Part:
        try:
            value, secret = self._reads.variable(name), names_secret(name)
        except disk.NotReadable as error:
            raise Unresolved([f"environment variable {name} {error}"], [name]) from None
        if default is not None and not value:
            return _Part(default, f"the default for environment variable {name}", secret or _is_url_with(default))
        if value is None:
            otherwise = forms.default.format(name)
            message = f"environment variable {name} is not set: start the server with it, or write {otherwise}"
            raise Unresolved([message], [name])
        try:
            value.encode()
        except UnicodeEncodeError:
            raise Unresolved([f"environment variable {name} is not UTF-8"], [name]) from None
        return _Part(value, f"environment variable {name}", secret or _is_url_with(value))

    def _of_file(self, named: str) -> _Part:
        if "\0" in named:  # nobody can watch such a path
            raise Unresolved(["names a file by a path with a null byte in it"], [])
        path = str(self._folder / named)
        file = read_in_its_folder(path, named, self._reads.with_stat)
        if file.fault:
            raise Unresolved([f"the file {path} {file.fault}"], [])
        self._files[named] = file
        return _Part(file.text, f"file {named}", is_secret=True)

    def warnings(self) -> Iterator[str]:
        """Sentences about the files that were read."""
        return warnings_of(list(self._files.values()))


def names_secret(variable: str) -> bool:
    """Whether the name of a variable says that it holds a secret."""
    return _SECRET.search(variable) is not None


def fingerprint_with_variables(content: bytes) -> bytes:
    """The fingerprint of a content together with the environment variables that it may refer to."""
    own = fingerprint_of(content)
    if b"$" not in content and b"!env" not in content:
        return own
    names = sorted(name for found in set(_NAMES.findall(content)) if (name := found.decode()) in os.environ)
    values = "\0".join(f"{name}={os.environ[name]}" for name in names)
    return combined([own, fingerprint_of(values.encode(errors="surrogateescape"))]) if names else own


def fingerprint_now(path: str) -> bytes:
    """The same of a file as it is now; of one that can't be read, what `disk.fingerprint_now` gives. Never raises."""
    try:
        return fingerprint_with_variables(disk.read_now(path))
    except (OSError, ValueError, disk.NotReadable):
        return disk.fingerprint_now(path)


def _is_url_with(text: str) -> bool:
    return _URL_WITH_PASSWORD.search(text) is not None
