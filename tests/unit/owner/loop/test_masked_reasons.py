"""Secrets that somebody pastes into a reason are masked by the types of the fields that have them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr

from confcast import ConfigLoader
from confcast.owner.core.effects import Load, Loaded, Probed
from confcast.owner.loop import masked_reasons
from confcast.owner.loop.load_thread import LoadThread
from confcast.owner.loop.masked_reasons import REASONED, Secrets, with_masked_reason
from confcast.owner.store.attempts import Attempts
from confcast.wire.messages import Confirm, Operation, Reload, Resume, Rollback, Set, Unhealthy, Unset


class Login(BaseModel, frozen=True):
    user: str = "operator"
    password: SecretStr = SecretStr("hunter2-of-old")


class Settings(BaseModel, frozen=True):
    login: Login = Login()


@pytest.fixture
def loader() -> ConfigLoader[Any]:
    return ConfigLoader(Settings)


def reason_of(asked: Any, loader: ConfigLoader[Any], running: Any = Settings()) -> str:  # noqa: B008 - immutable
    return str(with_masked_reason(asked, Secrets(loader), *([] if running is None else [running])).reason)


def test_every_request_with_a_reason_is_masked():
    asked = {kind for kind in (Reload, *Operation.__args__) if "reason" in kind.__struct_fields__}
    assert asked | {Unhealthy} == REASONED


@pytest.mark.parametrize("kind", [Reload, Rollback, Resume, Confirm])
def test_what_runs_has_no_secret_that_a_reason_shows(kind: Any, loader: ConfigLoader[Any]):
    asked = kind(1, reason="hunter2-of-old has leaked, says operator")
    assert reason_of(asked, loader) == "********** has leaked, says operator"


def test_nor_has_what_is_set_with_it(loader: ConfigLoader[Any]):
    asked = Set(1, {"login.password": "hunter3-of-new", "login.user": "someone"}, reason="hunter3-of-new for someone")
    assert reason_of(asked, loader) == "********** for someone"
    table = Set(1, {"login": {"password": "hunter3-of-new"}}, reason="not hunter2-of-old but hunter3-of-new")
    assert reason_of(table, loader) == "not ********** but **********"


def test_before_the_first_version_nothing_runs(loader: ConfigLoader[Any]):
    assert reason_of(Reload(1, reason="hunter2-of-old"), loader, None) == "hunter2-of-old"


def test_without_a_secret_it_is_the_same_request(loader: ConfigLoader[Any]):
    for asked in (Unset(1, ("login.user",), reason="mended"), Unset(1, ("login.user",))):
        assert with_masked_reason(asked, Secrets(loader), Settings()) is asked


def test_where_secrets_can_t_be_told_no_reason_is_kept(loader: ConfigLoader[Any], monkeypatch: pytest.MonkeyPatch):
    def fails(*_: Any) -> Any:
        raise RuntimeError

    monkeypatch.setattr(masked_reasons, "secrets_masked", fails)
    assert reason_of(Reload(1, reason="hunter2-of-old"), loader).startswith("(a reason was given, and is not kept")


def test_secrets_are_collected_once_for_a_configuration(loader: ConfigLoader[Any], monkeypatch: pytest.MonkeyPatch):
    collected: list[tuple[Any, ...]] = []

    def collects(codec: Any, *configs: Any) -> Any:
        collected.append(configs)
        return str.upper

    monkeypatch.setattr(masked_reasons, "secrets_masked", collects)
    secrets, first, second = Secrets(loader), Settings(), Settings()
    for configs in ((first,), (first,), (first, second), (first, second), (second,), (second,)):
        assert with_masked_reason(Unhealthy(2, "again"), secrets, *configs).reason == "AGAIN"
    assert collected == [(first,), (first, second), (second,)]


def test_a_probe_shows_no_secret_of_what_runs_nor_of_what_is_on_trial(tmp_path: Path) -> None:
    file, attempts = tmp_path / "app.toml", Attempts(tmp_path / "loading")
    loading = LoadThread(ConfigLoader(Settings, file), attempts, lambda result: None)
    try:
        for number, password in enumerate(("hunter3-of-new", "hunter4-on-trial"), 1):
            file.write_text(f'login.password = "{password}"')
            loading.submit(Load(number, insist=True))
            loaded = next(iter(loading.serve_here()))
            assert isinstance(loaded, Loaded)
            if number == 1:
                loading.committed(loaded.digest, loaded.payload, loaded.values)
        said = loading.located(Probed(2, "neither hunter3-of-new nor hunter4-on-trial"))
        assert said == Probed(2, "neither ********** nor **********")
    finally:
        attempts.close()
