"""Files with contents that they do not have: what a dry run tries, which its caller has read, stands in their place.

A name may mean the file of a source, one that it includes or that a reference names, or a file of a folder; also one
that is not there yet, if the folder's pattern takes it.

Guaranteed: a text that somebody else has given, who may not read what the owner may, has the owner read nothing more
than its sources do: no included file, no file or variable of a reference.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

from confcast.config.sources.dotenv import Dotenv
from confcast.config.sources.file import File
from confcast.config.sources.file_reads import FileReads, Named, ignore, is_called
from confcast.config.sources.files import Files
from confcast.config.sources.layer import Layer, Source
from confcast.errors import ConfigError, Problem

ReadsFiles: TypeAlias = File | Files | Dotenv
"""The sources whose files may be given."""


class GivenFile:
    """A source that reads files, some of which have another content; `within`: all that these may name."""

    def __init__(self, source: ReadsFiles, given: Mapping[str, bytes], within: Named | None = None) -> None:
        self._source, self._given, self._within = source, given, within

    def read(self) -> Layer:
        """Read as the source does, and take the contents that were given. Raises ConfigError as the source does."""
        return self._source._read_by(FileReads(ignore, self._given, within=self._within))

    def _text_called(self, shown: str) -> bytes | None:
        """The content of the file that messages call so; None if the source has no such file."""
        return self._source._text_called(shown, self._given, self._within)


def in_place(sources: Sequence[Source], contents: Mapping[str, bytes], *, trusted: bool = True) -> list[Source]:
    """The sources, with these contents in the place of their files', by their names or paths. Raises ConfigError.

    Unless they are trusted, they lead to no file and no variable that the sources do not name by themselves.
    """
    found, problems = list(sources), []
    files = {index: each for index, each in enumerate(sources) if isinstance(each, ReadsFiles)}
    within = {index: None if trusted else each._named() for index, each in files.items()}
    given: dict[int, dict[str, bytes]] = {index: {} for index in files}
    left = dict(contents)
    for own in (True, False):  # what a source includes may depend on what is given for the source itself
        for name in list(left):
            called = [
                (index, path)
                for index, each in files.items()
                for path in _paths(each, name, given[index], within[index], own=own)
            ]
            if len(called) == 1:
                index, path = called[0]
                given[index][path] = left.pop(name)
            elif called:
                problems.append(Problem("", f"{name} is the name of several files: give the path"))
                del left[name]
    known = ", ".join(each.shown for each in files.values()) or "none"
    problems += [Problem("", f"{name} is no file of the sources, which have: {known}") for name in left]
    if problems:
        raise ConfigError(problems)
    for index, each in files.items():
        if given[index]:
            found[index] = GivenFile(each, given[index], within[index])
    return found


def _paths(
    source: ReadsFiles, name: str, given: Mapping[str, bytes], within: Named | None, *, own: bool
) -> Iterator[str]:
    """The paths of the source's files that a person means by this name: its own files, or those that they name."""
    if own:
        yield from source._paths_called(name)
        return
    found = [path for path in source._named(given, within).paths if is_called(path, name)]
    yield from found or source._paths_to_come(name)
