"""Whose a key is: asked at each request, and, while a version is on trial, to find which version the request gets.

Guarantees: how long a look takes says nothing about any key: keys are looked up by their HMAC under a secret that each
table draws for itself, so nobody who sends a key can choose what is compared. The tables hold no key in plain form.

Whom a request is for is decided by the version that is committed, and what its key may do by the version that it gets.
So a key that only a version on trial has is nobody's, until that version is committed; and one that it drops is refused
to those tenants who try it, which is what a trial is for.

Rejected: comparing with each key in turn by `hmac.compare_digest` (a request would pay for the number of tenants).
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping

from confcast.examples.tenant_proxy.schema import Tenant
from confcast.examples.tenant_proxy.settings import settings


class KeyTable:
    """The keys of one version."""

    def __init__(self, tenants: Mapping[str, Tenant]) -> None:
        self._secret = secrets.token_bytes(32)
        self._tenants = {
            self._hidden(key.get_secret_value()): name for name, tenant in tenants.items() for key in tenant.keys
        }

    def tenant_of(self, key: str) -> str | None:
        """The name of the tenant that has this key; None: nobody has it."""
        return self._tenants.get(self._hidden(key))

    def _hidden(self, key: str) -> bytes:
        return hmac.digest(self._secret, key.encode("utf-8", "surrogateescape"), "sha256")


keys = settings.derive(KeyTable, lambda c: c.tenants, linger=0, name="the keys")


def shown(headers: Mapping[str, str]) -> str:
    """The key in a request's `Authorization`; empty if there is none."""
    scheme, _, key = headers.get("authorization", "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" else ""


@settings.identify
def tenant(headers: Mapping[str, str]) -> str | None:
    """Each tenant sees one version while another is on trial, in every worker, whichever of its keys it shows."""
    return keys.latest.tenant_of(shown(headers))
