"""The bodies of requests that change or try something, as msgspec decodes and OpenAPI describes them."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

_Reason = Annotated[str, Meta(max_length=500, description="why, for the history")]
_Seconds = Annotated[float, Meta(gt=0, description="seconds")]
_Version = Annotated[int, Meta(ge=1, le=2**63 - 1, description="the number of a version")]


class _Body(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    def __repr__(self) -> str:  # values may be secrets
        return f"{type(self).__name__}()"


class CheckBody(_Body, frozen=True, kw_only=True):
    """What is tried: values as in `set`, or texts in the place of sources' files; neither: a reload."""

    values: dict[str, Any] = {}
    files: dict[str, str] = {}


class CanaryBody(_Body, frozen=True, kw_only=True):
    """How a version is tried first; as `Canary`."""

    size: Annotated[int, Meta(ge=1)] | str
    seconds: _Seconds = 60.0
    by: Annotated[str, Meta(pattern="^(worker|entity)$")] = "worker"
    min_requests: Annotated[int, Meta(ge=0)] = 50
    inconclusive: Annotated[str, Meta(pattern="^(undo|promote)$")] = "undo"


class ReloadBody(_Body, frozen=True, kw_only=True):
    """A load of the sources."""

    reason: _Reason = ""
    allow: list[str] = []
    confirm_within: _Seconds | None = None
    canary: CanaryBody | None = None
    force: bool = False


class SetBody(_Body, frozen=True, kw_only=True):
    """Values above all sources, by dotted key."""

    values: dict[str, Any]
    ttl: _Seconds | None = None
    confirm_within: _Seconds | None = None
    allow: list[str] = []
    reason: _Reason = ""


class UnsetBody(_Body, frozen=True, kw_only=True):
    """The keys whose values are ended."""

    keys: list[str]
    reason: _Reason = ""


class RollbackBody(_Body, frozen=True, kw_only=True):
    """The version to go back to; none: the newest good one before what runs."""

    version: _Version | None = None
    reason: _Reason = ""


class ResumeBody(_Body, frozen=True, kw_only=True):
    """The end of a hold."""

    reason: _Reason = ""


class ConfirmBody(_Body, frozen=True, kw_only=True):
    """The version to keep; none: that of `If-Match`."""

    version: _Version | None = None
    reason: _Reason = ""
