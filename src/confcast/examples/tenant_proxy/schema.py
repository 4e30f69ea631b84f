"""The configuration: which upstreams there are, and who may use them, how much.

Guarantees: unknown keys are refused, objects are frozen, and each problem has the place of the value that is wrong. No
message has a key in it, or a part of one. No two tenants have the same key. Each upstream that a tenant names exists.

Rejected: a tenant's keys by the names `current` and `former` (a rotation would move a key from one to the other, and
what moves has to be typed twice without a mistake): a list, whose order means nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    HttpUrl,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

SHORTEST_KEY = 16
_KEY = re.compile(r"[A-Za-z0-9._~+/-]+=*")  # what RFC 6750 lets stand after `Bearer`


def _is_base(url: HttpUrl) -> HttpUrl:
    if url.username or url.password:
        raise PydanticCustomError("user", "should have no user and no password: an upstream's token is `token`")
    if url.query is not None or url.fragment is not None:
        raise PydanticCustomError("query", "should end with its path: what follows comes from each request")
    return url


def _is_key(key: SecretStr) -> SecretStr:
    text = key.get_secret_value()
    if len(text) < SHORTEST_KEY:
        raise PydanticCustomError(
            "short", "should have {least} characters or more, so that nobody guesses it", {"least": SHORTEST_KEY}
        )
    if not _KEY.fullmatch(text):
        raise PydanticCustomError("token", "should have letters, digits and . _ ~ + / - only, as a bearer token has")
    return key


def _are_one_or_two(keys: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
    """Pydantic's own bounds would count only keys that are right, and speak of two problems where there is one."""
    if not 1 <= len(keys) <= 2:
        raise PydanticCustomError(
            "number", "should be one key, or two during a rotation; there are {n}", {"n": len(keys)}
        )
    return keys


Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
Key = Annotated[SecretStr, AfterValidator(_is_key)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Section(BaseModel):
    """What all parts have."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Upstream(Section):
    """Where requests go.

    Attributes:
        url: Its address; the rest of a request's path is put behind it.
        token: What it wants in `Authorization`; a tenant's key never goes there.
        connect_timeout: Seconds to wait for a connection.
        read_timeout: Seconds of silence, before the answer and within it, after which it has failed.
        connections: How many there may be at a time, in each worker.
        health: What a new version of it has to answer, with a status below 500, to stay.
    """

    url: Annotated[HttpUrl, AfterValidator(_is_base)]
    token: SecretStr | None = None
    connect_timeout: Seconds = 2.0
    read_timeout: Seconds = 30.0
    connections: int = Field(default=100, ge=1)
    health: str = Field(default="/", pattern=r"^/[!-~]*$")


class Limits(Section):
    """How much a tenant may ask for, of each worker: with four workers it is up to four times as much of the server.

    Attributes:
        per_second: Requests a second, in the long run.
        burst: Requests that may come at once after a rest.
        at_once: Requests that may be under way.
    """

    per_second: float = Field(default=20.0, gt=0, allow_inf_nan=False)
    burst: int = Field(default=40, ge=1)
    at_once: int = Field(default=20, ge=1)


class Tenant(Section):
    """A customer.

    Attributes:
        keys: What it may show; two while it changes from one to the other.
        upstreams: The names of those that it may use; None: of all.
        limits: How much it may ask for.
    """

    keys: Annotated[tuple[Key, ...], AfterValidator(_are_one_or_two)]
    upstreams: tuple[str, ...] | None = None
    limits: Limits = Limits()


class ProxySettings(Section):
    """The whole configuration.

    Attributes:
        upstreams: By the name with which a request's path begins.
        tenants: By their names.
    """

    upstreams: dict[Name, Upstream]
    tenants: dict[Name, Tenant]

    @field_validator("tenants")
    @classmethod
    def _belong_together(cls, tenants: dict[str, Tenant], info: ValidationInfo) -> dict[str, Tenant]:
        wrong = [*_shared_keys(tenants)]
        if "upstreams" in info.data:  # else it is wrong itself, which is said already
            wrong += _unknown_upstreams(tenants, info.data["upstreams"])
        if wrong:
            raise ValidationError.from_exception_data(cls.__name__, wrong)
        return tenants


def _unknown_upstreams(tenants: Mapping[str, Tenant], known: Mapping[str, Any]) -> Iterator[InitErrorDetails]:
    for name, tenant in tenants.items():
        for position, upstream in enumerate(tenant.upstreams or ()):
            if upstream not in known:
                words = {"known": ", ".join(known) or "none"}
                error = PydanticCustomError("unknown", "no such upstream; there are {known}", words)
                yield InitErrorDetails(type=error, loc=(name, "upstreams", position), input=upstream)


def _shared_keys(tenants: Mapping[str, Tenant]) -> Iterator[InitErrorDetails]:
    seen: dict[SecretStr, str] = {}
    for name, tenant in tenants.items():
        for position, key in enumerate(tenant.keys):
            if (other := seen.setdefault(key, name)) is not name or key in tenant.keys[:position]:
                error = PydanticCustomError("shared", "the tenant {other} has the same key", {"other": other})
                yield InitErrorDetails(type=error, loc=(name, "keys", position), input=key)
