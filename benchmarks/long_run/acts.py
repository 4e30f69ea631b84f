"""What is done to a server in a long run, each act as often as its share says.

Each act looks at its outcome: a run whose reloads are refused by mistake would leave nothing behind. The watcher may
load an edit before the call that was to try it does; that act then was a plain reload, and is counted as such.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator

from benchmarks.long_run.requests import Requests
from benchmarks.long_run.site import Site
from confcast import Canary, ConfcastError, ReloadEvent
from tests.support.waiting import eventually

SHARES = {
    "changed": 820,
    "invalid": 30,
    "vetoed": 15,
    "checked": 20,
    "set": 20,
    "asked": 20,
    "hup": 10,
    "published": 5,
    "edited": 5,
    "confirmed": 6,
    "expired": 2,
    "rolled_back": 5,
    "promoted": 6,
    "taken_back": 5,
    "tried": 1,
    "scraped": 10,
    "asked_admin": 20,
}
"""Of a thousand acts, how many are of which kind."""
REQUESTS = 2
"""For each act."""

_MOST_OTHERS = 20
_BAD = ("serial = 1\n[[[", 'serial = "none"\n', "", "veto = true\n", "serial = 0\n[pool]\nsize = 1\npassword = 'x'\n")
_TRIALS = (
    Canary("50%", seconds=60.0, by="entity", min_requests=0),
    Canary(1, seconds=60.0, min_requests=0),
)
_SHORT = Canary(1, seconds=0.1, min_requests=0)
_PAGES = ("/", "/v1/status", "/v1/history", "/v1/versions", "/v1/workers", "/v1/config")


class Acts:
    """Does what a plan says, one act after the other.

    Args:
        site: To whom.
        requests: Go on meanwhile.

    Attributes:
        results: How often an act's outcome was which, by the act and the result.
        others: The outcomes that were none of an act's own, in words.
    """

    def __init__(self, site: Site, requests: Requests) -> None:
        self._site, self._requests, self._client = site, requests, site.client
        self._turn = self._count = 0
        self.results: Counter[str] = Counter()
        self.others = list[str]()

    def do(self, act: str) -> None:
        """Another outcome than its own is noted, and the run goes on. Raises AssertionError when there are many."""
        self._requests.wish(REQUESTS)
        self._turn += 1
        try:
            getattr(self, f"_{act}")()
        except (AssertionError, ConfcastError, OSError) as error:
            self.others.append(f"{act}: {type(error).__name__}: {error}")
            assert len(self.others) <= _MOST_OTHERS, "\n".join(self.others)
            self._mend()

    def _mend(self) -> None:
        """Whatever was under way: nothing is held or set."""
        self._site.write()
        self._client.resume()
        self._client.unset(["tuned"])

    def _note(self, act: str, event: ReloadEvent, *wanted: str) -> ReloadEvent:
        assert event.result in wanted, f"{act}: {' or '.join(wanted)} was expected, and not {event}"
        self.results[f"{act}: {event.result}"] += 1
        return event

    def _reload(self, act: str = "changed") -> None:
        """`partial` where a worker has just left."""
        self._note(act, self._client.reload(), "success", "unchanged", "partial")

    # ---- changes

    def _changed(self) -> None:
        self._site.write()
        self._reload()

    def _invalid(self) -> None:
        self._site.write(_BAD[self._turn % len(_BAD)] or "\n")
        self._note("invalid", self._client.reload(), "validation_failed")
        self._changed()

    def _vetoed(self) -> None:
        self._site.write(veto=True)
        self._note("vetoed", self._client.reload(), "rejected")
        self._changed()

    def _checked(self) -> None:
        self._note("checked", self._client.check(values={"tuned": self._turn}), "success", "partial")
        self._note("checked", self._client.check(values={"veto": True}), "rejected")

    def _set(self) -> None:
        self._note("set", self._client.set({"tuned": self._turn}), "success", "partial")
        self._changed()
        self._note("set", self._client.unset(["tuned"]), "success", "partial")

    def _hup(self) -> None:
        self._await_change(self._site.write, self._site.hup)

    def _edited(self) -> None:
        """The watcher alone sees it."""
        self._await_change(self._site.write)

    def _published(self) -> None:
        self._count += 1
        self._await_change(lambda: self._site.publish(self._count))

    def _await_change(self, *acts: Callable[[], None]) -> None:
        before = self._client.status().version
        for act in acts:
            act()
        eventually(lambda: self._client.status().version > before, "a version more")

    # ---- what may be taken back

    def _confirmed(self) -> None:
        self._site.write()
        self._client.reload(confirm_within=60.0)
        if self._client.status().provisional == "confirm":
            self._note("confirmed", self._client.confirm(), "success")

    def _expired(self) -> None:
        self._site.write()
        event = self._client.reload(confirm_within=0.2)
        if event.confirm_by is not None:
            self._note("expired", self._client.wait(timeout=30.0), "undone", "success")
        self._changed()

    def _rolled_back(self) -> None:
        self._changed()
        self._note("rolled_back", self._client.rollback(), "success", "partial")
        self._site.write()
        self._note("rolled_back", self._client.reload(), "held")
        self._note("rolled_back", self._client.resume(), "success", "partial")

    def _on_trial(self, canary: Canary) -> bool:
        self._site.write()
        event = self._client.reload(canary=canary)
        return self._note("on trial", event, "on_trial", "success", "unchanged", "partial").result == "on_trial"

    def _promoted(self) -> None:
        if self._on_trial(_TRIALS[self._turn % 2]):
            self._note("promoted", self._client.confirm(), "success", "partial")

    def _taken_back(self) -> None:
        if self._on_trial(_TRIALS[self._turn % 2]):
            self._note("taken_back", self._client.rollback(), "success")
            self._site.write()
            self._note("taken_back", self._client.resume(), "success", "partial")

    def _tried(self) -> None:
        if self._on_trial(_SHORT):
            self._note("tried", self._client.wait(timeout=30.0), "success", "partial", "undone")

    # ---- questions

    def _asked(self) -> None:
        client = self._client
        ways: list[Callable[[], object]] = [
            client.status,
            client.versions,
            client.get_event_history,
            client.get_stats,
            client.workers,
            lambda: client.explain("serial"),
            client.diff,
        ]
        ways[self._turn % len(ways)]()

    def _asked_admin(self) -> None:
        self._site.ask_admin(_PAGES[self._turn % len(_PAGES)])

    def _scraped(self) -> None:
        self._site.scrape()


def plan(seed: int) -> Iterator[str]:
    """Acts without end, in an order that the seed says; each thousand has each as often as its share says."""
    chance = random.Random(seed)
    thousand = [act for act, share in SHARES.items() for _ in range(share)]
    while True:
        chance.shuffle(thousand)
        yield from thousand
