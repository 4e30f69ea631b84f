"""What the demonstration plays on: a folder of text files and a configuration file, both temporary.

Guarantees: every edit is an atomic rename, as an editor or a deployment would do it, so that what a reload finds is
what the act meant; the packaged defaults are copied, never touched.
"""

from __future__ import annotations

import re
from pathlib import Path

from confcast.examples.leindex.config import PACKAGED_DEFAULTS
from confcast.examples.leindex.demo.texts import write_texts


class Stage:
    """The files of one run.

    Args:
        folder: An empty folder; whoever made it removes it.
    """

    def __init__(self, folder: Path) -> None:
        self.texts = folder / "texts"
        self.runtime = folder / "run"
        self.config = folder / "mcp_config.yaml"
        self.runtime.mkdir(mode=0o700)
        self._good = PACKAGED_DEFAULTS.read_text(encoding="utf-8")
        self._write(self._good)
        write_texts(self.texts)

    def edit(self, **values: int) -> None:
        """Give each key its value, from now on; the file was valid before and is valid again."""
        for key, value in values.items():
            self._good = _with(self._good, key, value)
        self._write(self._good)

    def spoil(self, **values: int | str) -> None:
        """Give each key a value that is not allowed, until the next edit."""
        text = self._good
        for key, value in values.items():
            text = _with(text, key, value)
        self._write(text)

    def delete(self) -> None:
        """Take the configuration file away."""
        self.config.unlink()

    def restore(self) -> None:
        """Put back the last valid content."""
        self._write(self._good)

    def _write(self, text: str) -> None:
        beside = self.config.with_suffix(".new")
        beside.write_text(text, encoding="utf-8")
        beside.replace(self.config)


def _with(text: str, key: str, value: int | str) -> str:
    changed, count = re.subn(rf"(?m)^(\s*{key}: *)\S+", rf"\g<1>{value}", text)
    if count != 1:
        raise ValueError(f"{key} stands {count} times in the configuration file, expected once")
    return changed
