"""What systemd is told of a service, as sd_notify(3) has it: messages as bytes, and the socket that they are sent to.

A message is one datagram of lines `NAME=value`. The makers of messages are pure. Guarantees: a text from a file or an
error makes no second line, no message is larger than systemd reads, and every text is valid UTF-8, without which
systemd ignores the message. A socket that takes nothing holds nobody up for longer than `SEND_WITHIN`, and that systemd
can't be told is logged. No program that this process starts gets the variables, and with them the right to speak.

Rejected: libsystemd by ctypes (not everywhere; the protocol is a datagram), packages that send and swallow every error,
and a socket that stays open (systemd may be another one after its own restart).
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import MutableMapping

from confcast.log_fields import about
from confcast.texts import printable

_log = logging.getLogger("confcast.serve")

WATCHDOG = b"WATCHDOG=1"
SEND_WITHIN = 2.0
"""Seconds that a full socket is waited for."""

_MOST_BYTES = 1024
"""Bytes of a text: `systemctl status` shows it on one line. A whole message must be shorter than 4,096."""
_LONGEST_ADDRESS = 107

# ---- messages


def ready(status: str, main_pid: int) -> bytes:
    """The service serves, for the first time or after a reload, whatever became of it. `main_pid`: its main process."""
    return _message("READY=1", f"MAINPID={main_pid}", status=status)


def reloading(monotonic_usec: int, status: str) -> bytes:
    """A reload has begun at this time of CLOCK_MONOTONIC: in one datagram, since systemd waits for both together."""
    return _message("RELOADING=1", f"MONOTONIC_USEC={monotonic_usec}", status=status)


def status(text: str) -> bytes:
    """What the service is at, for `systemctl status`."""
    return _message(status=text)


def stopping(text: str) -> bytes:
    """The service is ending."""
    return _message("STOPPING=1", status=text)


def main_pid(pid: int, text: str) -> bytes:
    """The service goes on in this process, which tells from now on."""
    return _message(f"MAINPID={pid}", status=text)


def extend(seconds: float) -> bytes:
    """The start takes longer: do not give it up within these seconds from now."""
    return _message(f"EXTEND_TIMEOUT_USEC={int(seconds * 1_000_000)}")


def _message(*lines: str, status: str = "") -> bytes:
    return "\n".join([*lines, *([f"STATUS={_one_line(status)}"] if status else [])]).encode()


def _one_line(text: str) -> str:
    """This text on one line, cut to what is shown; between two characters, not within one."""
    body = printable("; ".join(filter(None, map(str.strip, text.splitlines())))).encode()
    if len(body) <= _MOST_BYTES:
        return body.decode()
    return body[: _MOST_BYTES - 3].decode(errors="ignore") + "..."


# ---- to whom


class Notifier:
    """Sends messages to one address. From any thread.

    Args:
        address: A path, or a name of the abstract namespace that begins with `@`.

    Raises:
        ValueError: The address is none of these, or too long.
    """

    def __init__(self, address: str) -> None:
        if not address.startswith(("/", "@")) or len(address) < 2:
            raise ValueError(f"NOTIFY_SOCKET={printable(address)} is neither a path nor @NAME")
        if len(os.fsencode(address)) > _LONGEST_ADDRESS:
            raise ValueError(f"NOTIFY_SOCKET={printable(address)} is longer than a socket's address can be")
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self._has_failed = False

    def send(self, message: bytes) -> bool:
        """Send one message. Returns whether the socket has taken it; that it has not is logged once."""
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
                sender.settimeout(SEND_WITHIN)
                sender.connect(self._address)
                sender.sendall(message)
        except OSError as error:
            if not self._has_failed:
                fields = about("systemd_not_told", error=error)
                _log.warning("systemd can't be told what this service does: %s", error, extra=fields)
            self._has_failed = True
            return False
        self._has_failed = False
        return True


def take_notifier(environment: MutableMapping[str, str]) -> Notifier | None:
    """The notifier that the environment names, if it does; the variable is removed, so that no other program has it."""
    address = environment.pop("NOTIFY_SOCKET", "")
    if not address:
        return None
    try:
        return Notifier(address)
    except ValueError as error:
        fields = about("systemd_not_told", error=error)
        _log.warning("systemd can't be told what this service does: %s", error, extra=fields)
        return None


def take_watchdog(environment: MutableMapping[str, str]) -> float:
    """Seconds within which systemd wants WATCHDOG of this process; 0.0: it does not. The variables are removed."""
    text, pid = environment.pop("WATCHDOG_USEC", ""), environment.pop("WATCHDOG_PID", "")
    if not text or (pid and pid != str(os.getpid())):
        return 0.0
    if not (text.isascii() and text.isdecimal() and int(text) > 0):
        words = "WATCHDOG_USEC=%s is no number of microseconds: systemd's watchdog is not served"
        _log.warning(words, text, extra=about("watchdog_not_served", value=text))
        return 0.0
    return int(text) / 1_000_000
