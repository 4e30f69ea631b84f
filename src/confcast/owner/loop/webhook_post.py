"""One try to deliver a webhook's message: it is signed, posted, and judged by the status of the answer.

Guaranteed: a try takes 15 s at the most, whatever hangs or trickles. No redirect is followed, so that no other host
sees anything; no text of the receiver's is kept. The signature is of now: a receiver refuses what was signed long ago.
What is raised is a try that has failed, in words that show neither the secret nor where the URL leads.
"""

from __future__ import annotations

import email.utils
import math
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from confcast.errors import ConfcastError
from confcast.owner.store.deliveries import Delivery
from confcast.wire import http_exchange, urls
from confcast.wire.webhooks import Webhook

WITHIN = 15.0
"""Seconds that a try may take: what the convention recommends."""

LONGEST_PAUSE = 3600.0
"""Seconds between two tries at the most, whatever the receiver asks for."""

_GONE = 410
_ASKS = frozenset({429, 503})
_MISSING = "standardwebhooks is not installed: pip install 'confcast[webhooks]'"
_LEADS_ELSEWHERE = ", a redirect, which is not followed: give the URL to which it leads"


class Verdict(NamedTuple):
    """What came of a try.

    Attributes:
        failure: Why the message was not taken, as the end of a sentence; empty if it was.
        gone: Whether the receiver wants no more.
        pause: For how many seconds the receiver asks to be left alone.
    """

    failure: str = ""
    gone: bool = False
    pause: float = 0.0


def check(webhooks: tuple[Webhook, ...]) -> None:
    """Refuse webhooks that could deliver nothing. Raises ConfcastError, which says what to do."""
    for number, webhook in enumerate(webhooks, 1):
        try:
            signatures(webhook, "msg_check", 0, "")
        except (ImportError, ValueError) as error:
            why = _MISSING if isinstance(error, ImportError) else str(error)
            raise ConfcastError(f"webhooks: {number}, {webhook.shown}: {why}") from None


def deliver(webhook: Webhook, owed: Delivery) -> Verdict:
    """Try once. Raises nothing."""
    try:
        headers = _headers(webhook, owed)
        url = urls.without_user(webhook.url)
        return judged(http_exchange.post(url, headers, owed.body, timeout=WITHIN))
    except ImportError:
        return Verdict(_MISSING)
    except ValueError as error:  # of the secret's file, named and not shown
        return Verdict(f"its secret can't be used: {error}")
    except http_exchange.Unanswered as error:
        return Verdict(str(error))
    except Exception as error:
        return Verdict(type(error).__name__)


def _headers(webhook: Webhook, owed: Delivery) -> dict[str, str]:
    now = int(time.time())
    return {
        "Content-Type": "application/json",
        "User-Agent": "confcast",
        "webhook-id": owed.id,
        "webhook-timestamp": str(now),
        "webhook-signature": signatures(webhook, owed.id, now, owed.body.decode()),
        **urls.authorization(webhook.url),
    }


def signatures(webhook: Webhook, number: str, now: int, body: str) -> str:
    """One signature by each of its secrets. Raises ImportError, ValueError."""
    import standardwebhooks  # most owners post nothing

    at = datetime.fromtimestamp(now, UTC)  # of another zone it would sign the wrong time
    signers = map(standardwebhooks.Webhook, webhook.secrets())
    return " ".join(signer.sign(number, at, body) for signer in signers)


def judged(reply: http_exchange.Reply) -> Verdict:
    """The verdict on an answer."""
    status = reply.status
    if 200 <= status < 300:
        return Verdict()
    text = f"answers with status {status}"
    if status == _GONE:
        return Verdict(f"{text}, so it wants no more", gone=True)
    if 300 <= status < 400:
        return Verdict(f"{text}{_LEADS_ELSEWHERE}")
    return Verdict(text, pause=_asked_for(reply.headers, time.time()) if status in _ASKS else 0.0)


def _asked_for(headers: Mapping[str, str], now: float) -> float:
    """The seconds that `Retry-After` asks for, as a number or a date; an hour at the most."""
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text), LONGEST_PAUSE)
    try:
        seconds = email.utils.parsedate_to_datetime(text).timestamp() - now if text else 0.0
    except (ValueError, TypeError, OverflowError, IndexError):
        return 0.0
    return min(max(seconds, 0.0), LONGEST_PAUSE) if math.isfinite(seconds) else 0.0
