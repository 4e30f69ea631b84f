"""Contexts for TLS, made anew only when one of their files is another one than before.

The system's authorities take 20 ms of a processor to read, and 0.8 MiB: with a context for each try to connect, an
outage would cost a host as much as its work, and each connection would hold one of its own. So all connections with the
same files have one context. Whether a file is another one is seen by its device, inode, size and times, of what a
symbolic link leads to: certificates that rotate are used from the next connection on.

Rejected: to look at the time only (a folder that is switched by a link may bring older files).
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from confcast.wire.ssl_at_use import ssl


class Files(NamedTuple):
    """The files of a context; see `Access`."""

    ca_file: str
    cert_file: str
    key_file: str


class _Made(NamedTuple):
    signs: tuple[object, ...]
    context: ssl.SSLContext


_made: dict[Files, _Made] = {}  # one for each set of files: a rotated one takes the place of the last


def context_of(files: Files) -> ssl.SSLContext:
    """A context that verifies the server, with this side's certificate. It may be shared, so nobody may change it.

    Raises:
        OSError, ssl.SSLError: A file can't be read, or is none.
    """
    signs = _signs_of(files)  # before they are read: a file that is changed meanwhile is read again next time
    known = _made.get(files)
    if known is None or known.signs != signs:
        known = _made[files] = _Made(signs, _new(files))
    return known.context


def _new(files: Files) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=files.ca_file or None)
    if files.cert_file:
        context.load_cert_chain(files.cert_file, files.key_file or None, password=_no_password)
    return context


def _no_password() -> str:
    """For a key that is encrypted: else OpenSSL asks on the terminal, and waits."""
    return ""


def _signs_of(files: Files) -> tuple[object, ...]:
    names = [each for each in files if each]
    if not files.ca_file:
        system = ssl.get_default_verify_paths()
        names += [each for each in (system.cafile, system.capath) if each]
    return tuple((name, _sign_of(name)) for name in names)


def _sign_of(name: str) -> tuple[int, ...]:
    try:
        found = Path(name).stat()
    except OSError:
        return ()
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
