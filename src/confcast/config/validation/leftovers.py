"""Warns of placeholders in values, `${VAR}` and `{{ x }}`, which another tool should have filled in.

confcast takes values as they are written: a template that was deployed unrendered, or a line copied from a tool that
expands variables, would be served as text. The author may mean that (a field may hold a template), so it is a warning
and no error: once for each place and content, and again only after the placeholder was gone for a load. A value that a
higher layer hides causes no warning. A placeholder in a value that may be a secret is not shown: a password may look
like one.

Where references are resolved (`File(…, references="env")`), only a `{{ x }}` is left over: a `${` that is still there
was escaped.

Rejected: filling placeholders in without being asked (a `$` would need an escape in files that have none), and a mark
for fields that hold templates (one line in a log costs less than a word in each schema).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from confcast.config.schema.key_path import KeyPath, texts
from confcast.config.schema.secret_paths import is_secret_at, is_url_at, shown_key
from confcast.config.sources.layer import fingerprint_of
from confcast.config.sources.merge import Merged
from confcast.texts import shortened

MOST_WARNINGS = 20
"""How many warnings of one load are logged; of further ones only the number is: a whole file may be a template."""

_TEMPLATE = re.compile(r"\{\{[^{}\n]{1,200}\}\}")
_PLACEHOLDER = re.compile(rf"(?<!\$)\$\{{[A-Za-z_][^{{}}\n]{{0,200}}\}}|{_TEMPLATE.pattern}")
_LONGEST = 60


class Leftover(NamedTuple):
    """The identity of a value with a placeholder in it: the same on another line, and in another process."""

    layer: str
    path: KeyPath
    content: bytes


class Leftovers:
    """Remembers which placeholders caused a warning. Each loader has one, which one load at a time uses."""

    def __init__(self) -> None:
        self._known: frozenset[Leftover] = frozenset()

    def warnings(self, schema: Any, merged: Merged) -> Iterator[str]:
        """Yield the warnings of this load that the last load did not cause."""
        found = dict(_leftovers(merged))
        new = [each for each in found if each not in self._known]
        self._known = frozenset(found)
        for each in new[:MOST_WARNINGS]:
            yield _warning(each.path, found[each], schema, merged)
        if len(new) > MOST_WARNINGS:
            yield f"{len(new) - MOST_WARNINGS} more values have a placeholder in them that nothing fills in"


def _leftovers(merged: Merged) -> Iterator[tuple[Leftover, str]]:
    for path, text in texts(merged.data, _may_have_one):
        found = _PLACEHOLDER.search(text)
        layer = merged.origin(path) if found is not None else None
        if layer is not None and layer._filled_by is None:  # a `${` is meant there: it was written with two dollars
            found = _TEMPLATE.search(text)
        if found is not None and layer is not None:
            content = fingerprint_of(text.encode(errors="surrogatepass"))
            yield Leftover(layer.name, path, content), found[0]


def _may_have_one(text: str) -> bool:
    return "{" in text and ("${" in text or "{{" in text)


def _warning(path: KeyPath, placeholder: str, schema: Any, merged: Merged) -> str:
    if is_secret_at(schema, path) or is_url_at(schema, path) or not placeholder.isprintable():
        shown = "${…}" if placeholder[0] == "$" else "{{…}}"
    else:
        shown = shortened(placeholder, _LONGEST)
    place, key, layer = merged.where(path), shown_key(path, schema), merged.origin(path)
    option = layer._filled_by if placeholder[0] == "$" and layer is not None else ""
    advice = f" ({option} fills such references in)" if option else ""
    return f"{place}: {key}: has {shown} in it, which nothing fills in: a value is taken as it is written{advice}"
