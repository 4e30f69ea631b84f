"""How the admin page's files look: small, explained, reached, and nothing in them that could read a value as markup."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.shape.source import SRC

PAGE = SRC / "confcast" / "admin" / "page"
FILES = sorted(path for path in PAGE.rglob("*") if path.is_file())
SCRIPTS = [path for path in FILES if path.suffix == ".js"]
MOST_LINES = 400
LARGEST = 192 * 1024  # all of it, as it lies there: a page without a build step is read as it was written
_IMPORT = re.compile(r'^import .*? from "(\./[^"]+|\.\./[^"]+)";$', re.MULTILINE)
_STATIC = re.compile(r'"/static/([^"]+)"')
_MARKUP = re.compile(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|createContextualFragment|DOMParser")
_CODE = re.compile(r"\beval\b|new Function|setTimeout\(\s*[\"'`]|javascript:")
_ELSEWHERE = re.compile(r"https?://(?!www\.w3\.org/2000/svg)|//cdn|@import")
_INLINE = re.compile(r"\s(style|on[a-z]+)=|<style|<script(?![^>]*\ssrc=)")


def name(path: Path) -> str:
    return path.relative_to(PAGE).as_posix()


def imported(path: Path) -> list[Path]:
    """The files of the page that a script imports."""
    return [(path.parent / each).resolve() for each in _IMPORT.findall(path.read_text(encoding="utf-8"))]


def test_every_file_is_reached_from_the_page_and_each_that_is_named_is_there():
    index = (PAGE / "index.html").read_text(encoding="utf-8")
    waiting = [PAGE / each for each in _STATIC.findall(index)]
    found = {PAGE / "index.html"}
    while waiting:
        path = waiting.pop()
        assert path.is_file(), f"{name(path)} is named, and is not there"
        if path not in found:
            found.add(path)
            waiting += imported(path) if path.suffix == ".js" else []
    assert found == set(FILES)


@pytest.mark.parametrize("path", SCRIPTS, ids=name)
def test_a_script_says_what_it_is_for_and_is_short(path: Path):
    text = path.read_text(encoding="utf-8")
    assert text.startswith(("/** ", "/**\n * "))
    assert len(text.splitlines()) <= MOST_LINES


@pytest.mark.parametrize("path", FILES, ids=name)
def test_no_text_becomes_markup_or_code_and_nothing_comes_from_elsewhere(path: Path):
    text = path.read_text(encoding="utf-8")
    code = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith(("*", "/*", "//")))
    looked_for = (_MARKUP, _CODE, *([_INLINE] if path.suffix == ".html" else []))
    if path.suffix != ".svg":
        looked_for += (_ELSEWHERE,)
    assert not [found.group() for each in looked_for for found in each.finditer(code)]


def test_all_of_it_is_small():
    assert sum(path.stat().st_size for path in FILES) <= LARGEST
