"""A server renews its TLS certificate in the `SSLContext` that it serves with, and replaces no worker.

`renew` loads a chain and its key into a context in use. Connections that are accepted afterwards get the new chain,
open ones keep the old one. It guarantees:

- A context never has half a renewal. `SSLContext.load_cert_chain` loads the chain first; where the key does not belong
  to it, the context is left with the new chain and no key, and every handshake fails from then on. So `renew` reads
  both files once, tries the bytes in a context of its own, and loads the same bytes.
- A key of another kind is refused (an RSA key was served, an EC key is in the file). A context keeps one certificate
  for each kind and can't drop one: clients that prefer the old kind would get the old certificate until it expires, and
  after that.
- An encrypted key without a password is refused. OpenSSL would ask for it at the terminal, and the worker would wait.

`load_cert_chain` takes paths only, so the bytes reach OpenSSL as a file in memory (memfd), or, where the system has no
memfd or can't open one by a path (a chroot without /proc, a policy), as a temporary file that only this user can read.
Where neither can be made (no descriptor is left), the reason is a text: a traceback would have the key in its frames.

Rejected: another context by `sni_callback` (each handshake would call Python, and the other context would need the
protocols, CAs and callbacks of the first), and looking at the files at each handshake (which could read a pair that is
half written at any moment).
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import ssl
import tempfile
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

StrPath = str | os.PathLike[str]

_SEQUENCE = 0x30
_KINDS = {
    bytes.fromhex("2a864886f70d010101"): "RSA",
    bytes.fromhex("2a864886f70d01010a"): "RSA-PSS",
    bytes.fromhex("2a8648ce3d0201"): "EC",
    bytes.fromhex("2b6570"): "Ed25519",
    bytes.fromhex("2b6571"): "Ed448",
}


class Unusable(Exception):
    """A server can't serve with what the files hold; the text says which file, why, and what to do."""


class ServedPair(NamedTuple):
    """What is remembered of a pair that a context serves.

    Attributes:
        fingerprint: A digest of the bytes of both files.
        kind: The kind of its key, such as "EC"; empty where it is unknown.
    """

    fingerprint: bytes
    kind: str


@dataclass(frozen=True, repr=False)  # a repr would show the key
class Pair:
    """A certificate chain and the key that belongs to it, as their files held them at one moment.

    Attributes:
        chain: PEM, the server's own certificate first; with the key, where `key` is None.
        key: PEM; None: `chain` has it.
        password: The key's password, where it is encrypted.
        held: What is remembered of the pair when it is served.
    """

    chain: bytes
    key: bytes | None
    password: str | None
    held: ServedPair


_held: weakref.WeakKeyDictionary[ssl.SSLContext, ServedPair] = weakref.WeakKeyDictionary()


def renew(
    context: ssl.SSLContext, certfile: StrPath, keyfile: StrPath | None = None, password: str | None = None
) -> str | None:
    """Load the files into a context in use; call it once when the context is made, then at each renewal.

    The first call remembers the kind of key that the context has: without it a later call can't refuse another kind.
    In the thread that accepts connections with this context: OpenSSL copies from a context without a lock.

    Args:
        context: A server's context, whose certificate came from these files.
        certfile: The chain, PEM. A relative path is looked for in the present working directory.
        keyfile: The key, PEM; None: the chain's file has it.
        password: The key's password; None: the key is not encrypted.

    Returns:
        None when the context has the content of the files. Otherwise why the context is unchanged, for a person.
    """
    try:
        load(context, read(certfile, keyfile, password))
    except Unusable as error:
        return str(error)
    return None


def read(certfile: StrPath, keyfile: StrPath | None = None, password: str | None = None) -> Pair:
    """Read the files, and try them in a context of their own. In any thread. Arguments as of `renew`.

    Raises:
        Unusable: The files are no chain with its key, or can't be handed to OpenSSL.
    """
    chain = _content(certfile)
    key = None if keyfile is None else _content(keyfile)
    held = ServedPair(_fingerprint(chain, key), _kind(chain))
    pair = Pair(chain, key, password, held)
    asked: list[None] = []

    def no_password() -> str:
        asked.append(None)
        return ""

    try:
        _load(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), pair, no_password)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError; ValueError: a password that is too long
        raise Unusable(_words(error, certfile, keyfile, encrypted=bool(asked))) from error
    return pair


def load(context: ssl.SSLContext, pair: Pair, full_reload: str = "a full reload") -> bool:
    """Load a pair into a context in use; return whether it served another pair before. In the thread as of `renew`.

    Args:
        context: The context that serves.
        pair: The pair that it is to serve.
        full_reload: What an operator has to do for another kind of key, in words.

    Raises:
        Unusable: The key is of another kind, or can't be handed to OpenSSL; the context is unchanged.
    """
    before = _held.get(context)
    if before == pair.held:
        return False
    _refuse_another_kind(before, pair.held, full_reload)
    try:
        _load(context, pair)
    except OSError as error:
        raise Unusable(f"it can't be handed to OpenSSL: {_reason(error)}") from error
    _held[context] = pair.held
    return True


class Certificate:
    """The files of a server's certificate, for a master that checks them and serves no TLS itself.

    Args:
        certfile: As of `renew`; a relative path belongs to the present working directory, whatever it is later.
        keyfile: As of `renew`.
        password: As of `renew`.

    Attributes:
        usable: Whether workers could load the pair that the last `look` has found.
        renewed: Whether the last `look` has found another pair than the server started with.
    """

    def __init__(self, certfile: StrPath, keyfile: StrPath | None = None, password: str | None = None) -> None:
        self._certfile = absolute(certfile)
        self._keyfile = None if keyfile is None else absolute(keyfile)
        self._password = password
        self._said = ""
        self._served: ServedPair | None = None
        self.take_over()

    def take_over(self) -> None:
        """Note that the server serves the present files: its workers are new."""
        self.usable, self.renewed = True, False
        with contextlib.suppress(Unusable):  # the server itself logs that, when its worker starts
            self._served = self._read().held

    def look(self, full_reload: str = "a full reload") -> str | None:
        """Look at the files; return a text to log, once for each fault, when workers can't take the pair.

        Args:
            full_reload: As of `load`.
        """
        try:
            found = self._read().held
            self.renewed = found != self._served
            _refuse_another_kind(self._served, found, full_reload)
        except Unusable as error:
            self.usable, before, self._said = False, self._said, str(error)
            return None if self._said == before else self._said
        self.usable, self._said = True, ""
        return None

    def check(self) -> None:
        """Raise Unusable when a worker that starts now could not serve with the files."""
        self._read()

    def _read(self) -> Pair:
        return read(self._certfile, self._keyfile, self._password)


def absolute(path: StrPath) -> str:
    """The absolute path, which no change of the working directory affects. Keeps a link: a renewal may replace it."""
    return os.fspath(Path(path).absolute())


def _refuse_another_kind(before: ServedPair | None, now: ServedPair, full_reload: str) -> None:
    if before is not None and before.kind and now.kind and before.kind != now.kind:
        raise Unusable(
            f"the new certificate has an {now.kind} key, and an {before.kind} key is served: another kind of key "
            f"takes {full_reload}"
        )


def _content(path: StrPath) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise Unusable(f"{os.fspath(path)} can't be read: {error.strerror}") from error


def _fingerprint(chain: bytes, key: bytes | None) -> bytes:
    return hashlib.sha256(b"%d %b %b" % (len(chain), chain, key or b"")).digest()


def _load(context: ssl.SSLContext, pair: Pair, no_password: object = None) -> None:
    """Load a pair into any context. Raises ssl.SSLError, ValueError, OSError."""
    with _as_file(pair.chain) as chain, contextlib.ExitStack() as stack:
        key = None if pair.key is None else stack.enter_context(_as_file(pair.key))
        context.load_cert_chain(chain, key, pair.password or no_password)  # type: ignore[arg-type]


@contextlib.contextmanager
def _as_file(content: bytes) -> Iterator[str]:
    """A path with this content, opened once as a trial: a context must not get the chain without the key."""
    descriptor = _file_in_memory(content)
    if descriptor is None:
        with tempfile.NamedTemporaryFile() as file:
            file.write(content)
            file.flush()
            Path(file.name).open("rb").close()
            yield file.name
        return
    try:
        yield f"/dev/fd/{descriptor}"
    finally:
        os.close(descriptor)


def _file_in_memory(content: bytes) -> int | None:
    """The descriptor of a file in memory; None where the system has none, or can't open it by a path."""
    try:
        descriptor = os.memfd_create("confcast-certificate")
    except (AttributeError, OSError):  # the system, or a sandbox, has no such call
        return None
    try:
        Path(f"/dev/fd/{descriptor}").write_bytes(content)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def _words(error: Exception, certfile: StrPath, keyfile: StrPath | None, *, encrypted: bool) -> str:
    key = certfile if keyfile is None else keyfile
    if encrypted:
        return f"the key {os.fspath(key)} is encrypted, and the server was given no password for it"
    if _reason(error) == "KEY_VALUES_MISMATCH":
        return (
            f"the key {os.fspath(key)} does not belong to the certificate {os.fspath(certfile)}: put both in place, "
            "then send the signal again"
        )
    both = f"{os.fspath(certfile)} and {os.fspath(key)}" if keyfile is not None else os.fspath(certfile)
    if isinstance(error, OSError) and not isinstance(error, ssl.SSLError):
        return f"{both} can't be handed to OpenSSL: {_reason(error)}"
    return f"{both} can't be loaded as a certificate chain and its key (PEM): {_reason(error)}"


def _reason(error: Exception) -> str:
    return str(getattr(error, "reason", None) or getattr(error, "strerror", None) or error)


def _kind(chain: bytes) -> str:
    """The kind of the key in the first certificate of a chain; empty where it is unknown."""
    begin = chain.find(b"-----BEGIN CERTIFICATE-----")
    end = chain.find(b"-----END CERTIFICATE-----", begin)
    try:
        text = chain[begin:end].decode("ascii") + "-----END CERTIFICATE-----\n"
        (_, certificate), *_ = _elements(ssl.PEM_cert_to_DER_cert(text))
        (_, to_be_signed), *_ = _elements(certificate)
        # Its sequences are: the signature's algorithm, the issuer, the validity, the subject, the public key.
        public_key = [content for tag, content in _elements(to_be_signed) if tag == _SEQUENCE][4]
        (_, algorithm), *_ = _elements(public_key)
        (_, identifier), *_ = _elements(algorithm)
    except (ValueError, IndexError):
        return ""
    return _KINDS.get(identifier, identifier.hex())


def _elements(der: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield tag and content of each element in the content of a DER sequence. Raises IndexError if it is cut off."""
    at = 0
    while at < len(der):
        tag, length, at = der[at], der[at + 1], at + 2
        if length > 0x7F:
            size = length & 0x7F
            length, at = int.from_bytes(der[at : at + size]), at + size
        yield tag, der[at : at + length]
        at += length
