"""Texts of the application's that may show a secret, in the places where its code raises beside validators."""

from __future__ import annotations

import asyncio
import logging
import sys
import traceback
from pathlib import Path
from typing import Annotated, Any

import msgspec
import pytest
from pydantic import BaseModel, SecretBytes, field_validator, model_validator

from confcast import ConfigError, ConfigLoader, Secret
from confcast.cli import main
from confcast.config.codec import Codec, digest
from confcast.config.schema.masking import MASK, masking
from confcast.worker.connection.mutation_check import Guard
from confcast.worker.observers.on_loop import OnLoop
from tests.support.waiting import DEADLINE

Token = Annotated[str, Secret]
PEM = "-----BEGIN KEY-----\nc2VjcmV0IGtleQ==\n-----END KEY-----\n"


def test_a_secret_of_several_lines_is_masked_within_the_margin_of_a_group() -> None:
    try:
        error = ValueError(f"can't use {PEM}")
        error.add_note(PEM)
        raise ExceptionGroup("several", [error])
    except ExceptionGroup:
        text = traceback.format_exc()
    assert "c2VjcmV0" in text
    assert "c2VjcmV0" not in masking([PEM])(text)
    assert "BEGIN" not in masking([PEM])(text)


def test_bytes_that_were_made_of_a_text_are_masked_as_bytes() -> None:
    class Root(BaseModel):
        raw: SecretBytes

        @field_validator("raw")
        @classmethod
        def _judge(cls, value: SecretBytes) -> SecretBytes:
            raise ValueError(f"can't use {value.get_secret_value()!r}")

    with pytest.raises(ConfigError) as caught:
        ConfigLoader(Root, overrides={"raw": "gehéim"}).load()
    assert f"can't use b'{MASK}'" in str(caught.value)


class Exiting(BaseModel):
    password: Token

    @model_validator(mode="after")
    def _judge(self) -> Exiting:
        sys.exit(f"exit with {self.password}")


exiting = ConfigLoader(Exiting, overrides={"password": "hunter2"})


def test_check_masks_what_a_validator_says_when_it_exits(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--loader", f"{__name__}:exiting"]) == 1
    said = capsys.readouterr()
    assert f"SystemExit: exit with {MASK}" in said.out
    assert "hunter2" not in said.out + said.err


class Vault(msgspec.Struct):
    """A source with a secret of its own."""

    token: Token

    def read(self) -> Any:
        raise LookupError(f"401 for {self.token}")

    def content_fingerprint(self) -> bytes:
        raise LookupError(f"403 for {self.token}")


def test_a_secret_of_a_source_is_masked_in_what_it_raises(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    loader = ConfigLoader(Exiting, Vault("hunter2"))
    with pytest.raises(ConfigError) as caught:
        loader.load()
    loader._fingerprint()
    assert f"Vault.read() raised LookupError: 401 for {MASK}" in str(caught.value)
    assert f"no fingerprint of Vault: LookupError: 403 for {MASK}" in caplog.text
    assert "hunter2" not in str(caught.value) + caplog.text


def test_what_a_loader_is_sent_as_shows_no_override(tmp_path: Path) -> None:
    spec = ConfigLoader(Exiting, tmp_path / "app.toml", overrides={"password": "hunter2"})._to_spec()
    assert b"hunter2" in spec.overrides
    assert "hunter2" not in repr(spec)


class Handlers(BaseModel):
    by_token: dict[Token, Any]

    @field_validator("by_token")
    @classmethod
    def _look_up(cls, value: dict[str, Any]) -> dict[str, Any]:
        return {key: print if item else item for key, item in value.items()}


def test_a_key_is_masked_where_its_value_can_t_be_carried(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ConfigError, match="can't be carried") as caught:
        ConfigLoader(Handlers, overrides={"by_token": {"hunter2": 1}}).load()
    assert "hunter2" not in str(caught.value)

    codec = Codec(Handlers)
    config = Handlers(by_token={"hunter2": 0})
    guard = Guard("app", codec)
    guard.begin(config, digest(codec.encode(config)))
    config.by_token["hunter2"] = print
    guard.end()
    assert f"by_token.{MASK} (" in caplog.text
    assert "hunter2" not in caplog.text


def test_a_loop_in_debug_mode_logs_no_configuration(caplog: pytest.LogCaptureFixture) -> None:
    async def put_one() -> None:
        loop, told = asyncio.get_running_loop(), asyncio.Event()

        async def tell(config: str) -> None:
            told.set()

        loop.slow_callback_duration = 0.0  # every callback is slow
        assert OnLoop(loop, tell).put("hunter2")
        await asyncio.wait_for(told.wait(), DEADLINE)

    asyncio.run(put_one(), debug=True)
    assert "Executing" in caplog.text
    assert "hunter2" not in caplog.text
