"""How many files a server may have open: the kernel's bound is raised as far as this user may."""

from __future__ import annotations

import resource


def room_for(wanted: int) -> int:
    """Let this process open so many files, if the kernel allows it. Returns how many it may open, at most `wanted`."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    possible = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft < possible:
        resource.setrlimit(resource.RLIMIT_NOFILE, (possible, hard))
        soft = possible
    return min(soft, wanted)
