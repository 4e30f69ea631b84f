"""Modules of the page by themselves, in a real Chromium: how elements are changed, and how a stream is read."""

from __future__ import annotations

import random
from typing import Any

import pytest

from tests.support.admin_page import AdminServer, Pages

LISTS = 60
STREAM = (
    'event: hello\ndata: {"a": 1}\n\n: a comment\n\nid: 7\r\nevent: reload\r\ndata: one\r\ndata: two\r\n\r\ndata: half'
)

_PATCHED = """async (lists) => {
  const { h, patch } = await import("/static/dom.js");
  const parent = document.body.appendChild(document.createElement("div"));
  const kept = new Map();
  const found = [];
  for (const list of lists) {
    patch(parent, list.map((name) => (name === null ? null : h("p", { key: name }, name))));
    found.push([...parent.children].map((each) => each.textContent));
    for (const each of parent.children) {
      if ((kept.get(each.textContent) ?? each) !== each) throw new Error(`another ${each.textContent}`);
    }
    kept.clear();
    for (const each of parent.children) kept.set(each.textContent, each);
  }
  return found;
}"""
_KEEPS = """async () => {
  const { h, patch } = await import("/static/dom.js");
  const parent = document.body.appendChild(document.createElement("div"));
  const drawn = (more, value) => patch(parent, [more ? h("p", null, "a notice") : null, h("input", { value }), "text"]);
  drawn(false, "before");
  parent.querySelector("input").focus();
  drawn(true, "after");
  const input = parent.querySelector("input");
  drawn(false, "last");
  return [document.activeElement === input, input.value, parent.childNodes.length];
}"""
_PARSED = """async ([text, size]) => {
  const { parser } = await import("/static/stream.js");
  const found = [];
  const parse = parser((event) => found.push([event.type, event.id, event.data]));
  for (let at = 0; at < text.length; at += size) parse(text.slice(at, at + size));
  return found;
}"""


@pytest.fixture
def page(pages: Pages, server: AdminServer) -> Any:
    found = pages.fresh()
    found.goto(server.url)
    return found


def test_a_list_becomes_each_other_list_and_what_stays_is_kept(page: Any):
    chance = random.Random(7)
    lists = [chance.sample("abcdefgh", chance.randrange(9)) for _ in range(LISTS)]
    lists = [[None if chance.random() < 0.1 else each for each in names] for names in lists]
    assert page.evaluate(_PATCHED, lists) == [[each for each in names if each] for names in lists]


def test_what_has_the_focus_keeps_it_when_something_comes_above_it(page: Any):
    assert page.evaluate(_KEEPS) == [True, "last", 2]


def test_a_stream_is_read_in_whatever_pieces_it_comes(page: Any):
    whole = [["hello", None, '{"a": 1}'], ["reload", "7", "one\ntwo"]]
    for size in (1, 2, 3, 7, 1000):
        assert page.evaluate(_PARSED, [STREAM, size]) == whole, f"pieces of {size}"
