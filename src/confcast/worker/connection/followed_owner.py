"""Which owner serves this process: the one that was given to `attach()`, and, after it is gone for good, a next one.

A next owner is on trial until it has sent a version: until then it is sent no requests, and `address` is the former
owner's. The loss of an owner is logged once, and so is the end of the loss: as warnings in a process beside the server,
and as information in one that the master has started, since the master's own log reports the death of its owner.

Rejected: following a next owner as soon as it accepts the connection (another application's owner may have the same
name, and a stopped owner's socket accepts connections, too).
"""

from __future__ import annotations

import logging

from confcast.log_fields import about
from confcast.worker.connection.discovery import OwnerFinder

_log = logging.getLogger("confcast.worker")


class FollowedOwner:
    """The owner of one link. Changed by the link's reading thread only; its properties may be read in any thread."""

    def __init__(self, name: str, given: str) -> None:
        self._name = name
        self._finder = OwnerFinder(name, given)
        self._has_served = False  # until an owner has sent a version, only the given one is tried
        self._is_lost = False
        self.tried = ""  # the address that was connected to last
        self._is_tried = False  # whether that is a next owner's, which has not sent a version yet
        self._remembered = ""
        self._ambiguity = ""  # the text that was logged last

    @property
    def address(self) -> str:
        """The control socket of the owner that serves this process, or did last; "" before one was found by name."""
        return self._finder.address

    @property
    def trouble(self) -> str:
        """Why there is no owner to connect to, in words; "" if there is one."""
        return self._finder.trouble()

    @property
    def on_trial(self) -> bool:
        """Whether the address that was tried last is that of a next owner that has not sent a version yet."""
        return self._is_tried

    @property
    def has_another(self) -> bool:
        """Whether another owner can be tried in the place of the one that was tried last, which refuses."""
        return self._finder.has_another(self.tried)

    def find(self) -> str:
        """The address to connect to; "" for none. Before any owner has served, any owner of the name will do."""
        self.tried = address = self._finder.find()
        if not self._has_served and address != self.address:
            self._finder.move(address)
        self._is_tried = self._has_served and self._finder.is_another(address)
        if self._finder.ambiguity not in ("", self._ambiguity):
            self._ambiguity = self._finder.ambiguity
            _log.log(self._level(), "%s", self._ambiguity, extra=about("several_owners", name=self._name))
        return address

    def received(self) -> None:
        """Remember what the owner that was tried wrote about its server. Called before its message is handled."""
        if self._remembered != self.tried:
            self._remembered = self.tried
            self._finder.remember(self.tried)

    def refused(self) -> None:
        """Never again try the owner that was tried last: it does not serve this process."""
        self._finder.refuse(self.tried)

    def served(self) -> None:
        """Follow the owner that was tried, from now on: it has sent a version."""
        if self.on_trial or not self._has_served:
            self._finder.move(self.tried)
        self._has_served, self._is_tried = True, False
        if self._is_lost:
            self._is_lost = False
            _log.log(
                self._level(),
                "a config owner of %r was found again, at %s",
                self._name,
                self.address,
                extra=about("owner_found", name=self._name, address=self.address),
            )

    def is_missing(self) -> None:
        """Note that no owner has answered, which the caller has logged: only the next owner's answer is logged here."""
        self._is_lost = True

    def lost(self, version: int) -> None:
        """Log once that the owner is lost. Does nothing before an owner has served this process."""
        if not self._has_served or self._is_lost:
            return
        self._is_lost = True
        self._ambiguity = ""
        text = "the config owner of %r at %s is gone: this process goes on with version %d, and looks for the next one"
        _log.log(
            self._level(),
            text,
            self._name,
            self.address,
            version,
            extra=about("owner_lost", name=self._name, address=self.address, version=version),
        )

    def _level(self) -> int:
        return logging.WARNING if self._finder.beside else logging.INFO
