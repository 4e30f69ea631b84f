"""NKEYs and the JWTs that they sign, and a stand-in of the library nkeys, which nats-py calls: by cryptography."""

from __future__ import annotations

import base64
import binascii
import importlib.machinery
import json
import os
import types
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

USER, ACCOUNT, OPERATOR = 20 << 3, 0, 14 << 3
_SEED = 18 << 3


class Nkey:
    """A pair of keys of one of these kinds."""

    def __init__(self, kind: int, raw: bytes = b"") -> None:
        raw = raw or os.urandom(32)
        self._private = Ed25519PrivateKey.from_private_bytes(raw)
        self.seed = _encoded(bytes([_SEED | kind >> 5, (kind & 31) << 3]) + raw)
        public = self._private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.public_key = _encoded(bytes([kind]) + public)

    @property
    def name(self) -> str:
        return self.public_key.decode()

    def sign(self, content: bytes) -> bytes:
        return self._private.sign(content)

    def wipe(self) -> None:
        """As the library's."""

    def signed(self, of: Nkey, kind: str, **more: Any) -> str:
        """A JWT in which this one vouches for another one."""
        claims = {"jti": of.name, "iat": 1, "iss": self.name, "sub": of.name, "name": kind}
        claims["nats"] = {"type": kind, "version": 2, **more}
        parts = [_url({"typ": "JWT", "alg": "ed25519-nkey"}), _url(claims)]
        return ".".join([*parts, base64.urlsafe_b64encode(self.sign(".".join(parts).encode())).decode().rstrip("=")])


class ErrInvalidSeed(Exception):
    """As the library's."""


def from_seed(seed: bytes) -> Nkey:
    """As the library's: raises ErrInvalidSeed."""
    try:
        raw = base64.b32decode(bytes(seed) + b"=" * (-len(seed) % 8))
        assert len(raw) == 36
    except (AssertionError, ValueError) as error:
        raise ErrInvalidSeed("nkeys: invalid seed") from error
    return Nkey((raw[0] & 7) << 5 | raw[1] >> 3, raw[2:34])


def library() -> types.ModuleType:
    """For `sys.modules`."""
    module = types.ModuleType("nkeys")
    module.__spec__ = importlib.machinery.ModuleSpec("nkeys", None)
    module.from_seed = from_seed  # type: ignore[attr-defined]
    return module


class Operator:
    """An operator with one account for users, and one for the system.

    Attributes:
        configuration: A server's, that trusts it.
        credentials: A user's file, as `nsc` writes it.
    """

    def __init__(self) -> None:
        operator, account, system, user = (Nkey(kind) for kind in (OPERATOR, ACCOUNT, ACCOUNT, USER))
        names = ("subs", "data", "payload", "imports", "exports", "conn", "leaf")
        limits = {**dict.fromkeys(names, -1), "wildcards": True}
        stored = {**limits, "mem_storage": -1, "disk_storage": -1, "streams": -1, "consumer": -1}
        self.configuration = f"""
            operator: {operator.signed(operator, "operator")}
            system_account: {system.name}
            resolver: MEMORY
            resolver_preload: {{
                {account.name}: {operator.signed(account, "account", limits=stored)}
                {system.name}: {operator.signed(system, "account", limits=limits)}
            }}
        """
        rights = {"subs": -1, "data": -1, "payload": -1, "pub": {}, "sub": {}}
        self.credentials = (
            f"-----BEGIN NATS USER JWT-----\n{account.signed(user, 'user', **rights)}\n------END NATS USER JWT------\n"
            f"-----BEGIN USER NKEY SEED-----\n{user.seed.decode()}\n------END USER NKEY SEED------\n"
        )


def _encoded(content: bytes) -> bytes:
    return base64.b32encode(content + binascii.crc_hqx(content, 0).to_bytes(2, "little")).rstrip(b"=")


def _url(claims: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
