"""Whether a journal's roster may lack living workers, as that of a journal that was lost and made anew does.

So may that of a `confcast serve` which takes the place of one that was killed, until workers have had time to connect.

Its owner commits nothing until each living worker has connected, or is written there again. If it dies before, the next
owner finds a journal with a version, and must gather, too: else it would answer a success while workers of which it has
not heard yet serve the version before. The mark is written before the version.

It is a row of the roster for pid 0, which no process has: an owner of an earlier release takes it for somebody who has
died. Rejected: a file beside the journal (journals move, and are deleted, as a whole).
"""

from __future__ import annotations

from confcast.owner.store.journal import Journal

_NOBODY = 0


def mark(journal: Journal, *, whole: bool) -> None:
    """Write that the roster may lack somebody, or that it lacks nobody. Raises JournalError."""
    if whole:
        journal.remove_member(_NOBODY)
    else:
        journal.add_member(_NOBODY, 0)


def is_whole(journal: Journal) -> bool:
    """Whether nothing says that somebody may be missing. Raises JournalError."""
    return all(pid != _NOBODY for pid, _ in journal.roster())


def members(journal: Journal) -> list[tuple[int, int]]:
    """The processes on the roster, as `Journal.roster` gives them. Raises JournalError."""
    return [each for each in journal.roster() if each[0] != _NOBODY]
