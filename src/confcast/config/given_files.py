"""Files with contents that they do not have: what a dry run tries, which its caller has read, stands in their place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from confcast.config.sources.file import File
from confcast.config.sources.layer import Layer, Source
from confcast.errors import ConfigError, Problem


class GivenFile:
    """A file with a content that it does not have."""

    def __init__(self, file: File, content: bytes) -> None:
        self._file, self._given, self.shown = file, content, file.shown

    def _content(self) -> bytes:
        return self._given

    def read(self) -> Layer:
        """Parse the content. Raises ConfigError as `File.read` does."""
        return self._file._layer_of(self._given)


def in_place(sources: Sequence[Source], contents: Mapping[str, bytes]) -> list[Source]:
    """The sources, with these contents in the place of their files', by their names or paths. Raises ConfigError."""
    found, problems = list(sources), []
    files = {index: each for index, each in enumerate(sources) if isinstance(each, File)}
    for name, content in contents.items():
        called = [index for index, each in files.items() if each._is_called(name)]
        if len(called) == 1:
            found[called[0]] = GivenFile(files[called[0]], content)
        else:
            known = ", ".join(each.shown for each in files.values()) or "none"
            none = f"is no file of the sources, which have: {known}"
            problems.append(Problem("", f"{name} {'is the name of several files: give the path' if called else none}"))
    if problems:
        raise ConfigError(problems)
    return found
