"""Secrets stay out of what confcast itself says: of an application's refusals, of problems, and of every repr."""

from __future__ import annotations

import collections
import dataclasses
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Generic, NewType, TypeVar

import msgspec
import pydantic
import pytest
from pydantic import BaseModel, SecretBytes, SecretStr

from confcast import ConfigError, ConfigLoader, Secret, Snapshot
from confcast.config.codec import Codec, digest
from confcast.config.diff import differences, secrets_masked
from confcast.config.schema.masking import MASK, masking
from confcast.errors import ImpossibleMessage
from confcast.owner.core import effects
from confcast.owner.core.version_numbers import Committed
from confcast.owner.store.journal import VersionRow
from confcast.wire.files.snapshot_file import Saved
from confcast.wire.messages import Install, Prepare
from confcast.worker.connection.machine import Held


class Inner(msgspec.Struct):
    token: Annotated[str, Secret] = "inner-token"
    plain: str = "plain-text"


QUEUE = collections.deque([SecretStr("dq-secret")])


class Settings(msgspec.Struct):
    inner: Inner = msgspec.field(default_factory=Inner)
    password: SecretStr = SecretStr("the-password")
    raw: SecretBytes = SecretBytes(b"the-bytes")
    number: pydantic.Secret[int] = pydantic.Secret[int](123456)
    nested: pydantic.Secret[list[str]] = pydantic.Secret[list[str]](["in-a-list"])
    marked: Annotated[int, Secret] = 654321
    listed: list[Annotated[str, Secret]] = msgspec.field(default_factory=lambda: ["a-listed-one", "a-listed"])
    queue: collections.deque[SecretStr] = msgspec.field(
        default_factory=lambda: collections.deque([SecretStr("dq-secret")])
    )
    by_key: dict[Annotated[str, Secret], str] = msgspec.field(default_factory=lambda: {"a-secret-key": "value"})
    short: Annotated[str, Secret] = "abc"
    flag: Annotated[bool, Secret] = True
    none: Annotated[str | None, Secret] = None


SECRETS = ["inner-token", "the-password", "the-bytes", "123456", "in-a-list", "654321", "a-listed-one", "dq-secret"]


@pytest.mark.parametrize("secret", [*SECRETS, "a-listed", "a-secret-key"])
def test_every_secret_in_an_applications_text_is_masked(secret: str) -> None:
    text = f"can't use {secret!r} with plain-text (abc, True, None)"
    masked = secrets_masked(Codec(Settings), Settings())(text)
    assert masked == f"can't use '{MASK}' with plain-text (abc, True, None)"


def test_the_longest_secret_is_masked_first_and_those_of_every_configuration_are() -> None:
    one, other = Settings(), Settings(password=SecretStr("another-password"))
    text = secrets_masked(Codec(Settings), one, other)("a-listed-one, the-password, another-password")
    assert text == f"{MASK}, {MASK}, {MASK}"


PAYLOAD = Codec(Settings).encode(Settings())
DIGEST = digest(PAYLOAD)
HOLDERS: list[Any] = [
    Install(1, DIGEST, PAYLOAD),
    Prepare(1, DIGEST, PAYLOAD),
    Prepare(1, DIGEST, PAYLOAD, DIGEST),
    Install(1, DIGEST, PAYLOAD, base=DIGEST),
    Saved(1, b"", 1, DIGEST, PAYLOAD),
    VersionRow(1, DIGEST, b"", PAYLOAD, 0.0),
    Committed(1, DIGEST, PAYLOAD),
    Held(1, DIGEST, Settings()),
    Snapshot(Settings(), 1, DIGEST),
    effects.Loaded(1, DIGEST, PAYLOAD, True),
    effects.Loaded(1, DIGEST, PAYLOAD, True, base=DIGEST, patch=PAYLOAD),
    effects.Record(1, DIGEST, PAYLOAD),
    effects.WriteSnapshot(1, DIGEST, PAYLOAD),
    effects.Received(1, 2, Install(1, DIGEST, PAYLOAD)),  # type: ignore[arg-type]
]


@pytest.mark.parametrize("holder", HOLDERS, ids=lambda each: type(each).__name__)
def test_no_repr_shows_a_payload_or_a_digest(holder: Any) -> None:
    for text in (repr(holder), str(holder), str(ImpossibleMessage("IDLE", holder)), str([holder])):
        assert not any(secret in text for secret in SECRETS)
        assert repr(DIGEST) not in text
        assert DIGEST.hex()[:8] not in text


def test_a_candidate_shows_neither() -> None:
    candidate = ConfigLoader(Settings, overrides={"password": "the-password"}).load()
    assert repr(candidate) == "<Candidate of Settings>"


# ---- secrets by the annotation around an object


V = TypeVar("V")
Token = NewType("Token", Annotated[str, Secret])


@dataclasses.dataclass
class Box(Generic[V]):
    value: V
    plain: str = "plain-text"


class Drawer(msgspec.Struct, Generic[V]):
    value: V


class Folder(BaseModel, Generic[V]):
    value: V


AROUND: list[tuple[Any, Callable[[str], Any]]] = [
    (Token, lambda text: text),
    (list[Token], lambda text: [text]),
    (TypeVar("Constrained", Annotated[str, Secret], int), lambda text: text),
    (Annotated[Box[str], Secret], Box),
    (Annotated[Folder[str], Secret] | None, lambda text: Folder[str](value=text)),
    (Box[Annotated[str, Secret]], Box),
    (dict[str, Box[Annotated[list[str], Secret]]], lambda text: {"key": Box([text])}),
    (Drawer[Annotated[str, Secret]], Drawer),
    (Folder[Annotated[str, Secret]], lambda text: Folder[Annotated[str, Secret]](value=text)),
    (pydantic.Secret[Box[str]], lambda text: pydantic.Secret(Box(text))),
]


@pytest.mark.parametrize(("annotation", "make"), AROUND, ids=lambda each: None if callable(each) else str(each))
def test_a_mark_around_an_object_or_a_type_s_other_name_masks_what_is_in_it(
    annotation: Any, make: Callable[[str], Any]
) -> None:
    root: Any = dataclasses.make_dataclass("Root", [("field", annotation)])
    codec: Codec[Any] = Codec(root)
    old, new = root(make("first-secret")), root(make("other-secret"))
    (change,) = differences(codec, old, new)
    assert "-secret" not in repr(change)
    assert MASK in repr(change.old)
    assert secrets_masked(codec, old, new)("first-secret, other-secret") == f"{MASK}, {MASK}"


def test_of_an_object_with_a_secret_inside_the_rest_is_shown() -> None:
    root: Any = dataclasses.make_dataclass("Root", [("inner", Inner)])
    changes = differences(Codec(root), root(Inner("one")), root(Inner("two", plain="other-text")))
    assert [(each.key, each.new) for each in changes] == [("inner.token", MASK), ("inner.plain", "other-text")]


# ---- secrets as they are quoted


QUOTED = [
    "-----BEGIN KEY-----\nabc\n",
    "back\\slash",
    "it's\x07",
    'say "hé"',
    "both ' and \"",
    "gehéim\t\x07",
    "\udc80abc",
]


@pytest.mark.parametrize("secret", QUOTED)
@pytest.mark.parametrize(
    "quote",
    [
        str,
        repr,
        json.dumps,
        partial(json.dumps, ensure_ascii=False),
        KeyError,
        lambda text: repr(f"{text} '\""),
        lambda text: [text],
    ],
)
def test_a_secret_is_masked_however_python_and_json_quote_it(secret: str, quote: Callable[[str], Any]) -> None:
    masked = masking([secret])(f"no: {quote(secret)}")
    assert masked.replace('"', "'") == f"no: {quote('SECRET')}".replace("SECRET", MASK).replace('"', "'")


@pytest.mark.parametrize(
    ("secret", "text", "masked"),
    [
        (b"by\xfftes", repr(b"by\xfftes"), f"b'{MASK}'"),
        (" padded\n", "padded", MASK),
        (424242, "424242", MASK),
        ("abc", "abc", "abc"),
    ],
)
def test_bytes_numbers_and_padded_texts_are_masked_and_what_is_too_short_is_not(
    secret: object, text: str, masked: str
) -> None:
    assert masking([secret])(f"no: {text}") == f"no: {masked}"


WRONG: list[tuple[Any, Any]] = [
    (Token, 424242),
    (list[Token], [424242]),
    (Annotated[dict[str, str], Secret], {"key": 424242}),
    (Annotated[list[str], Secret], [424242]),
    (Annotated[Box[str], Secret], {"value": 424242}),
    (Annotated[Folder[str], Secret], {"value": 424242}),
    (Box[Annotated[str, Secret]], {"value": 424242}),
    (Box[SecretStr], {"value": 424242}),
    (dict[str, Box[SecretStr]], {"key": {"value": 424242}}),
    (Annotated[int, pydantic.Field(validation_alias=pydantic.AliasPath("inner", "key")), Secret], "hunter2"),
    (dict[SecretStr, int], {"hunter2": "x"}),
    (dict[Annotated[str, Secret], dict[Annotated[str, Secret], int]] | None, {"a": {"hunter2": "x"}}),
    (list[dict[Annotated[str, Secret], list[int]]], [{"hunter2": ["x"]}]),
    (Box[dict[Annotated[str, Secret], int]], {"value": {"hunter2": "x"}}),
]


@pytest.mark.parametrize(("annotation", "value"), WRONG, ids=str)
@pytest.mark.parametrize("kind", ["model", "dataclass", "struct"])
def test_a_wrong_value_where_a_secret_belongs_is_not_quoted(kind: str, annotation: Any, value: Any) -> None:
    if kind == "model":
        schema: Any = pydantic.create_model("Root", field=(annotation, ...))
    elif kind == "dataclass":
        schema = dataclasses.make_dataclass("Root", [("field", annotation)])
    else:
        schema = msgspec.defstruct("Root", [("field", annotation)])
    alias = value == "hunter2" and kind == "model"
    with pytest.raises(ConfigError) as caught:
        ConfigLoader(schema, overrides={"inner": {"key": value}} if alias else {"field": value}).load()
    assert "424242" not in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_key_that_is_a_secret_and_wrong_itself_is_not_quoted() -> None:
    class Keyring(BaseModel):
        keys: dict[Annotated[SecretStr, pydantic.Field(max_length=3)], int]

    with pytest.raises(ConfigError) as caught:
        ConfigLoader(Keyring, overrides={"keys": {"hunter2": 1}}).load()

    assert f"keys.{MASK}: the key: Value should have at most 3 items" in str(caught.value)
    assert "hunter2" not in str(caught.value)


class Shared(BaseModel):
    """Two fields that are found under one key."""

    token: Annotated[str, Secret] = pydantic.Field("", validation_alias=pydantic.AliasPath("both", "token"))
    plain: str = pydantic.Field("", validation_alias=pydantic.AliasPath("both", "plain"))


def test_under_a_key_that_holds_a_secret_and_something_else_nothing_is_quoted() -> None:
    with pytest.raises(ConfigError, match=r"both\.token: Input should be a valid string$"):
        ConfigLoader(Shared, overrides={"both": {"token": 424242}}).load()


class TwoPlaces(BaseModel):
    """The same name is a secret in one section and none in the other's section."""

    name: Annotated[str, Secret]


class OnePlace(BaseModel):
    name: str
    section: TwoPlaces | None = None


class Ambiguous(BaseModel):
    either: OnePlace | dict[str, TwoPlaces]

    @pydantic.model_validator(mode="after")
    def _judge(self) -> Ambiguous:
        raise ValueError(f"can't use {self!r}")


def test_where_a_union_does_not_show_what_is_a_secret_all_of_it_is_masked() -> None:
    with pytest.raises(ConfigError) as caught:
        ConfigLoader(Ambiguous, overrides={"either": {"section": {"name": "hunter2"}}}).load()
    assert f"name='{MASK}'" in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("raised", [KeyError, lambda text: ValueError(repr({"key": text}))])
def test_a_private_key_in_a_validators_own_text_is_masked(raised: Callable[[str], Exception]) -> None:
    class Keyed(BaseModel):
        key: Annotated[str, Secret]

        @pydantic.field_validator("key")
        @classmethod
        def _judge(cls, value: str) -> str:
            raise raised(value)

    with pytest.raises(ConfigError) as caught:
        ConfigLoader(Keyed, overrides={"key": QUOTED[0]}).load()
    assert MASK in str(caught.value)
    assert "BEGIN" not in str(caught.value)


class Judged(BaseModel):
    number: Annotated[int, Secret] = 0
    ratio: Annotated[float, Secret] = 0.5
    plain: int = 1

    @pydantic.model_validator(mode="after")
    def _judge(self) -> Judged:
        raise ValueError(f"can't use {self.number} at {self.ratio} with {self.plain}")


def test_a_secret_number_in_a_validators_own_text_is_masked(tmp_path: Path) -> None:
    (tmp_path / "app.toml").write_text("number = 424242\nratio = 2.71828\nplain = 1234\n")
    with pytest.raises(ConfigError) as caught:
        ConfigLoader(Judged, tmp_path / "app.toml").load()
    assert f"can't use {MASK} at {MASK} with 1234" in str(caught.value)
