"""A server renews its TLS certificate, and replaces no worker: each new connection gets a context that is made anew.

A worker makes its contexts when it starts. At a renewal it makes each again, by the same call, of the files as they are
now. The first context's `sni_callback`, which OpenSSL calls in every handshake, with or without a server name, gives
each new connection the context that was made last. So chain, key, client authorities, and what a user's own function
does, are taken over together or, when the files don't fit together, not at all; open connections stay. A `sni_callback`
of the user's belongs to the new context, and is called. A key of another kind is served as any other.

A master serves no TLS itself: it tries the files in a context of its own, so that a fault is logged once, and in words.

Rejected: `load_cert_chain` into the context that serves (a key that does not belong to the chain leaves it without a
key; and OpenSSL keeps a certificate for each kind of key, so that some clients would go on getting the old one),
exchanging the context in the server's objects (private in gevent and asyncio), making contexts when no file has changed
(each HUP would cost each worker some milliseconds), and looking at the files at each handshake (which could read a pair
that is half written at any moment).
"""

from __future__ import annotations

import os
import ssl
import weakref
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from confcast.log_fields import about

StrPath = str | os.PathLike[str]
Context = ssl.SSLContext


class Unusable(Exception):
    """The files are of no use to a server; the text says which file, why, and what to do."""


class Certificate:
    """The files of a server's certificate, for whoever tries them before a worker serves with them.

    Args:
        certfile: The chain, PEM. A relative path belongs to the present working directory, whatever it is later.
        keyfile: The key, PEM; None: the chain's file has it.
        password: The key's password; None: the key is not encrypted.
        ca_certs: The authorities of clients, PEM.

    Attributes:
        paths: All of the files.
        usable: Whether workers could load the pair that the last `look` has found.
        renewed: Whether the last `look` has found other files than the server started with.
    """

    def __init__(
        self,
        certfile: StrPath,
        keyfile: StrPath | None = None,
        password: str | None = None,
        ca_certs: StrPath | None = None,
    ) -> None:
        self._certfile = absolute(certfile)
        self._keyfile = absolute(keyfile) if keyfile else None
        self._password = password
        self._said = ""
        self.paths = [absolute(path) for path in (certfile, keyfile, ca_certs) if path]
        self.take_over()

    def take_over(self) -> None:
        """Note that the server serves the present files: its workers are new."""
        self.usable, self.renewed = True, False
        self._served = _identities(self.paths)

    def look(self) -> str | None:
        """Look at the files; return a text to log, once for each fault, when workers can't take them."""
        self.renewed = _identities(self.paths) != self._served
        try:
            if self.renewed:
                self.check()
        except Unusable as error:
            self.usable, before, self._said = False, self._said, str(error)
            return None if self._said == before else self._said
        self.usable, self._said = True, ""
        return None

    def check(self) -> None:
        """Raise Unusable when a worker that starts now could not serve with the files."""
        for path in filter(None, (self._certfile, self._keyfile)):
            try:
                Path(path).open("rb").close()
            except OSError as error:
                raise Unusable(f"{path} can't be read: {error.strerror}") from error
        asked: list[None] = []

        def no_password() -> str:  # OpenSSL would ask for it at the terminal, and wait
            asked.append(None)
            return ""

        try:
            password: Any = self._password or no_password
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(self._certfile, self._keyfile, password)
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError; ValueError: a password that is too long
            raise Unusable(self._words(error, encrypted=bool(asked))) from error

    def _words(self, error: Exception, *, encrypted: bool) -> str:
        key = self._keyfile or self._certfile
        if encrypted:
            return f"the key {key} is encrypted, and the server was given no password for it"
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
        if reason == "KEY_VALUES_MISMATCH":
            return (
                f"the key {key} does not belong to the certificate {self._certfile}: put both in place, then send the "
                "signal again"
            )
        both = self._certfile if self._keyfile is None else f"{self._certfile} and {key}"
        return f"{both} can't be loaded as a certificate chain and its key (PEM): {reason}"


class Renewal:
    """The contexts of one worker, each of which is made anew when the files have changed.

    Args:
        log: Gets what was done, and what could not be done.
        paths: The files; none: they are unknown, and each call of `renew` makes the contexts anew.
        check: Called before a context is made anew; raises Unusable.
        without_contexts: What to log of a renewal when no context was noted: they are made in an unknown way. Empty:
            nothing, since the context is made in a moment, of the present files.
    """

    def __init__(
        self,
        log: Any,
        paths: Iterable[StrPath | None] = (),
        check: Callable[[], object] = lambda: None,
        without_contexts: str = "",
    ) -> None:
        self._log = log
        self._paths = [absolute(path) for path in paths if path]
        self._check = check
        self._without_contexts = without_contexts
        self._served = _identities(self._paths)
        self._made: weakref.WeakKeyDictionary[Context, Callable[[], Context]] = weakref.WeakKeyDictionary()

    def noting(self, make: Callable[..., Context]) -> Callable[..., Context]:
        """Wrap the function by which a server makes its contexts; it may give None where no TLS is served."""

        def make_and_note(*arguments: Any) -> Context:
            context = make(*arguments)
            if context is not None:
                self._made[context] = lambda: make(*arguments)
                if self._paths:
                    self.renew()  # for a HUP that came meanwhile
            return context

        return make_and_note

    def renew(self) -> None:
        """After a HUP, have new connections get the certificate that the files hold now. In any thread."""
        present, made = _identities(self._paths), list(self._made.items())
        if self._paths and present == self._served:
            return
        if not made:
            if self._without_contexts:
                self._served = present
                self._log.warning(
                    "confcast: %s",
                    self._without_contexts,
                    extra=about("certificate_not_renewed", reason=self._without_contexts),
                )
            return
        try:
            self._check()
            fresh = [(context, make()) for context, make in made]
        except Exception as error:  # a user's function may raise anything
            why = error if isinstance(error, Unusable) else f"{type(error).__name__}: {error}"
            self._log.error(
                "confcast: the TLS certificate stays as it is: %s",
                why,
                extra=about("certificate_not_renewed", reason=why),
            )
            return
        for context, other in fresh:
            if other is not context:  # a user's function may keep its context, and renew it itself
                context.sni_callback = _handing_over_to(other)
        self._served = present
        self._log.info(
            " ".join(["confcast: new connections get the renewed TLS certificate", *self._paths[:1]]),
            extra=about("certificate_renewed"),
        )


def absolute(path: StrPath) -> str:
    """The absolute path, which a change of the working directory does not affect. It may be a link, to be replaced."""
    return os.fspath(Path(path).absolute())


def _identities(paths: Iterable[str]) -> list[tuple[int, ...]]:
    """The identity, time and size of each file, which differ when a file was changed or replaced."""
    found = [os.stat(path) for path in paths if os.path.exists(path)]  # noqa: PTH110, PTH116 - they are texts here
    return [(each.st_dev, each.st_ino, each.st_mtime_ns, each.st_size) for each in found]


def _handing_over_to(fresh: Context) -> Callable[[Any, Any, Context], int | None]:
    theirs = fresh.sni_callback

    def answer(connection: Any, name: Any, context: Context) -> int | None:  # the name may be None
        connection.context = fresh
        return theirs(connection, name, fresh) if theirs is not None else None

    return answer
