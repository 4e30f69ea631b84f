"""`register_type`: what an application teaches the codec is carried exactly, and nothing else is by it."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import msgspec
import pytest
from pydantic import BaseModel, BeforeValidator, ConfigDict, SecretStr

from confcast import ConfigError, ConfigLoader, NotCarried, ProtocolError, Secret, register_type
from confcast.config.codec import Codec
from confcast.config.diff import differences


class Money:
    """Somebody else's class: compared by value, and says nothing of itself."""

    def __init__(self, amount: int, currency: str) -> None:
        self.amount, self.currency = amount, currency

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and vars(other) == vars(self)

    def __hash__(self) -> int:
        return hash((self.amount, self.currency))


class Change(Money):
    """Its base is registered, it is not."""


class Note(BaseModel):
    text: str = ""


class Envelope:
    """Holds what the codec carries in its own way."""

    def __init__(self, *content: Any) -> None:
        self.content = content

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and vars(other) == vars(self)


class Fragile:
    """Its functions fail on request, with the secret in the text."""

    def __init__(self, fault: str) -> None:
        self.fault = fault

    def __str__(self) -> str:
        raise LookupError("hunter2")

    __repr__ = __str__


def _money_out(value: Money) -> tuple[int, str]:
    return value.amount, value.currency


def _money_in(parts: tuple[int, str]) -> Money:
    return Money(*parts)


def _fragile_out(value: Fragile) -> str:
    if value.fault == "encode":
        raise ValueError("hunter2")
    return value.fault


def _fragile_in(fault: str) -> Any:
    if fault == "decode":
        raise ValueError("hunter2")
    return Fragile(fault) if fault != "type" else fault


register_type(Money, encode=_money_out, decode=_money_in)
register_type(Envelope, encode=lambda value: value.content, decode=lambda parts: Envelope(*parts))
register_type(Fragile, encode=_fragile_out, decode=_fragile_in)


def _fragile(value: Any) -> Fragile:
    return value if isinstance(value, Fragile) else Fragile(value)


class Price(Money):
    """Registered with functions that forget the currency."""


def _amount(value: Price) -> int:
    return value.amount


def _euros(amount: Any) -> Price:
    return Price(amount, "EUR")


register_type(Price, encode=_amount, decode=_euros)


@dataclasses.dataclass
class Lossy:
    price: Price


class Prices(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True)

    one: Money = Money(1, "EUR")
    many: dict[str, list[Money]] = {}
    keys: dict[Money, int] = {}
    members: set[Money] = set()
    envelope: Envelope | None = None
    note: Note | None = None
    anything: Any = None


@dataclasses.dataclass
class Plain:
    price: Money
    hidden: Annotated[Money, Secret] = dataclasses.field(default_factory=lambda: Money(0, "EUR"))


class Record(msgspec.Struct):
    price: Money | None = None


class Risky(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True)

    fragile: Annotated[Fragile, BeforeValidator(_fragile)] = Fragile("")


def carried(config: Any) -> Any:
    codec: Codec[Any] = Codec(type(config))
    payload = codec.encode(config)
    back = codec.decode(payload)
    assert codec.encode(back) == payload
    return back


@pytest.mark.parametrize("config", [Plain(Money(2**70, "\ud800")), Record(Money(5, "EUR")), Record()])
def test_a_registered_type_is_carried_in_every_kind_of_schema(config: Any) -> None:
    assert carried(config) == config


def test_it_is_carried_in_containers_as_a_key_and_with_what_the_codec_carries_inside_it() -> None:
    config = Prices(
        many={"a": [Money(1, "EUR"), Money(2, "USD")]},
        keys={Money(3, "EUR"): 1},
        members={Money(n, "EUR") for n in range(9)},
        envelope=Envelope(Note(text="x"), SecretStr("s"), 2**99, [Envelope(Money(1, "x"))], None),
        anything=[Money(7, "EUR")],
    )
    back = carried(config)
    assert back == config
    assert type(back.envelope.content[0]) is Note


@pytest.mark.parametrize(
    ("config", "key"),
    [(Prices.model_construct(one=Change(5, "EUR")), "one"), (Prices(anything=[1, Change(5, "EUR")]), "anything[1]")],
)
def test_a_subclass_of_a_registered_type_is_refused_by_path(config: Prices, key: str) -> None:
    with pytest.raises(NotCarried) as caught:
        Codec(Prices).encode(config)
    (problem,) = caught.value.problems
    assert problem.key == key
    assert problem.message.startswith("Change can't be carried to the workers; make it")


def test_what_encode_returns_is_refused_by_path_where_it_can_t_be_carried() -> None:
    with pytest.raises(NotCarried, match=r"envelope\[1\]: function can't be carried"):
        Codec(Prices).encode(Prices(envelope=Envelope(1, carried)))
    looped: list[Any] = []
    looped.append(looped)
    with pytest.raises(NotCarried, match=r"envelope\[0\]\[0\]: this value contains itself"):
        Codec(Prices).encode(Prices(envelope=Envelope(looped)))


def test_where_no_annotation_names_it_the_refusal_says_what_to_do() -> None:
    class Open(BaseModel):
        value: Any = None

    with pytest.raises(NotCarried, match=r"value: Money can't be carried .* no annotation of \S+Open names it"):
        Codec(Open).encode(Open(value=Money(1, "x")))


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ("encode", "_fragile_out, which Fragile is registered with, raised ValueError"),
        ("decode", "_fragile_in, which Fragile is registered with, raised ValueError"),
        ("type", "_fragile_in, which Fragile is registered with, gave a str"),
    ],
)
def test_functions_that_fail_make_the_load_a_refusal_that_names_them_and_no_value(
    tmp_path: Path, fault: str, told: str
) -> None:
    (tmp_path / "app.toml").write_text(f"fragile = {fault!r}\n")
    with pytest.raises(ConfigError) as caught:
        ConfigLoader(Risky, tmp_path / "app.toml").load()
    assert told in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_a_worker_that_can_t_decode_says_which_function_and_no_value() -> None:
    codec = Codec(Risky)
    payload = codec.encode(Risky(fragile=Fragile("xecode")))
    with pytest.raises(ProtocolError, match="_fragile_in, which Fragile is registered with, raised ValueError"):
        codec.decode(payload.replace(b"xecode", b"decode"))


def test_it_is_compared_by_what_it_is_encoded_to_and_shown_by_its_own_text() -> None:
    one, same, other = (Plain(Money(n, "EUR"), Money(n, "EUR")) for n in (1, 1, 2))
    codec = Codec(Plain)
    assert differences(codec, one, same) == []
    changes = differences(codec, one, other)
    assert [(c.key, c.old, c.new) for c in changes] == [
        ("price", "Money", "Money"),  # no address, which would say nothing to anybody
        ("hidden", "**********", "**********"),
    ]


def test_a_class_whose_own_text_fails_is_shown_by_its_name() -> None:
    (change,) = differences(Codec(Risky), Risky(fragile=Fragile("a")), Risky(fragile=Fragile("b")))
    assert change.old == change.new == "Fragile (its text can't be had: LookupError)"


# ---- the table


def _fingerprint(make: str, tmp_path: Path) -> str:
    (tmp_path / "schema.py").write_text(
        "import sys, dataclasses, decimal, collections, array\n"
        "from confcast import register_type\nfrom confcast.config.codec import Codec\n"
        "class A: pass\nclass B: pass\n"
        "def out(value): return 1\ndef back(parts): return A()\ndef other(parts): return A()\n"
        f"{make}\n"
        "@dataclasses.dataclass\nclass S:\n    a: A\n    d: collections.defaultdict[str, A]\n"
        "print(Codec(S).fingerprint.hex())"
    )
    run = subprocess.run(
        [sys.executable, tmp_path / "schema.py"], check=True, capture_output=True, text=True, timeout=60
    )
    return run.stdout.strip()


def test_the_fingerprint_knows_the_functions_by_name_and_not_the_order_of_registrations(tmp_path: Path) -> None:
    a = "register_type(A, encode=out, decode=back)"
    b = "register_type(B, encode=out, decode=back)"
    d = "register_type(collections.defaultdict, encode=dict, decode=out)"
    first = _fingerprint("\n".join([a, b, d]), tmp_path)
    assert _fingerprint("\n".join([d, b, b, a]), tmp_path) == first
    assert _fingerprint("\n".join([d, a]), tmp_path) == first  # what no annotation names is nobody's business
    assert _fingerprint("\n".join([d, a.replace("back", "other")]), tmp_path) != first


# ---- what can't be registered


class Free:
    pass


class Late:
    pass


class LateToo:
    pass


def test_registering_the_same_again_changes_nothing_and_other_functions_are_refused() -> None:
    register_type(Money, encode=_money_out, decode=_money_in)
    for functions in ({"encode": _money_out, "decode": Money}, {"encode": str, "decode": _money_in}):
        with pytest.raises(ValueError, match=r"Money is registered already, with _money_out and _money_in"):
            register_type(Money, **functions)
    assert carried(Record(Money(5, "EUR"))) == Record(Money(5, "EUR"))


def test_a_registration_after_a_schema_was_refused_comes_too_late() -> None:
    with pytest.raises(NotCarried, match=r"late: Late can't be carried .* \(confcast.register_type\)"):
        Codec(dataclasses.make_dataclass("Outer", [("late", Late)]))
    with pytest.raises(NotCarried, match=r"anything: LateToo can't be carried"):
        Codec(Prices).encode(Prices(anything=LateToo()))
    for late in (Late, LateToo):
        with pytest.raises(ValueError, match="registered too late: a schema that holds it was read and refused before"):
            register_type(late, encode=str, decode=Free)


@pytest.mark.parametrize("cls", [int, dict, type(None), SecretStr, Path("/").__class__, Prices, Plain, Record])
def test_what_is_carried_already_can_t_be_registered(cls: type) -> None:
    with pytest.raises(TypeError, match=f"{cls.__qualname__} needs no registering: the codec has a way for it already"):
        register_type(cls, encode=str, decode=cls)


@pytest.mark.parametrize(
    ("cls", "encode", "decode", "told"),
    [
        ("Money", str, str, "register_type takes a class, not 'Money'"),
        (list[int], str, str, "register_type takes a class, not list"),
        (Free, None, str, "encode is called with one value; a NoneType can't be called"),
        (Free, str, 5, "decode is called with one value; a int can't be called"),
    ],
)
def test_arguments_of_other_kinds_are_refused_in_words(cls: Any, encode: Any, decode: Any, told: str) -> None:
    with pytest.raises(TypeError, match=told.replace("[", r"\[")):
        register_type(cls, encode=encode, decode=decode)


def test_functions_that_lose_something_are_refused_by_path_when_the_class_can_compare() -> None:
    codec = Codec(Lossy)
    assert carried(Lossy(price=Price(7, "EUR"))).price == Price(7, "EUR")
    with pytest.raises(NotCarried, match=r"price: _amount and _euros, which Price is registered with, lose something"):
        codec.encode(Lossy(price=Price(7, "USD")))
