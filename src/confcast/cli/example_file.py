"""Writes a file to begin with, in each format: every key of a schema with its default, and what is said of it.

Guaranteed: the files are read by confcast's own readers, and with what is required filled in they give the schema's
defaults. What has no value here (required, a secret, None) is a line in a comment, in the place where it would stand:
without the comment's mark and with a value it counts. JSON has no comments, so that it has the defaults alone. An INI
file has a section for every key: its first line says how it is read. What no text in it stands for is a comment, too.

No text of a schema begins a line of its own, or ends a comment: what can't be printed is escaped. Rejected: a library
that writes TOML or YAML (one more dependency for every server, and most of them write no comments).
"""

from __future__ import annotations

import json
import math
import re
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

from confcast.texts import printable, printable_json
from confcast.wire.messages import SchemaKey

_BARE = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_AMBIGUOUS = re.compile(r"(?i)(y|n|yes|no|on|off|true|false|null|inf|nan)")  # some readers of YAML take them for others
_OPTION = re.compile(r"[A-Za-z_](?:[\w .@/-]*\w)?", re.ASCII)  # what is a key to every reader of INI
_SECTION = re.compile(r"[A-Za-z_][\w@/-]*", re.ASCII)  # without the characters that would nest it
_TAKES_TEXT = re.compile(r"\b(?:str|Any|object)\b")
_WIDTH = 78


class _Node:
    """A key of the file.

    Attributes:
        field: What the schema says of it; None for a table that only leads to one.
        below: The keys below, by name.
        notes: What the schema says of keys that a file may have any number of.
    """

    def __init__(self, field: SchemaKey | None = None) -> None:
        self.field = field
        self.below: dict[str, _Node] = {}
        self.notes: list[SchemaKey] = []

    @property
    def is_table(self) -> bool:
        """Whether it is written as a table, and not as a value."""
        return self._has_keys or (self.field is not None and self.field.value == {})

    @property
    def _has_keys(self) -> bool:
        return bool(self.below) or (self.field is not None and self.field.form == "table")

    @property
    def value(self) -> Any:
        """The default, as a file has it; None if there is none."""
        return self.field.value if self.field is not None else None

    @property
    def is_off(self) -> bool:
        """Whether it stands in a comment."""
        return self.field is not None and self.field.form == "absent"


def example_file(fields: Sequence[SchemaKey], language: str) -> str:
    """The text of the file, without the line break at its end.

    Args:
        fields: What the schema says, as an owner describes it.
        language: `toml`, `yaml`, `json`, `jsonc` or `ini`.
    """
    root = _tree(fields)
    if language == "json":
        return printable_json(json.dumps(_defaults(root), ensure_ascii=False, indent=2))
    if language == "jsonc":
        return "\n".join(["{", *_jsonc(root, 1, off=False), "}"])
    if language == "ini":
        return "\n".join(_ini_file(root)).strip("\n")
    lines = _toml(root, (), off=False) if language == "toml" else _yaml(root, 0, off=False)
    return "\n".join(lines).strip("\n")


def _tree(fields: Sequence[SchemaKey]) -> _Node:
    root = _Node()
    last = [root]
    for field in fields:
        if not field.path:
            _around(field, last).notes.append(field)
            continue
        last = [root]
        for part in field.path:
            last.append(last[-1].below.setdefault(part, _Node()))
        last[-1].field = last[-1].field or field
    return root


def _around(field: SchemaKey, last: list[_Node]) -> _Node:
    """The node that a key is below, of those that lead to the last one; the last one if it is below none."""
    beginnings = ((node, node.field.key) for node in reversed(last) if node.field is not None)
    return next((node for node, key in beginnings if field.key.startswith((f"{key}.", f"{key}["))), last[-1])


def _defaults(node: _Node) -> dict[str, Any]:
    found = dict[str, Any]()
    for name, each in node.below.items():
        if each.is_off:
            continue
        if each._has_keys:
            found[name] = _defaults(each)
        elif each.field is not None and _is_finite(each.field.value):
            found[name] = each.field.value
    return found


def _is_finite(value: Any) -> bool:
    if isinstance(value, dict | list):
        return all(map(_is_finite, value.values() if isinstance(value, dict) else value))
    return not isinstance(value, float) or math.isfinite(value)


def _toml(node: _Node, path: tuple[str, ...], *, off: bool) -> Iterator[str]:
    """The lines of a table: its values first, since what follows the head of another table is in that."""
    for name, each in node.below.items():
        if not each.is_table:
            yield ""
            yield from _said(each, "")
            yield _line(f"{_key(name)} = {_shown(each, _value_in_toml)}", off or each.is_off)
    for name, each in node.below.items():
        if each.is_table:
            hidden = off or each.is_off
            yield ""
            yield from _said(each, "")
            yield _line(f"[{'.'.join(map(_key, (*path, name)))}]", hidden)
            yield from _toml(each, (*path, name), off=hidden)


def _yaml(node: _Node, depth: int, *, off: bool) -> Iterator[str]:
    indent = "  " * depth
    for name, each in node.below.items():
        yield ""
        yield from _said(each, indent)
        hidden = off or each.is_off
        if not each._has_keys:
            yield indent + _line(f"{_key(name)}: {_shown(each, _value_in_yaml)}", hidden)
        elif not hidden and not _has_value(each) and not _wants_some(each):
            yield f"{indent}{_key(name)}: {{}}"
        else:
            yield indent + _line(f"{_key(name)}:", hidden or not _has_value(each))
            yield from _yaml(each, depth + 1, off=hidden)


def _jsonc(node: _Node, depth: int, *, off: bool) -> Iterator[str]:
    indent = "  " * depth
    for index, (name, each) in enumerate(node.below.items()):
        hidden = off or each.is_off or (not each._has_keys and not _is_finite(each.value))
        if index:
            yield ""
        yield from _said(each, indent, "//")
        key = f"{_text(name)}: "
        if each._has_keys:
            yield indent + _line(f"{key}{{", hidden, "//")
            yield from _jsonc(each, depth + 1, off=hidden)
            yield indent + _line("},", hidden, "//")
        else:
            yield indent + _line(f"{key}{_shown(each, _value_in_json)},", hidden, "//")


def _ini_file(root: _Node) -> Iterator[str]:
    """The lines of an INI file. If a key has no table around it, one section is around all."""
    around = any(not each._has_keys for each in root.below.values())
    options = ", ".join(['"app.ini"', *['table="app"'] * around, *["nested=True"] * (_depth(root) + around > 1)])
    yield f"# Read by File({options})"
    if around:
        yield "\n[app]"
    yield from _ini(root, ("app",) if around else (), off=False)


def _depth(node: _Node) -> int:
    """How many tables are in each other, at the most."""
    return max((1 + _depth(each) for each in node.below.values() if each._has_keys), default=0)


def _ini(node: _Node, path: tuple[str, ...], *, off: bool) -> Iterator[str]:
    """The lines of a section: its values first, and then the sections for the tables in it."""
    for name, each in node.below.items():
        if not each._has_keys:
            yield ""
            yield from _said(each, "")
            hidden = off or each.is_off or not (_OPTION.fullmatch(name) and _is_said_by_text(each))
            yield _line(f"{printable(name)} = {_shown(each, _value_in_ini)}", hidden)
    for name, each in node.below.items():
        if each._has_keys:
            hidden = off or each.is_off or not _SECTION.fullmatch(name)
            yield ""
            yield from _said(each, "")
            yield _line(f"[{'.'.join(map(printable, (*path, name)))}]", hidden)
            yield from _ini(each, (*path, name), off=hidden)


def _is_said_by_text(node: _Node) -> bool:
    """Whether an INI file has a text that becomes the default: it has no escapes, and a text is no number."""
    assert node.field is not None
    value = node.field.value
    if isinstance(value, str):
        return value.isprintable() and value == value.strip()
    return _is_finite(value) if isinstance(value, list | dict) else not _TAKES_TEXT.search(node.field.type)


def _value_in_ini(value: Any) -> str:
    if isinstance(value, str):
        return printable(value)
    return repr(value) if type(value) is float else _value_in_json(value)


def _value_in_json(value: Any) -> str:
    return printable_json(json.dumps(value, ensure_ascii=False))


def _has_value(node: _Node) -> bool:
    """Whether a line below is in no comment: a table of YAML without one would be null."""
    return any(
        not each.is_off and (not each._has_keys or _has_value(each) or not _wants_some(each))
        for each in node.below.values()
    )


def _wants_some(node: _Node) -> bool:
    return any((each.field is not None and each.field.required) or _wants_some(each) for each in node.below.values())


def _line(text: str, off: bool, mark: str = "#") -> str:
    return f"{mark} {text}" if off else text


def _said(node: _Node, indent: str, mark: str = "#") -> Iterator[str]:
    """The comment above a key."""
    if (field := node.field) is not None:
        facts = [field.type, *field.constraints, *field.marks, *(["required"] if field.required else [])]
        yield from _comment(field.description, indent, mark)
        yield from _comment(", ".join(filter(None, facts)), indent, mark)
    for each in node.notes:
        facts = [each.type, *each.constraints, *each.marks, *(["required"] if each.required else [])]
        said = ", ".join(filter(None, facts)) + (f": {' '.join(each.description.split())}" if each.description else "")
        yield from _comment(f"  {each.key}: {said}" if each.type else f"  {each.key}", indent, mark)


def _comment(text: str, indent: str, mark: str) -> Iterator[str]:
    for each in text.splitlines():
        width = max(_WIDTH - len(indent), 40)
        for part in textwrap.wrap(printable(each), width, break_long_words=False, break_on_hyphens=False):
            yield f"{indent}{mark} {part}"


def _shown(node: _Node, text: Any) -> str:
    """A value as text; its type in the place of one that is not here."""
    assert node.field is not None
    return f"<{printable(node.field.type)}>" if node.is_off else text(node.field.value)


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) and not _AMBIGUOUS.fullmatch(name) else _text(name)


def _value_in_toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_key(key)} = {_value_in_toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return f"[{', '.join(map(_value_in_toml, value))}]"
    return repr(value) if type(value) is float else _scalar(value)


def _value_in_yaml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_key(key)}: {_value_in_yaml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return f"[{', '.join(map(_value_in_yaml, value))}]"
    if type(value) is float:
        return _float_in_yaml(value)
    return _scalar(value)


def _float_in_yaml(value: float) -> str:
    """A float with the point and the sign without which YAML 1.1 takes it for a text."""
    if not math.isfinite(value):
        return ".nan" if math.isnan(value) else ".inf" if value > 0 else "-.inf"
    mantissa, exponent, power = repr(value).partition("e")
    return (mantissa if "." in mantissa else f"{mantissa}.0") + exponent + power


def _scalar(value: Any) -> str:
    return _text(value) if isinstance(value, str) else json.dumps(value)


def _text(text: str) -> str:
    return printable_json(json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f"))
