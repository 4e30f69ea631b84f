"""Certificates of a test's own, made by the cryptography package, and which one a server serves."""

from __future__ import annotations

import datetime as dt
import functools
import ipaddress
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

KEYS: dict[str, Callable[[], Any]] = {
    "EC": lambda: ec.generate_private_key(ec.SECP256R1()),
    "RSA": functools.cache(lambda: rsa.generate_private_key(public_exponent=65537, key_size=2048)),  # takes long
}


class Authority:
    """Writes a pair of files, and another one in their place.

    Args:
        folder: Where they lie, as `cert.pem` and `key.pem`.
        password: To encrypt keys with.
        kind: Of the first key.
    """

    def __init__(self, folder: Path, password: str = "", kind: str = "EC") -> None:
        self.certfile, self.keyfile = folder / "cert.pem", folder / "key.pem"
        self._password = password
        self.issue("first", kind)

    def issue(self, name: str, kind: str = "EC") -> None:
        """Put a pair of this name in the place of what is there, each file by a rename."""
        certificate, key = self.pair(name, kind)
        self.put(self.keyfile, key)
        self.put(self.certfile, certificate)

    def put(self, path: Path, content: bytes) -> None:
        """As a renewal does: whoever reads meets the old file or the new one."""
        fresh = path.with_suffix(".fresh")
        fresh.write_bytes(content)
        fresh.replace(path)

    def pair(self, name: str, kind: str = "EC", address: str = "") -> tuple[bytes, bytes]:
        """A certificate and its key, PEM; `address`: an IP address that it is for, too."""
        key = KEYS[kind]()
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = dt.datetime.now(dt.UTC)
        builder = x509.CertificateBuilder(
            issuer_name=subject,
            subject_name=subject,
            public_key=key.public_key(),
            serial_number=x509.random_serial_number(),
            not_valid_before=now - dt.timedelta(days=1),
            not_valid_after=now + dt.timedelta(days=1),
        )
        if address:
            alternative = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))])
            builder = builder.add_extension(alternative, critical=False)
        certificate = builder.sign(key, hashes.SHA256())
        encryption: Any = serialization.NoEncryption()
        if self._password:
            encryption = serialization.BestAvailableEncryption(self._password.encode())
        pem, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
        return certificate.public_bytes(pem), key.private_bytes(pem, form, encryption)


def context_of(authority: Authority, password: str | None = None) -> ssl.SSLContext:
    """A server's context, of the present files."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.certfile, authority.keyfile, password)
    return context


def name_in(certificate: bytes) -> str:
    """The name that `Authority.issue` gave it; of DER."""
    (attribute,) = x509.load_der_x509_certificate(certificate).subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(attribute.value)


def trusting() -> ssl.SSLContext:
    """A client's context that trusts everybody."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def handshake(context: ssl.SSLContext) -> str:
    """Whose certificate a client gets from a server's context, without a network. Raises ssl.SSLError."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = context.wrap_bio(to_server, to_client, server_side=True)
    client = trusting().wrap_bio(to_client, to_server)
    waiting = [client, server]
    while waiting:
        for end in list(waiting):
            try:
                end.do_handshake()
                waiting.remove(end)
            except ssl.SSLWantReadError:
                pass
    certificate = client.getpeercert(binary_form=True)
    assert certificate
    return name_in(certificate)


def served(port: int) -> str:
    """Whose certificate a new connection to this port gets."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as plain, trusting().wrap_socket(plain) as secure:
        certificate = secure.getpeercert(binary_form=True)
    assert certificate
    return name_in(certificate)
