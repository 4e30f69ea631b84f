"""How `confcast admin` is started, and what it says where it can't be."""

from __future__ import annotations

import asyncio
import builtins
from pathlib import Path
from typing import Any

import pytest

from confcast.admin import server
from confcast.cli import main as confcast_command


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as ended:
        confcast_command(["admin", *arguments])
    assert ended.value.code == 2
    return capsys.readouterr().err


def test_what_can_t_be_served_is_a_mistake_of_the_caller_s(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tokens := tmp_path / "tokens").write_text("nothing")
    tokens.chmod(0o600)
    at = ("--token-file", str(tokens), "--bind", "127.0.0.1:0")
    assert "tokens:1: three words are expected" in refused(capsys, *at)
    assert "in clear text" in refused(capsys, *at[:2], "--bind", "192.0.2.1:9151")
    assert "give --fleet-url and --fleet-key" in refused(capsys, *at, "--fleet-key", "k")


def test_a_fleet_that_is_none_is_refused_before_anything_is_served(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    at = ("--token-file", str(tmp_path / "tokens"), "--bind", "127.0.0.1:0")
    assert "a URL of an engine is expected" in refused(capsys, *at, "--fleet-url", "http://x", "--fleet-key", "k")
    assert not (tmp_path / "tokens").exists()


def test_without_its_extra_it_says_what_to_install(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = builtins.__import__

    def without(name: str, *others: Any) -> Any:
        if name == "confcast.admin":
            raise ModuleNotFoundError("No module named 'starlette'", name="starlette")
        return usual(name, *others)

    monkeypatch.setattr(builtins, "__import__", without)
    assert "starlette is not installed: pip install 'confcast[admin]'" in refused(capsys)


def test_it_says_where_it_listens_and_which_file_has_its_tokens_and_no_token(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def end_at_once(self: Any, sockets: Any = None) -> None:
        await asyncio.sleep(0)

    monkeypatch.setattr(server._Server, "serve", end_at_once)
    path = tmp_path / "tokens"
    for made in ("were made", "are"):
        assert confcast_command(["admin", "--bind", "127.0.0.1:0", "--token-file", str(path)]) == 0
        said = capsys.readouterr()
        first, second = said.err.splitlines()
        assert first.startswith("listening on http://127.0.0.1:")
        assert second == f"its tokens {made} in {path}: paste one of them into the page"
        assert not [word for word in path.read_text().split() if len(word) > 20 and word in said.err + said.out]
        assert said.out == "ended\n"


def test_a_user_without_a_home_has_to_name_the_file(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", no_home)
    assert "give it by --token-file" in refused(capsys)
