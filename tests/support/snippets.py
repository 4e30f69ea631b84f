"""The snippets of the README and of the guide's pages, as a reader would put them into files and a shell.

A snippet in Python, TOML, INI or JSON with comments is a file, named in its first line. Each line of a snippet in `sh`
is a command. One that can't be run here says so, and why, in a line before it: `<!-- not run: … -->`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
GUIDE = ROOT / "src" / "confcast" / "guide"
PAGES = (README, *sorted(GUIDE.glob("*.md")), ROOT / "src" / "confcast" / "README.md")
_FENCED = re.compile(
    r"(?:^<!-- not run: (?P<why>\S[^\n]*) -->\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)
_FILE = re.compile(r"(?:#|//) (?P<name>\S+)\n(?P<text>.*)", re.DOTALL)


class Snippet(NamedTuple):
    """What stands between two fences.

    Attributes:
        language: As the first fence says; empty for a picture or what a program prints.
        text: The lines.
        not_run: Why it can't be run; empty if it is.
    """

    language: str
    text: str
    not_run: str


def snippets(page: Path) -> list[Snippet]:
    found = _FENCED.finditer(page.read_text(encoding="utf-8"))
    return [Snippet(each["language"], each["text"], each["why"] or "") for each in found]


def files(page: Path) -> dict[str, str]:
    """Of each file that a page shows, the text. Raises AssertionError: one has no name, or the same as another."""
    found = {}
    for snippet in snippets(page):
        if snippet.language in ("python", "toml", "ini", "jsonc") and not snippet.not_run:
            named = _FILE.fullmatch(snippet.text)
            assert named is not None, f"{page.name}: the first line names no file:\n{snippet.text}"
            assert named["name"] not in found, f"{page.name}: {named['name']} is shown twice"
            found[named["name"]] = named["text"]
    return found


def commands(page: Path) -> list[str]:
    """Each line that a page has a reader type, without its comment."""
    shells = [each for each in snippets(page) if each.language == "sh" and not each.not_run]
    return [line.partition("  # ")[0].strip() for each in shells for line in each.text.splitlines() if line.strip()]


@contextmanager
def imported_from(folder: Path) -> Iterator[None]:
    """Modules are found in this folder, in this block; the next page has others of the same names."""
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        for name, module in list(sys.modules.items()):
            if (getattr(module, "__file__", None) or "").startswith(f"{folder}/"):
                del sys.modules[name]


def write_files(page: Path, folder: Path) -> None:
    """A folder as a reader of this page has it: the README's files, and the page's own in their place."""
    for name, text in {**files(README), **files(page)}.items():
        (folder / name).write_text(text, encoding="utf-8")
