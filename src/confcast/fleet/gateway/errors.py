"""Why a gateway does not start."""

from __future__ import annotations

from confcast.errors import ConfcastError


class CanNotStart(ConfcastError):
    """A gateway can't be started like this: the text names the option, and says what is expected."""


class DoorError(CanNotStart):
    """The gateway can't listen like this: a file, or the address, is not as it has to be."""


class StateFolderError(CanNotStart):
    """The folder for a gateway's copy can't be used."""
