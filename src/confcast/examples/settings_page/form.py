"""The form: what it shows, and which values a person has changed in it.

Each input has the value beside it with which it was filled (`was.KEY`), so what a person has not touched is not set:
it would freeze what another person, or the file, changes meanwhile. A password is shown to nobody: its input is empty,
and means "as it is" if it stays so. So a box beside it (`none.KEY`) says that there is to be none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

from pydantic import SecretStr

from confcast import Change
from confcast.examples.settings_page.settings import Settings


class Field(NamedTuple):
    """One input. `key`: as confcast writes it, so that a problem finds its input."""

    key: str
    label: str
    help: str
    kind: Literal["text", "number", "password"] = "text"


FIELDS = (
    Field("greeting", "Greeting", "What each page begins with."),
    Field("per_page", "Articles a page", "From 1 to 100.", "number"),
    Field("free_from", "Sent for nothing from", "In euros.", "number"),
    Field("postage", "Postage of a smaller order", "In euros.", "number"),
    Field("mail.host", "Mail server", "Where orders are mailed to."),
    Field("mail.port", "Port of the mail server", "From 1 to 65535.", "number"),
    Field("mail.password", "Password of the mail server", "Left empty, it stays as it is.", "password"),
)
_KEYS = {field.key for field in FIELDS}
_MOST = 2**53  # as a version's number


class Form(NamedTuple):
    """What the page shows, or what came back.

    Attributes:
        version: The version that the person has seen.
        values: By key, as texts.
        was: With what the inputs were filled.
        give_back: The key whose value from the file is to count again; empty for none.
        ended: The keys of passwords of which there are to be none.
    """

    version: int
    values: dict[str, str]
    was: dict[str, str]
    give_back: str = ""
    ended: frozenset[str] = frozenset()

    @classmethod
    def of(cls, config: Settings, version: int) -> Form:
        """The form of a version."""
        values = {field.key: "" if field.kind == "password" else _text(config, field.key) for field in FIELDS}
        return cls(version, values, values)

    @classmethod
    def sent(cls, sent: Mapping[str, str]) -> Form:
        """What a browser has sent; keys that are no inputs are left out. Raises ValueError: it is no such form."""
        version, key = int(sent.get("version", "")), sent.get("give_back", "")
        if not 0 < version < _MOST or key not in {"", *_KEYS}:
            raise ValueError("no version, or no key, of this page")
        values = {key: sent[key] if _is_secret(key) else sent[key].strip() for key in _KEYS if key in sent}
        ended = frozenset(each for each in filter(_is_secret, _KEYS) if f"none.{each}" in sent)
        return cls(version, values, {key: sent.get(f"was.{key}", "") for key in values}, key, ended)

    def changed(self) -> dict[str, str]:
        """What the person wants to be other than it was. Texts: `set` reads them as variables are read."""
        typed = {key: text for key, text in self.values.items() if text != self.was[key]}
        return dict.fromkeys(self.ended, "") | typed

    def contradictions(self) -> list[str]:
        """The keys of passwords that were typed, and of which there are to be none."""
        return [key for key in self.ended if self.values.get(key)]

    def has_a_secret(self) -> bool:
        """Whether a password was typed, which no page shows again."""
        return any(text and _is_secret(key) for key, text in self.values.items())

    def after(self, version: int, changes: Iterable[Change]) -> Form:
        """The same, for a newer version: what others have changed is filled in where the person has touched nothing."""
        newer = {each.key: str(each.new) for each in changes if each.key in self.values and not _is_secret(each.key)}
        return self._above(version, newer)

    def above(self, newer: Form) -> Form:
        """The same, for the version of another form, whatever of it has changed since."""
        return self._above(newer.version, newer.was)

    def _above(self, version: int, newer: Mapping[str, str]) -> Form:
        values = {**self.values, **newer, **self.changed()}
        return self._replace(version=version, values=values, was={**self.was, **newer})


def has_one(config: Settings, field: Field) -> bool:
    """Whether there is such a password now."""
    value = _value(config, field.key)
    return isinstance(value, SecretStr) and bool(value.get_secret_value())


def _is_secret(key: str) -> bool:
    return any(field.key == key and field.kind == "password" for field in FIELDS)


def _text(config: Settings, key: str) -> str:
    return str(_value(config, key))


def _value(config: Settings, key: str) -> object:
    value: object = config
    for name in key.split("."):
        value = getattr(value, name)
    return value
