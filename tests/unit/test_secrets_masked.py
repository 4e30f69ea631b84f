"""Secrets stay out of what confcast itself says: of an application's refusals, of problems, and of every repr."""

from __future__ import annotations

import collections
from pathlib import Path
from typing import Annotated, Any

import msgspec
import pydantic
import pytest
from pydantic import BaseModel, SecretBytes, SecretStr

from confcast import ConfigError, ConfigLoader, Secret, Snapshot
from confcast.config.codec import Codec, digest
from confcast.config.diff import without_secrets
from confcast.errors import ImpossibleMessage
from confcast.owner import effects
from confcast.owner.journal import VersionRow
from confcast.owner.numbers import Committed
from confcast.wire.messages import Install, Prepare
from confcast.wire.snapshots import Saved
from confcast.worker.protocol import Held

MASK = "**********"


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
    masked = without_secrets(text, Codec(Settings), Settings())
    assert masked == f"can't use '{MASK}' with plain-text (abc, True, None)"


def test_the_longest_secret_is_masked_first_and_those_of_every_configuration_are() -> None:
    one, other = Settings(), Settings(password=SecretStr("another-password"))
    text = without_secrets("a-listed-one, the-password, another-password", Codec(Settings), one, other)
    assert text == f"{MASK}, {MASK}, {MASK}"


PAYLOAD = Codec(Settings).encode(Settings())
DIGEST = digest(PAYLOAD)
HOLDERS: list[Any] = [
    Install(1, DIGEST, PAYLOAD),
    Prepare(1, DIGEST, PAYLOAD),
    Saved(1, b"", 1, DIGEST, PAYLOAD),
    VersionRow(1, DIGEST, b"", PAYLOAD, 0.0),
    Committed(1, DIGEST, PAYLOAD),
    Held(1, DIGEST, Settings()),
    Snapshot(Settings(), 1, DIGEST),
    effects.Loaded(1, DIGEST, PAYLOAD, True),
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
