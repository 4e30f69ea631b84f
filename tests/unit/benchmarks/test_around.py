"""The parts of `scripts/bench --around`: each can be run; and what of the page is counted."""

from __future__ import annotations

from importlib import import_module

import pytest

from benchmarks import around
from benchmarks.around.wire import _LINKED, _absolute


@pytest.mark.parametrize("part", around.PARTS)
def test_a_part_measures(part: str):
    assert callable(import_module(f"benchmarks.around.{part}").measure)


def test_all_that_a_page_loads_is_found():
    text = '<link href="/static/base.css"> import { h } from "../dom.js"; from "./views/view.js"; href="#x"'

    assert [_absolute("/static/views/one.js", each) for each in _LINKED.findall(text)] == [
        "/static/base.css",
        "/static/dom.js",
        "/static/views/views/view.js",
    ]
