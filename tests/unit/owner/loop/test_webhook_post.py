"""One try: the convention's own vectors, the judgement on each answer, and what goes out on the wire."""

from __future__ import annotations

import builtins
import email.utils
import time
from pathlib import Path
from typing import Any

import pytest
import standardwebhooks
from pydantic import SecretStr

from confcast import ConfcastError, Webhook
from confcast.owner.loop import webhook_post as module
from confcast.owner.loop.webhook_post import Verdict, check, deliver, judged, signatures
from confcast.owner.store.deliveries import Delivery
from confcast.wire.http_exchange import Reply
from tests.support.certificates import Authority, context_of
from tests.support.receiver import SECRET, receiving

VECTOR_KEY, VECTOR_ID = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek"
VECTOR_TIME, VECTOR_BODY = 1614265330, '{"test": 2432232314}'
VECTOR = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
OWED = Delivery(1, "msg_1", 0, b'{"type":"confcast.settled"}')


@pytest.mark.parametrize("secret", [VECTOR_KEY, VECTOR_KEY.removeprefix("whsec_")])
def test_the_public_vector_of_the_convention(secret: str, monkeypatch: pytest.MonkeyPatch) -> None:
    webhook = Webhook("https://ops.example", SecretStr(secret))
    for zone in ("UTC", "Asia/Tokyo"):
        monkeypatch.setenv("TZ", zone)
        time.tzset()
        assert signatures(webhook, VECTOR_ID, VECTOR_TIME, VECTOR_BODY) == VECTOR
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize("host", ["a..b.example", f"{'a' * 70}.example"])
def test_a_host_that_can_have_no_such_name_is_told_so(host: str) -> None:
    verdict = deliver(Webhook(f"http://{host}/hunter2", SecretStr(SECRET)), OWED)
    assert verdict == Verdict("its name is none that a host can have")


def test_each_secret_signs_and_each_receiver_accepts_it() -> None:
    old, new = VECTOR_KEY, SECRET
    signed = signatures(
        Webhook("https://ops.example", SecretStr(f"{new}\n{old}")), "msg_1", now := int(time.time()), "{}"
    )
    for secret in (old, new):
        headers = {"webhook-id": "msg_1", "webhook-timestamp": str(now), "webhook-signature": signed}
        assert standardwebhooks.Webhook(secret).verify("{}", headers) == {}
        with pytest.raises(standardwebhooks.WebhookVerificationError, match="No matching signature"):
            standardwebhooks.Webhook(secret).verify("{ }", headers)


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (200, Verdict()),
        (204, Verdict()),
        (299, Verdict()),
        (410, Verdict("answers with status 410, so it wants no more", gone=True)),
        (301, Verdict("answers with status 301, a redirect, which is not followed: give the URL to which it leads")),
        (400, Verdict("answers with status 400")),
        (404, Verdict("answers with status 404")),
        (500, Verdict("answers with status 500")),
    ],
)
def test_a_status_is_judged(status: int, verdict: Verdict) -> None:
    assert judged(Reply(status, {"location": "https://elsewhere.example/hunter2", "retry-after": "9"}, b"")) == verdict


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("120", 120.0), (" 7 ", 7.0), ("86400", 3600.0), ("9" * 400, 3600.0), ("", 0.0), ("soon", 0.0), ("-5", 0.0)],
)
@pytest.mark.parametrize("status", [429, 503])
def test_what_a_receiver_asks_for_is_heard(status: int, text: str, seconds: float) -> None:
    assert judged(Reply(status, {"retry-after": text}, b"")).pause == seconds


def test_it_may_ask_by_a_date() -> None:
    for ahead, least, most in ((600, 590.0, 600.0), (7200, 3600.0, 3600.0), (-600, 0.0, 0.0)):
        date = email.utils.formatdate(time.time() + ahead, usegmt=True)
        assert least <= judged(Reply(503, {"retry-after": date}, b"")).pause <= most
    assert judged(Reply(503, {"retry-after": "Fri, 31 Dec 99999 00:00:00 GMT"}, b"")).pause == 0.0


def test_what_goes_out(tmp_path: Path) -> None:
    with receiving() as receiver:
        url = receiver.url.replace("//", "//ada:hunter%402@") + "?token=hunter2"
        assert deliver(Webhook(url, SecretStr(SECRET)), OWED) == Verdict()
        (got,) = receiver.got
        assert receiver.unverified == []
    assert (got.path, got.body) == ("/hook?token=hunter2", OWED.body)
    assert got.headers["content-type"] == "application/json"
    assert got.headers["authorization"] == "Basic YWRhOmh1bnRlckAy"
    assert (got.id, got.headers["user-agent"]) == ("msg_1", "confcast")
    assert abs(int(got.headers["webhook-timestamp"]) - time.time()) < 60
    assert "hunter2" not in str({**got.headers, "webhook-signature": ""})


def test_a_certificate_is_verified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = Authority(tmp_path)
    certificate, key = authority.pair("server", address="127.0.0.1")
    authority.put(authority.keyfile, key)
    authority.put(authority.certfile, certificate)
    with receiving(tls=context_of(authority)) as receiver:
        webhook = Webhook(receiver.url, SecretStr(SECRET))
        assert deliver(webhook, OWED).failure.startswith("its certificate can't be verified: self")
        assert receiver.got == []
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.certfile))
        assert deliver(webhook, OWED) == Verdict()
        assert len(receiver.got) == 1


def test_what_is_raised_is_a_failure_in_words_that_quote_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*about: Any, **more: Any) -> None:
        raise KeyError("hunter2")

    monkeypatch.setattr(module.http_exchange, "post", fails)
    assert deliver(Webhook("https://ops.example/", SecretStr(SECRET)), OWED) == Verdict("KeyError")


def test_a_library_that_is_missing_is_said_at_the_start_and_by_each_try(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *about: Any) -> Any:
        if name == "standardwebhooks":
            raise ModuleNotFoundError(name)
        return real(name, *about)

    monkeypatch.setattr(builtins, "__import__", without)
    webhook = Webhook("https://ops.example/", SecretStr(SECRET))
    words = "standardwebhooks is not installed: pip install 'confcast[webhooks]'"
    with pytest.raises(ConfcastError) as found:
        check((webhook,))
    assert str(found.value) == f"webhooks: 1, https://ops.example: {words}"
    assert deliver(webhook, OWED) == Verdict(words)
