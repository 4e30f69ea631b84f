"""Who is let in: a request that shows a token. Wrong tokens are counted by the address that they came from.

A right token is let in whatever has failed from its address: behind a proxy, and on loopback, all callers have one
address, and one of them could lock the others out. What is bounded so is what failures cost and log; nobody guesses a
token of 120 bits. The memory is bounded: past it, the address that has failed least recently is forgotten.
"""

from __future__ import annotations

import logging
import math
import time
from collections import OrderedDict
from collections.abc import Callable

from starlette.requests import Request

from confcast.admin.limits import Limits
from confcast.admin.problems import ProblemError
from confcast.admin.tokens import Token, Tokens
from confcast.log_fields import about

_log = logging.getLogger("confcast.admin")

_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="confcast"'}


class Authentication:
    """Lets requests in.

    Args:
        tokens: The tokens.
        limits: The bounds.
    """

    def __init__(self, tokens: Tokens, limits: Limits) -> None:
        self._tokens = tokens
        self._failures = Failures(limits.failures, limits.forgiven, limits.addresses)

    def token_of(self, request: Request) -> Token:
        """Whose request this is. Raises ProblemError."""
        self._tokens.refresh()
        token = self._tokens.whose(request.headers.get("authorization", "").encode("latin-1"))
        if token is None:
            raise self._refusal(request)
        return token

    def _refusal(self, request: Request) -> ProblemError:
        if "authorization" not in request.headers:
            return ProblemError(401, "no_token", "send a token: Authorization: Bearer TOKEN", _CHALLENGE)
        address = request.client.host if request.client else ""
        if seconds := self._failures.failed(address):
            text = f"too many wrong tokens from this address: wait {seconds} s"
            return ProblemError(429, "too_many_failures", text, {"Retry-After": str(seconds)})
        _log.warning("a wrong token from %s", address, extra=about("admin_token_wrong", address=address))
        return ProblemError(401, "wrong_token", "this token is not in the file of tokens", _CHALLENGE)


class Failures:
    """A bucket of wrong tokens for each address.

    Args:
        burst: How many are answered 401 at once.
        every: Seconds after which one is forgotten.
        most: How many addresses are remembered.
        clock: Seconds.
    """

    def __init__(self, burst: int, every: float, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._burst, self._every, self._most, self._clock = burst, every, most, clock
        self._known: OrderedDict[str, tuple[float, float]] = OrderedDict()  # how many, and as of when

    def failed(self, address: str) -> int:
        """Count one. Returns the seconds that this address has to wait before the next; 0 if it need not."""
        now = self._clock()
        count, since = self._known.pop(address, (0.0, now))
        count = max(0.0, count - (now - since) / self._every) + 1.0
        self._known[address] = min(count, self._burst + 1.0), now
        if len(self._known) > self._most:
            self._known.popitem(last=False)
        return math.ceil((count - self._burst) * self._every) if count > self._burst else 0
