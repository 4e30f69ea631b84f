"""The form: what it shows, and which values a person has changed in it.

Each input has the value beside it with which it was filled (`was.KEY`), so what a person has not touched is not set:
it would freeze what another person, or the file, changes meanwhile. A password is shown to nobody: its input is empty,
and means "as it is" if it stays so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

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
    Field("mail.port", "Its port", "From 1 to 65535.", "number"),
    Field("mail.password", "Its password", "Left empty, it stays as it is. It is shown to nobody.", "password"),
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
    """

    version: int
    values: dict[str, str]
    was: dict[str, str]
    give_back: str = ""

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
        return cls(version, values, {key: sent.get(f"was.{key}", "") for key in values}, key)

    def changed(self) -> dict[str, str]:
        """What the person wants to be other than it was. Texts: `set` reads them as variables are read."""
        return {key: text for key, text in self.values.items() if text != self.was[key]}

    def has_a_secret(self) -> bool:
        """Whether a password was typed, which no page shows again."""
        return any(text and _is_secret(key) for key, text in self.values.items())

    def after(self, version: int, changes: Iterable[Change]) -> Form:
        """The same, for a newer version: what others have changed is filled in where the person has touched nothing."""
        newer = {each.key: str(each.new) for each in changes if each.key in self.values and not _is_secret(each.key)}
        mine = self.changed()
        return Form(version, self.values | newer | mine, self.was | newer)


def _is_secret(key: str) -> bool:
    return any(field.key == key and field.kind == "password" for field in FIELDS)


def _text(config: Settings, key: str) -> str:
    value: object = config
    for name in key.split("."):
        value = getattr(value, name)
    return str(value)
