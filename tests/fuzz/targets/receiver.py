"""What the receiver of a webhook answers: over a real socket. Declared: nothing (`owner/loop/webhook_post.py`).

Whatever comes is a verdict: taken or not, and a pause that is no longer than an hour.
"""

from __future__ import annotations

from pydantic import SecretStr

from confcast import Webhook
from confcast.owner.loop import webhook_post
from confcast.owner.store.deliveries import Delivery
from tests.fuzz.bounds import Finding
from tests.fuzz.targets.http_source import TOKENS as TOKENS
from tests.fuzz.targets.http_source import _answered_by

_WEBHOOK = Webhook("http://127.0.0.1:1/hook", secret=SecretStr("whsec_c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"))


def seeds():
    for answer in (
        b"204 No\r\n",
        b"200 OK\r\nContent-Length: 5\r\n\r\nhello",
        b"410 Gone\r\nContent-Length: 0\r\n",
        b"429 T\r\nRetry-After: 17\r\n",
        b"503 U\r\nRetry-After: Wed, 21 Oct 2099 07:28:00 GMT\r\n",
        b"302 F\r\nLocation: http://elsewhere.example/\r\n",
    ):
        yield b"HTTP/1.1 " + answer + b"\r\n"


def one(data: bytes) -> None:
    with _answered_by([data]):
        verdict = webhook_post.deliver(_WEBHOOK, Delivery(1, "msg_x", 0, b"{}"))
    if not 0.0 <= verdict.pause <= 3600.0:
        raise Finding(f"a pause of {verdict.pause} s")
    if "Hunter2" in verdict.failure:
        raise Finding(f"it quotes the answer: {verdict.failure}")
