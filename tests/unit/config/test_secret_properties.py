"""Of any schema and any values: a sentinel stands in each secret place, and in nothing that is told of them."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator
from typing import Annotated, Any, NamedTuple

import msgspec
import pydantic
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import AnyUrl, PostgresDsn, SecretStr

from confcast import ConfigError, ConfigLoader, Layer, Secret, UrlSecret
from confcast.config.codec import Codec, codec_of
from confcast.config.described import described
from confcast.config.diff import differences, secrets_masked, shown_values
from confcast.config.explain import explain
from confcast.config.overrides import Call
from confcast.config.schema import masked_keys
from confcast.config.schema.key_path import KeyPath
from confcast.config.shown_data import shown_data

SENTINEL, NUMBER = "hunter2", 424242
Make = Callable[[int], Any]


class Place(NamedTuple):
    """A type, the data that a source has for it in each version, and what in them is a secret by its source."""

    annotation: Any
    data: Make
    sealed: tuple[KeyPath, ...] = ()


def secret(number: int) -> str:
    return f"{SENTINEL}-{number}"


LEAVES = [
    Place(str, lambda n: f"open-{n}"),
    Place(int, lambda n: 7000 + n),
    Place(SecretStr, secret),
    Place(pydantic.Secret[int], lambda n: NUMBER + n),
    Place(Annotated[str, Secret], secret),
    Place(Annotated[int, Secret], lambda n: NUMBER + n),
    Place(Annotated[str, UrlSecret], lambda n: f"redis://:{secret(n)}@open-{n}/0"),
    Place(PostgresDsn, lambda n: f"postgres://open:{secret(n)}%2F@db/x?password={secret(n)}"),
    Place(AnyUrl, lambda n: f"https://open/x?token={secret(n)}"),
    Place(str, secret, ((),)),
    Place(int, lambda n: NUMBER + n, ((),)),
    Place(str | int, secret, ((),)),
]


def below(part: Any, place: Place) -> tuple[KeyPath, ...]:
    return tuple((part, *path) for path in place.sealed)


def listed(place: Place) -> Place:
    return Place(
        list[place.annotation], lambda n: [place.data(n), place.data(n + 10)], (*below(0, place), *below(1, place))
    )  # type: ignore[name-defined]


def tabled(place: Place) -> Place:
    return Place(
        dict[str, place.annotation],
        lambda n: {"k": place.data(n), "l": place.data(n)},
        (*below("k", place), *below("l", place)),
    )  # type: ignore[name-defined]


def optional(place: Place) -> Place:
    return place._replace(annotation=place.annotation | None)


def paired(one: Place, other: Place) -> Place:
    sealed = (*below(0, one), *below(1, other))
    return Place(tuple[one.annotation, other.annotation], lambda n: [one.data(n), other.data(n)], sealed)  # type: ignore[name-defined]


_NUMBERS = itertools.count()


def section(kind: str, places: list[Place]) -> Place:
    fields = {f"f{index}": place.annotation for index, place in enumerate(places)}
    name = f"Section{next(_NUMBERS)}"
    if kind == "model":
        made: Any = pydantic.create_model(name, **{key: (hint, ...) for key, hint in fields.items()})  # type: ignore[call-overload]
    elif kind == "dataclass":
        made = dataclasses.make_dataclass(name, list(fields.items()))
    else:
        made = msgspec.defstruct(name, list(fields.items()))
    sealed = tuple(path for key, place in zip(fields, places, strict=True) for path in below(key, place))
    return Place(made, lambda n: {key: place.data(n) for key, place in zip(fields, places, strict=True)}, sealed)


KINDS = st.sampled_from(["model", "dataclass", "struct"])


def roots(*others: Callable[[st.SearchStrategy[Place]], st.SearchStrategy[Place]]) -> st.SearchStrategy[Place]:
    def around(inner: st.SearchStrategy[Place]) -> st.SearchStrategy[Place]:
        inside = st.lists(inner, min_size=1, max_size=3)
        return st.one_of(
            inner.map(listed),
            inner.map(tabled),
            inner.map(optional),
            st.builds(section, st.sampled_from(["model", "dataclass"]), inside),
            *(other(inner) for other in others),
        )

    places = st.recursive(st.sampled_from(LEAVES), around, max_leaves=5)
    return st.builds(section, KINDS, st.lists(places, min_size=1, max_size=4))


def pairs(inner: st.SearchStrategy[Place]) -> st.SearchStrategy[Place]:
    """Beside a secret in one tuple nothing is shown."""
    return st.builds(paired, inner, inner)


class Vault(msgspec.Struct, frozen=True):
    """A source of data, some of which are secrets."""

    data: Any
    sealed: tuple[KeyPath, ...]

    def read(self) -> Layer:
        return Layer("vault", self.data, secrets=self.sealed)


def keys_in(data: Any, at: str = "") -> Iterator[str]:
    parts = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for part, item in parts:
        key = f"{at}[{part}]" if isinstance(part, int) else f"{at}.{part}" if at else part
        yield key
        yield from keys_in(item, key)


def wrong(data: Any) -> Iterator[Any]:
    """The data with each scalar once where a list, and once where a table belongs, and once as a misspelt text."""
    if isinstance(data, dict | list):
        for part, item in data.items() if isinstance(data, dict) else enumerate(data):
            for other in wrong(item):
                yield {**data, part: other} if isinstance(data, dict) else [*data[:part], other, *data[part + 1 :]]
    else:
        yield from ([data], {"x": data}, {str(data): 1}, str(data).replace("://", "//"))


def told(loader: ConfigLoader[Any], root: Place) -> Iterator[object]:
    """What is told of two versions, in the process that has loaded them."""
    old, new = loader.load(), ConfigLoader(root.annotation, Vault(root.data(2), root.sealed)).load()
    codec = codec_of(root.annotation)
    yield from (differences(codec, old.config, new.config), described(codec), repr(old), old._merged.layers)
    yield [(key, value(True), value(False)) for key, value in shown_values(codec, new.config)]
    yield from (explain(new, key) for key in keys_in(root.data(2)))
    yield shown_data(root.annotation, (), root.data(1))
    yield secrets_masked(codec, old.config, new.config)(f"{root.data(1)} {root.data(2)}")
    reading = loader._read()
    for key, value in root.data(3).items():
        overrides = loader._set(reading, {key: value}, Call(0.0, None, "", None))
        yield overrides.listed(root.annotation, root.data(1))


def elsewhere(loader: ConfigLoader[Any], root: Place) -> Iterator[object]:
    """What another process tells, which has the bytes of versions alone."""
    payload = loader.load().payload
    opened = ConfigLoader(root.annotation, Vault(root.data(1), ())).load().payload
    masked_keys._known.clear()
    codec: Codec[Any] = codec_of(root.annotation)
    config = codec.decode(payload)
    yield [(key, value(True)) for key, value in shown_values(codec, config)]
    yield from (differences(codec, codec.decode(opened), config), differences(codec, config, codec.decode(opened)))
    yield secrets_masked(codec, config)(str(root.data(1)))


def refusals(root: Place) -> Iterator[str]:
    for data in itertools.islice(wrong(root.data(1)), 30):
        try:
            ConfigLoader(root.annotation, Vault(data, root.sealed)).load()
        except ConfigError as error:
            yield f"{error} {error!r} {error.problems}"


@settings(deadline=None, max_examples=25)
@given(root=roots(pairs))
def test_no_secret_is_in_anything_that_is_told(root: Place) -> None:
    loader: ConfigLoader[Any] = ConfigLoader(root.annotation, Vault(root.data(1), root.sealed))
    said = [*map(str, told(loader, root)), *map(str, elsewhere(loader, root)), *refusals(root)]
    assert [each for each in said if SENTINEL in each or str(NUMBER)[:5] in each] == []


@settings(deadline=None, max_examples=12)
@given(root=roots())
def test_all_that_is_no_secret_is_shown(root: Place) -> None:
    candidate = ConfigLoader(root.annotation, Vault(root.data(1), root.sealed)).load()
    shown = str([(key, value(True)) for key, value in shown_values(codec_of(root.annotation), candidate.config)])
    data = str(root.data(1))
    for text in ("open-1", "open-11", "7001", "7011", "postgres://open:", "https://open/x?token="):
        assert (text in data) == (text in shown)
