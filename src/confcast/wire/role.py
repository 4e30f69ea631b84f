"""Whether this process is a config owner.

An owner imports the user's schema module, and with it whatever stands at its top level. A module that attaches or
starts a manager there would have the owner wait for itself; it is refused in words instead.
"""

from __future__ import annotations

from confcast.errors import ConfcastError

OWNER = "confcast.owner"
"""What every owner has among its arguments, and `ps` shows; the number of its end of the leash follows."""

_owner = False


def become_owner() -> None:
    """From now on this process is one; called by its main program."""
    global _owner
    _owner = True


def refuse_in_owner(what: str) -> None:
    """Raises ConfcastError when this process is an owner."""
    if _owner:
        raise ConfcastError(
            f"{what} was called in a module imported by the config owner; guard it with if __name__ == '__main__'"
        )
