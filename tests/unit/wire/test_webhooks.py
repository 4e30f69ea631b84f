"""A webhook as data: what is refused, in words without the secret, what travels, and what is shown."""

from __future__ import annotations

import os
import traceback
from pathlib import Path
from typing import Any

import msgspec
import pytest
from pydantic import SecretBytes, SecretStr

from confcast import Webhook
from confcast.wire.options import Options, checked
from confcast.wire.webhook_secrets import of_text
from confcast.wire.webhooks import EVENTS
from tests.support.receiver import SECRET

URL = "https://ada:hunter2@ops.example:8443/hunter2?token=hunter2#hunter2"
KEY = SecretStr(SECRET)


def test_it_travels_and_shows_neither_secret_nor_path_nor_user(tmp_path: Path) -> None:
    file = tmp_path / "hook"
    for webhook in (Webhook(URL, KEY, on=["held", "held", "settled"]), Webhook(URL, file)):
        options = Options(webhooks=(webhook,))
        arrived = msgspec.msgpack.decode(msgspec.msgpack.encode(options), type=Options)
        assert arrived == options
        for shown in (repr(webhook), str(webhook), repr(options), repr(webhook.__rich_repr__()), webhook.shown):
            assert "hunter" not in shown
            assert SECRET not in shown
            assert "ada" not in shown
    assert webhook.shown == "https://ops.example:8443/***"
    assert Webhook("https://ops.example/", KEY).shown == "https://ops.example"
    assert Webhook("https://ops.example", KEY, on=["held", "held", "settled"]).on == ("held", "settled")
    assert Webhook("https://ops.example", KEY).on == EVENTS


@pytest.mark.parametrize(
    ("arguments", "error", "why"),
    [
        (("ftp://ops.example", KEY), ValueError, "url: a URL that begins with https:// or http:// is expected"),
        (("https://ops.example/a b", KEY), ValueError, "without blanks"),
        (("https://", KEY), ValueError, "url: "),
        ((b"https://ops.example", KEY), ValueError, "url: "),
        (("https://ops.example", SECRET), TypeError, "secret: a SecretStr or a Path is expected, not a str"),
        (("https://ops.example", SecretBytes(SECRET.encode())), TypeError, "secret: a SecretStr or a Path"),
        (("https://ops.example", None), ValueError, "secret: 'whsec_' and 24 to 64 random bytes in base64"),
        (("https://ops.example", SecretStr("")), ValueError, "secret: it is empty"),
        (("https://ops.example", SecretStr("hunter2-hunter2-hunter2-hunter2-!")), ValueError, "'whsec_' and 24"),
        (("https://ops.example", SecretStr("whsec_aHVudGVyMg==")), ValueError, "24 to 64 random bytes"),
        (("https://ops.example", SecretStr("whsec_" + "aaaa" * 22)), ValueError, "24 to 64 random bytes"),
        (("https://ops.example", SecretStr(f"{SECRET}\n" * 5)), ValueError, "at most 4 secrets"),
    ],
)
def test_what_can_t_be_used_is_refused_in_words_without_the_secret(
    arguments: tuple[Any, ...], error: type[Exception], why: str
) -> None:
    with pytest.raises(error) as found:
        Webhook(*arguments)
    assert why in str(found.value)
    said = "".join(traceback.format_exception(found.value, chain=True))
    assert "hunter2" not in said.replace("SecretStr", "").split("Error: ")[-1]


@pytest.mark.parametrize(
    ("on", "error", "why"),
    [
        ("held", TypeError, "a list of events is expected, such as ['held']"),
        (["helt"], ValueError, "on: 'helt' is no event: 'settled', 'refused', 'undone', 'held' are expected"),
        ([], ValueError, "on: it is empty"),
    ],
)
def test_events_are_a_list_of_those_that_there_are(on: Any, error: type[Exception], why: str) -> None:
    with pytest.raises(error) as found:
        Webhook("https://ops.example", KEY, on=on)
    assert why in str(found.value)


@pytest.mark.parametrize(
    ("webhooks", "why"),
    [
        (Webhook(URL, KEY), "a list of webhooks is expected"),
        (["https://ops.example"], "webhooks are expected, such as [Webhook("),
        ([Webhook(URL, KEY), Webhook(URL, KEY, on=["held"])], "each webhook has a URL of its own"),
        ([Webhook(f"https://ops.example/{number}", KEY) for number in range(9)], "at most 8 webhooks"),
    ],
)
def test_a_manager_takes_a_list_of_a_few_different_ones(webhooks: Any, why: str) -> None:
    with pytest.raises(ValueError, match="webhooks=") as found:
        checked({"webhooks": webhooks})
    assert why in str(found.value)
    assert "hunter2" not in str(found.value)


def test_a_file_is_read_each_time_and_its_faults_are_told_without_its_content(tmp_path: Path) -> None:
    file = tmp_path / "hook"
    webhook = Webhook("https://ops.example", file)
    with pytest.raises(ValueError, match="hook: it can't be read: No such file or directory"):
        webhook.secrets()
    other = "whsec_" + "QUJD" * 8
    file.write_text(f"\n {SECRET} \n{other}\n")
    assert webhook.secrets() == [SECRET, other]
    for content, why in ((b"", "it is empty"), (b"hunter2", "'whsec_' and"), (b"\xff", "'whsec_' and")):
        file.write_bytes(content)
        with pytest.raises(ValueError, match=why) as found:
            webhook.secrets()
        assert str(file) in str(found.value)
        assert "hunter2" not in str(found.value)
    file.unlink()
    os.mkfifo(file)
    with pytest.raises(ValueError, match="it is no regular file"):
        webhook.secrets()


def test_a_secret_may_lack_its_prefix_and_its_padding() -> None:
    bare = SECRET.removeprefix("whsec_")
    assert of_text(f"{bare}\n{bare.rstrip('=')}", "x") == [bare, bare.rstrip("=")]


@pytest.mark.parametrize(
    ("url", "can_be_read"),
    [
        ("http://127.ops.example/hook", True),
        ("https://ops.example", False),
        ("http://ops.example", True),
        ("http://127.0.0.1:8000", False),
        ("http://localhost", False),
        ("http://[::1]:1", False),
        ("http://10.0.0.1", True),
    ],
)
def test_what_leaves_the_machine_without_tls_can_be_read(url: str, can_be_read: bool) -> None:
    assert Webhook(url, KEY).can_be_read is can_be_read
