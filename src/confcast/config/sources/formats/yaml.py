"""Parses YAML 1.1: libyaml, if it is installed, composes nodes, and confcast's own walk turns them into plain data.

A document of nothing but nested keys and single values is read by plain_yaml.py instead, which gives the same.

The walk does what PyYAML's constructor does for plain types, in less time, and also refuses duplicate keys, tags beyond
the plain types, and aliases that multiply the document beyond a limit. Merge keys (`<<`) work. Values that YAML 1.1
reads as dates, numbers or booleans (`no`, `010`, `12:30`) are kept so: the schema decides whether they fit, and if not,
`notes` explains how YAML read them.

Keys that are no text (`1: x`, `on: x`) are kept: a field of a class can't have one, a `dict[int, …]` can. Tables and
lists as keys are refused.

Rejected: looking for duplicates after `yaml.load(CSafeLoader)`, which drops them, and refusing every alias (people
write anchors).
"""

from __future__ import annotations

import contextlib
import math
import re
from abc import abstractmethod
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from confcast.config.schema.key_path import KeyPath
from confcast.config.sources.formats import plain_yaml
from confcast.config.sources.formats.common import (
    MAX_BYTES,
    MAX_DEPTH,
    MOST_DIGITS,
    TOO_LARGE,
    TWICE,
    Lines,
    Note,
    Spot,
    Tagged,
    Unparsable,
    too_deep,
)
from confcast.config.sources.formats.plain import NOT_PLAIN

T = TypeVar("T")

OWN_TAGS = ("env", "file", "include")
"""The tags beyond YAML's plain types that a caller may ask for; `Tagged` says what becomes of them."""

MAX_EXPANDED = 1_000_000
"""How many nodes the aliases of one document may stand for together, however large it is: a second's work for a load.

A node counts once, and once more for each ten levels above it, since whatever has its path takes longer in proportion.
"""

_EXPANDED_AT_LEAST, _EXPANDED_PER_CHARACTER = 10_000, 50

MAX_CHARACTERS = MAX_BYTES
"""How many characters the scalars of a document may have, including those that aliases repeat."""

_TAG = "tag:yaml.org,2002:"
_MERGE = _TAG + "merge"
_TEXT = (_TAG + "str", _TAG + "value")
_SCALARS = {_TAG + name: name for name in ("null", "bool", "int", "float", "binary", "timestamp")}
_READ_AS = {
    "null": "YAML reads ~ and an empty value as null",
    "bool": "YAML reads yes, no, on, off, true and false as booleans",
    "int": "YAML reads it as a number",
    "float": "YAML reads it as a number",
    "base 60": "YAML reads digits with colons as a number in base 60",
    "octal": "YAML reads digits after a leading 0 as an octal number",
    "timestamp": "YAML reads it as a date",
}
_EXPONENT = "YAML reads a number with an exponent as text unless it has a dot and a sign: write it"
_OCTAL = "YAML reads it as text: an octal number has a leading 0 and no letter"
_NUMBERS_AS_TEXT = {
    r"[+-]?[\d_]+(?:\.[\d_]*)?[eE][+-]?\d+": Note(
        number=f"{_EXPONENT} as 1.0e+3",
        whole=f"{_EXPONENT} without an exponent",  # with one, a float, which a strict library refuses for an int
    ),
    r"[+-]?0o[0-7]+": Note(number=_OCTAL, whole=_OCTAL),
}
_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
_HALVES = {  # messages of PyYAML that can't be understood without their context
    "but found another document": "has a second document here (--- begins one): a configuration is one document",
    "second occurrence": "has an anchor here that there is already, in {}: give each anchor its own name",
}
_LONGEST = MOST_DIGITS  # characters of a value that is no text: the time to make an int grows with their square
_INDICATORS = 1000  # libyaml composes this many levels on any stack; 100,000 end in a segmentation fault


def parse(text: str, tags: Sequence[str] = ()) -> Any:
    """Parse a document; None if the text has none. A scalar with one of these tags becomes a `Tagged`.

    Raises Unparsable, and ImportError if PyYAML is not installed.
    """
    import yaml  # noqa: F401 - a plain document needs it as any other: the next edit may make it one that is not plain

    document = NOT_PLAIN if tags and "!" in text else plain_yaml.parse(text)
    return parse_any(text, tags) if document is NOT_PLAIN else document


def parse_any(text: str, tags: Sequence[str] = ()) -> Any:
    """Parse a document by libyaml, plain or not, as `parse` does."""
    return _read(text, lambda builder, root: builder.document(root, tags))


def locate(text: str) -> Mapping[KeyPath, Spot]:
    """The place of each key and each value of the document; for a value that an alias repeats, the anchor's place."""
    found: _Spots | None = _read(text, _Spots, accepted=True)  # None of a text without a document
    return {} if found is None else found


def notes(text: str) -> Mapping[KeyPath, Note]:
    """Advice about each unquoted value that YAML may have read otherwise than its author meant.

    The advice quotes no value: it may be a secret.
    """
    commented = _have_comments_below(_BREAK.split(text))
    found: _Notes | None = _read(text, lambda builder, root: _Notes(builder, root, commented), accepted=True)
    return {} if found is None else found


def most_expanded(text: str) -> int:
    """The number of nodes that the aliases of a document may stand for, in proportion to its length.

    A list of 500 entries, each of which merges 20 defaults, has a few nodes for each of its characters; a small text
    that expands to a large document has many.
    """
    return min(MAX_EXPANDED, _EXPANDED_AT_LEAST + _EXPANDED_PER_CHARACTER * len(text))


def _note(node: Any, commented: list[bool]) -> Note | None:
    if node.id != "scalar" or node.style:
        return None
    if node.tag in _TEXT:
        return next((note for form, note in _NUMBERS_AS_TEXT.items() if re.fullmatch(form, node.value)), None)
    if _SCALARS.get(node.tag) not in _READ_AS:
        return None
    line = node.start_mark.line  # for an empty value this may be the line after the last
    return Note(_note_for_text(node), "" if node.value else _note_for_table(any(commented[line : line + 1])))


def _note_for_table(commented: bool) -> str:
    """The advice for an empty value where a table is wanted; `commented` if indented comments follow it."""
    return (
        f"{'all its lines are comments' if commented else 'nothing stands below it'}, and YAML reads an empty section"
        " as null: write {} or [] for one, or leave it out"
    )


def _have_comments_below(lines: list[str]) -> list[bool]:
    """For each line, whether the next line that is not blank is a comment with a deeper indent."""
    found, comment = [], -1  # the indent of the comment that follows; -1 if none does
    for line in reversed(lines):
        written = line.lstrip()
        indent = len(line) - len(written)
        found.append(comment > indent)
        if written:
            comment = indent if written.startswith("#") else -1
    return found[::-1]


def _note_for_text(node: Any) -> str:
    name, written = _SCALARS[node.tag], node.value.lstrip("+-")
    if name in ("int", "float") and ":" in written:
        name = "base 60"
    elif name == "int" and written[:1] == "0" and written[1:2].isdecimal():
        name = "octal"
    return f"{_READ_AS[name]}: put it in quotes if it is meant as text"


def _read(text: str, use: Any, *, accepted: bool = False) -> Any:
    """What is made of the document; None if there is none. Of one that `parse` has accepted, the depth is known."""
    import yaml

    try:
        if not accepted and sum(map(text.count, "[{-:?")) > _INDICATORS:
            _check_depth(yaml, text)
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(text)
        try:
            node = loader.get_single_node()
            return None if node is None else use(_Builder(loader, yaml.YAMLError, most_expanded(text)), node)
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        _check_what_was_read(yaml, text, error)
        raise _unparsable(text, error) from None
    except yaml.reader.ReaderError as error:
        raise Unparsable("is no valid YAML: a character that YAML does not allow", *_place(text, error)) from None
    except RecursionError:  # PyYAML's parser in Python has no limit of its own
        _check_depth(yaml, text)
        raise too_deep() from None


def _check_depth(yaml: Any, text: str) -> None:
    """Refuse a document that nests too deep, by its events, which need no recursion."""
    depth = 0
    for event in yaml.parse(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise too_deep(event.start_mark.line + 1, event.start_mark.column + 1)


def _check_what_was_read(yaml: Any, text: str, error: Any) -> None:
    """Refuse a document that nests too deep before the place where the parser gave up.

    Parsers read up to a kilobyte ahead of their events, and newer ones (PyYAML 6.0.4) give up at a depth of their own:
    without this check the version of the parser would decide what the refusal says, and where.
    """
    for mark in (error.problem_mark, error.context_mark):  # a token may begin at the second
        if mark:
            with contextlib.suppress(yaml.YAMLError):
                _check_depth(yaml, text[: mark.index])


def _unparsable(text: str, error: Any) -> Unparsable:
    mark = error.problem_mark or error.context_mark
    place = (mark.line + 1, mark.column + 1) if mark else (0, 0)
    # PyYAML's message may repeat text that it found, and an alias may be a password that begins with a star.
    message = re.sub(r" '(?!<)[^']{4,}'", "", error.problem or error.context or "")
    if message in _HALVES:
        return Unparsable(_HALVES[message].format(_at(error.context_mark)), *place)
    if ("tab character" in message or "cannot start any token" in message) and _is_tab(text, *place):
        message = "a tab where it can't be: YAML indents with blanks only"
    return Unparsable(f"is no valid YAML: {message}", *place)


def _at(mark: Any) -> str:
    return f"line {mark.line + 1}, column {mark.column + 1}" if mark else "before"


def _is_tab(text: str, line: int, column: int) -> bool:
    found = text.splitlines()[line - 1 : line] if line else []
    return bool(found) and found[0][column - 1 : column] == "\t"


def _place(text: str, error: Any) -> tuple[int, int]:
    """The place of a character that YAML does not allow; PyYAML gives an offset in characters, libyaml in bytes."""
    bad = re.search("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", text)
    return Lines(text).at(bad.start() if bad else error.position)


class _BadNode(Unparsable):
    """A value does not fit its YAML type, or a table has a key twice."""

    def __init__(self, message: str, node: Any) -> None:
        super().__init__(message, *_start(node))
        self.node = node


class _Builder:
    """Makes plain data of the nodes of one document."""

    def __init__(self, loader: Any, error: type[Exception], most_expanded: float) -> None:
        self._loader, self._most_expanded = loader, most_expanded
        # PyYAML raises AttributeError for a text that is no date, and OverflowError for the number 1:1:1:…
        self._not_of_its_type = (error, ValueError, LookupError, AttributeError, OverflowError)
        self._seen: set[int] = set()
        self._flat: dict[int, tuple[Any, int]] = {}  # by the node's id: a table or a list, and its characters
        self._expanded = 0
        self._characters = 0
        self._depth = 0
        self._tags: Sequence[str] = ()

    def document(self, root: Any, tags: Sequence[str] = ()) -> Any:
        """Turn the document into plain data, and scalars with these tags into `Tagged`."""
        self._tags = tags
        try:
            return self.value(root)
        except _BadNode as bad:
            with contextlib.suppress(Unparsable):
                builder = _Builder(self._loader, self._not_of_its_type[0], self._most_expanded)
                found = (path for path, *nodes in builder.walk(root, ()) if any(each is bad.node for each in nodes))
                bad.path = next(found, ())
            raise

    def unlimited(self) -> _Builder:
        """Another of the same document, which was accepted, so that nothing is counted."""
        return _Builder(self._loader, self._not_of_its_type[0], math.inf)

    def value(self, node: Any) -> Any:
        """Turn a node into plain data."""
        if node.id == "scalar":
            self._count(node)
            return node.value if node.tag in _TEXT else self._scalar(node)
        again = id(node) in self._seen
        self._enter(node)
        made = self._again(node) if again else self._collection(node)
        self._depth -= 1
        return made

    def _collection(self, node: Any) -> Any:
        return self._table(node) if node.id == "mapping" else [self.value(child) for child in node.value]

    def _again(self, node: Any) -> Any:
        """A table or a list of its own for each alias: whoever reads the document changes them in place.

        What has single values only is made twice, and then copied: a number takes much longer to make than to copy.
        """
        if (known := self._flat.get(id(node))) is not None:
            made, characters = known
            self._add(characters, node)
            return made.copy()
        before = self._characters
        made = self._collection(node)
        if not any(isinstance(each, dict | list) for each in (made.values() if type(made) is dict else made)):
            self._flat[id(node)] = made.copy(), self._characters - before
        return made

    def walk(self, node: Any, path: KeyPath) -> Iterator[tuple[KeyPath, Any, Any]]:
        """Yield path, key node and value node of everything inside a node; what an alias repeats only once."""
        if node.id == "scalar" or id(node) in self._seen:
            return
        self._enter(node)
        for key, (key_node, child) in self.inside(node):
            yield (*path, key), key_node, child
            yield from self.walk(child, (*path, key))
        self._depth -= 1

    def inside(self, node: Any) -> Iterator[tuple[Any, tuple[Any, Any]]]:
        """Yield key or index, key node and value node of what is in a node; of a key that is merged, too, the own."""
        if node.id == "mapping":
            yield from ((key, (key_node, child)) for key, key_node, child in self._pairs(node))
        elif node.id == "sequence":
            yield from enumerate((child, child) for child in node.value)

    def _enter(self, node: Any) -> None:
        """Count the levels, and the nodes that aliases repeat: a document of 1 KB can expand to 1 TB."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise too_deep(*_start(node))
        if node.tag not in (_TAG + "map", _TAG + "seq"):
            raise _unsupported_tag(node)
        if id(node) in self._seen:
            self._expanded += (1 + len(node.value) * (1 + (node.id == "mapping"))) * (1 + self._depth // 10)
            if self._expanded > self._most_expanded:
                deep = ", those of deep levels counted several times" if self._depth >= 10 else ""
                message = f"has aliases that stand for more than {self._most_expanded} nodes{deep}"
                raise Unparsable(message, *_start(node))
        self._seen.add(id(node))

    def _count(self, node: Any) -> None:
        """Count the characters: a text of a megabyte and ten thousand aliases of it expand to ten gigabytes."""
        self._add(len(node.value), node)

    def _add(self, characters: int, node: Any) -> None:
        self._characters += characters
        if self._characters > MAX_CHARACTERS:
            raise Unparsable(f"has aliases that stand for more than {MAX_CHARACTERS} characters", *_start(node))

    def _scalar(self, node: Any) -> Any:
        name = _SCALARS.get(node.tag)
        if name is None:
            return self._tagged(node)
        try:
            if len(node.value) > _LONGEST and name != "binary":
                raise ValueError("too long")
            made = getattr(self._loader, f"construct_yaml_{name}")(node)
        except self._not_of_its_type:
            raise _BadNode(f"is no valid YAML: not a valid {name}; quote it if it is text", node) from None
        if name == "float" and math.isinf(made) and "inf" not in node.value.lower():
            raise _BadNode(TOO_LARGE, node)
        return made

    def _tagged(self, node: Any) -> Tagged:
        name = node.tag.removeprefix("!")
        if name not in self._tags or node.tag == name:
            raise _unsupported_tag(node)
        made = Tagged(node.value)
        made.tag = name
        return made

    def _table(self, node: Any) -> dict[Any, Any]:
        table: dict[Any, Any] = {}
        merged = False
        for key_node, child in node.value:
            if key_node.tag in _TEXT and key_node.id == "scalar":
                self._count(key_node)
                key: Any = key_node.value
            elif key_node.tag == _MERGE:
                merged = True
                continue
            else:
                key = self._key(key_node)
            if key in table:
                raise _BadNode(TWICE, key_node)
            table[key] = self.value(child)
        if not merged:
            return table
        below: dict[Any, Any] = {}
        for each in self._tables(node):
            below |= self.value(each)
        return below | table

    def _key(self, node: Any) -> Any:
        key = self.value(node) if node.id == "scalar" else None
        if isinstance(key, Tagged):
            raise _unsupported_tag(node)
        if node.id != "scalar" or not isinstance(key, Hashable):
            raise Unparsable("has a table or a list for a key", *_start(node))
        return key

    def _pairs(self, node: Any) -> Iterator[tuple[Any, Any, Any]]:
        """Key, key node and value node of each merged entry, then of each entry of the table itself."""
        yield from self._merged(node)
        for key_node, child in node.value:
            if key_node.tag != _MERGE:
                yield self._key(key_node), key_node, child

    def _merged(self, node: Any) -> Iterator[tuple[Any, Any, Any]]:
        """The entries that `<<` merges."""
        for table in self._tables(node):
            self._enter(table)
            yield from self._pairs(table)
            self._depth -= 1

    def _tables(self, node: Any) -> Iterator[Any]:
        """The tables that `<<` merges; the first of several comes last, since it wins."""
        for key_node, child in node.value:
            if key_node.tag == _MERGE:
                for table in reversed(child.value) if child.id == "sequence" else (child,):
                    if table.id != "mapping":
                        raise Unparsable("is no valid YAML: '<<' merges tables only", *_start(table))
                    yield table


class _Found(Mapping[KeyPath, T]):
    """What is known of the values of a document that was accepted, found when it is asked for.

    Few of many values are asked for, and aliases of a small text may stand for a million.

    Args:
        builder: Reads the document.
        root: Its outermost node.
    """

    def __init__(self, builder: _Builder, root: Any) -> None:
        self._builder, self._root = builder.unlimited(), root
        self._entries: dict[int, dict[Any, tuple[Any, Any]]] = {}  # of a node, by its id: the document holds it

    @abstractmethod
    def _of(self, key: Any, value: Any) -> T | None:
        """What is known of a key node and a value node; None for nothing."""

    def __getitem__(self, path: KeyPath) -> T:
        if not path:
            raise KeyError(path)
        node = self._root
        for part in path:
            key, node = self._inside(node)[part]
        found = self._of(key, node)
        if found is None:
            raise KeyError(path)
        return found

    def __iter__(self) -> Iterator[KeyPath]:
        return self._paths(self._root, ())

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def _paths(self, node: Any, path: KeyPath) -> Iterator[KeyPath]:
        for part, (key, child) in self._inside(node).items():
            if self._of(key, child) is not None:
                yield (*path, part)
            yield from self._paths(child, (*path, part))

    def _inside(self, node: Any) -> dict[Any, tuple[Any, Any]]:
        found = self._entries.get(id(node))
        if found is None:
            found = self._entries[id(node)] = dict(self._builder.inside(node))
        return found


class _Spots(_Found[Spot]):
    def _of(self, key: Any, value: Any) -> Spot:
        return Spot(_start(key), _start(value))


class _Notes(_Found[Note]):
    def __init__(self, builder: _Builder, root: Any, commented: list[bool]) -> None:
        super().__init__(builder, root)
        self._commented = commented

    def _of(self, key: Any, value: Any) -> Note | None:
        return _note(value, self._commented)


def _start(node: Any) -> tuple[int, int]:
    return node.start_mark.line + 1, node.start_mark.column + 1


def _unsupported_tag(node: Any) -> Unparsable:
    own = node.tag.removeprefix("!")
    if own != node.tag and own in OWN_TAGS:
        return Unparsable(
            f'has the tag !{own}, which is read only where File(…, tags=("{own}",)) asks for it,'
            " and only before a single value",
            *_start(node),
        )
    return Unparsable(
        "has a tag that is not one of YAML's plain types; quote the value if it is a text that begins with '!'",
        *_start(node),
    )
