"""The file of tokens: made for its owner alone, refused in words, read anew when it changes; and no token anywhere."""

from __future__ import annotations

import logging
import os
import stat
from pathlib import Path

import pytest

from confcast.admin import tokens
from confcast.admin.tokens import BadTokens, Token, Tokens

READ, WRITE = "r" * 20, "w" * 20
CONTENT = f"# who may look\nbob read {READ}\n\nops write {WRITE}\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file with two tokens."""
    (found := tmp_path / "tokens").write_text(CONTENT)
    found.chmod(0o600)
    return found


def bearer(token: str) -> bytes:
    return f"Bearer {token}".encode()


def test_the_first_start_makes_a_read_and_a_write_token_for_its_user_alone(tmp_path: Path) -> None:
    path = tmp_path / "state" / "confcast" / "admin-tokens"
    made = Tokens(path)
    assert made.made
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    lines = [line.split() for line in path.read_text().splitlines()]
    assert [made.whose(bearer(token)) for _, _, token in lines] == [Token("viewer", False), Token("admin", True)]
    assert all(len(token) >= 43 for _, _, token in lines)
    assert [each.name for each in path.parent.iterdir()] == [path.name]
    assert not Tokens(path).made
    assert [line.split() for line in path.read_text().splitlines()] == lines


def test_a_token_is_known_by_its_name_and_role(path: Path) -> None:
    known = Tokens(path)
    assert known.whose(bearer(READ)) == Token("bob", False)
    assert known.whose(b"bearer  " + WRITE.encode()) == Token("ops", True)
    for other in (b"", bearer(""), bearer(READ[:-1]), bearer(READ + "r"), f"Basic {READ}".encode(), READ.encode()):
        assert known.whose(other) is None


@pytest.mark.parametrize("text", [f"/v1/status?a={READ}", f"/v1/{READ}/x", f"/?{WRITE}&b=1", f"x={READ}"])
def test_a_token_in_a_text_is_found(path: Path, text: str) -> None:
    assert Tokens(path).are_in(text.encode())
    assert not Tokens(path).are_in(text.replace("r" * 20, "x" * 20).replace("w" * 20, "x" * 20).encode())


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", "1 to 256 lines"),
        ("# nothing\n", "1 to 256 lines"),
        (f"bob {READ}\n", "tokens:1: three words are expected, NAME ROLE TOKEN, and there are 2"),
        (f"{CONTENT}x admin {READ}x\n", "tokens:5: the role of 'x' has to be read or write"),
        (f"bob read {READ[1:]}\n", "tokens:1: the token of 'bob' has to have 20 or more"),
        (f"bob read {READ}ä\n", "the token of 'bob' has to have 20 or more"),
        (f"-bob read {READ}\n", "tokens:1: a name has at most 64"),
        (f"bob read {READ}\nbob write {WRITE}\n", "two tokens are called 'bob'"),
        (f"bob read {'r' * 70000}\n", "at most 65536 bytes"),
    ],
)
def test_a_file_that_is_no_list_of_tokens_is_refused_by_its_line_and_without_a_token(
    path: Path, content: str, why: str
) -> None:
    path.write_text(content)
    with pytest.raises(BadTokens) as refused:
        Tokens(path)
    assert why in str(refused.value)
    assert "rrr" not in str(refused.value)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o610])
def test_a_file_that_others_may_open_is_refused_with_what_to_type(path: Path, mode: int) -> None:
    path.chmod(mode)
    with pytest.raises(BadTokens, match=f"chmod 600 {path}"):
        Tokens(path)


def test_a_file_of_another_user_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if path.stat().st_uid == 0:
        os.chown(path, 4711, -1)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: 4711)
    with pytest.raises(BadTokens, match="it has to be yours, or root's"):
        Tokens(path)


def test_what_is_no_file_is_refused_and_never_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo", 0o600)
    with pytest.raises(BadTokens, match="no regular file"):
        Tokens(tmp_path / "fifo")
    (tmp_path / "link").symlink_to("nowhere")
    with pytest.raises(BadTokens, match="can't be read: No such file"):
        Tokens(tmp_path / "link")
    (tmp_path / "file").touch()
    with pytest.raises(BadTokens, match=r"can't be made: (Not a directory|File exists); give one by --token-file"):
        Tokens(tmp_path / "file" / "tokens")


def test_a_changed_file_counts_from_the_next_request_on(path: Path) -> None:
    known = Tokens(path)
    path.write_text(CONTENT.replace(READ, "n" * 20))
    known.refresh()
    assert known.whose(bearer(READ)) is None
    assert known.whose(bearer("n" * 20)) == Token("bob", False)


def test_a_file_that_is_spoilt_leaves_the_tokens_of_before_and_is_said_once(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    known = Tokens(path)
    path.write_text(f"bob {READ}")
    with caplog.at_level(logging.INFO, "confcast.admin"):
        known.refresh()
        known.refresh()
        assert known.whose(bearer(WRITE)) == Token("ops", True)
        path.unlink()
        known.refresh()
        path.write_text(CONTENT)
        path.chmod(0o600)
        known.refresh()
    told = [each.getMessage() for each in caplog.records]
    assert len(told) == 3
    assert "three words are expected" in told[0]
    assert "No such file" in told[1]
    assert "read anew" in told[2]
    assert READ not in caplog.text


def test_no_repr_shows_a_token(path: Path) -> None:
    known = Tokens(path)
    assert READ not in repr(vars(known))
    assert WRITE not in repr(vars(known))


def test_the_usual_place_is_in_the_user_s_state(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "/var/state")
    assert tokens.default_path() == Path("/var/state/confcast/admin-tokens")
    monkeypatch.setenv("XDG_STATE_HOME", "relative")
    monkeypatch.setenv("HOME", "/nonexistent")
    assert tokens.default_path() == Path("/nonexistent/.local/state/confcast/admin-tokens")
