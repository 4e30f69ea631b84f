"""The secrets that sign what webhooks are sent: read out of a text, or a file, and checked.

Guaranteed: no error shows anything of a secret, nor of what stands in its place. Imported by who has a webhook only.
"""

from __future__ import annotations

import base64
import binascii
import os
import stat

_LEAST_KEY, _LONGEST_KEY = 24, 64
_MOST_SECRETS = 4
_LARGEST_FILE = 4096
_PREFIX = "whsec_"
EXPECTED = f"'{_PREFIX}' and {_LEAST_KEY} to {_LONGEST_KEY} random bytes in base64 are expected"
"""What a secret is, as the end of a sentence."""


def of_text(text: str, where: str) -> list[str]:
    """The secrets in a text, one on each line. Raises ValueError, which begins with `where` and shows nothing else."""
    found = [line.strip() for line in text.splitlines() if line.strip()]
    if not found:
        raise ValueError(f"{where}: it is empty; {EXPECTED}")
    if len(found) > _MOST_SECRETS:
        raise ValueError(f"{where}: at most {_MOST_SECRETS} secrets are expected, one on each line")
    if not all(map(_is_secret, found)):
        raise ValueError(f"{where}: {EXPECTED}, on each line")
    return found


def _is_secret(text: str) -> bool:
    """Strict, since the library that signs skips what is no base64, and signs with what is left."""
    encoded = text.removeprefix(_PREFIX).rstrip("=")
    try:
        key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, ValueError):
        return False
    return _LEAST_KEY <= len(key) <= _LONGEST_KEY


def of_file(path: str) -> list[str]:
    """The secrets in a file. Raises ValueError, which begins with the path and shows nothing of the content."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):  # a pipe or a device would hang, or never end
                raise ValueError(f"{path}: it is no regular file")
            text = os.read(descriptor, _LARGEST_FILE).decode("ascii")
        finally:
            os.close(descriptor)
    except OSError as error:
        raise ValueError(f"{path}: it can't be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError(f"{path}: {EXPECTED}") from None
    return of_text(text, path)
