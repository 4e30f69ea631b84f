"""Whatever a server does in whatever order: what a load gives, and what a fingerprint says, against a plain model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from confcast import ConfigError, Http
from confcast.config.sources import last_known, polled
from tests.support.config_server import ConfigServer, Handler, config_server, says

ALWAYS_DUE = 1e-9
NO_ANSWER = {
    "503": says(503),
    "cut": says(200, b"number", length=100),
    "closed": lambda request: request.connection.shutdown(2),
}
FAULTS = {
    "404": says(404),
    "page": says(200, b"<h1>", Content_Type="text/html"),
    "broken": says(200, b"number ="),
    "304": says(304, length=-1),
    "elsewhere": says(302, Location="http://elsewhere.example/"),
}
STATES = st.sampled_from([*NO_ANSWER, *FAULTS, 1, 2, 3])
STEPS = st.lists(
    st.one_of(STATES, st.sampled_from(["load", "poll", "poll", "another process"])), min_size=4, max_size=25
)


def document(number: int) -> Callable[[Handler], None]:
    """Has a tag, and answers whoever names it with 304, under a weaker one."""

    def script(request: Handler) -> None:
        if request.headers.get("If-None-Match") == f'W/"{number}"':
            request.give(304, length=-1, ETag=f'"{number}"')
        else:
            request.give(200, f"number = {number}".encode(), ETag=f'W/"{number}"')

    return script


class Model:
    """What a source has to know.

    Attributes:
        state: What the server does.
        now: What was found last: a document's number, a fault, or that there was no answer.
        known: The last document in memory; None if there is none.
        kept: The last document on disk.
    """

    def __init__(self) -> None:
        self.state: str | int = 1
        self.now: str | int | None = None
        self.known: int | None = None
        self.kept: int | None = None
        self._fingerprints: dict[str | int | None, bytes] = {}

    def asked(self, *, whole: bool) -> None:
        state = self.state
        if state == "304" and not whole and self.known is not None:
            state = self.known
        if isinstance(state, int):
            self.known = self.kept = state
        if state in NO_ANSWER:
            self.known = self.known or self.kept
            state = self.known or "no answer"
        self.now = state

    def agrees(self, source: Http) -> None:
        """One fingerprint for each thing that may be found, and no two have the same."""
        found = source.content_fingerprint()
        assert self._fingerprints.setdefault(self.now, found) == found
        assert len(set(self._fingerprints.values())) == len(self._fingerprints)


@pytest.fixture(scope="module")
def server() -> Iterator[ConfigServer]:
    with config_server() as found:
        yield found


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_a_load_gives_what_is_there_or_what_was_last(
    steps: list[str | int], server: ConfigServer, tmp_path: Path
) -> None:
    for each in tmp_path.iterdir():
        each.unlink()
    polled._records.clear()
    last_known.keep_in(tmp_path)
    source, model = Http(server.url(), every=ALWAYS_DUE), Model()
    server.script = document(1)
    for step in steps:
        if step == "load":
            model.asked(whole=True)
            if isinstance(model.now, int):
                assert source.read().data == {"number": model.now}
            else:
                with pytest.raises(ConfigError):
                    source.read()
        elif step == "poll":
            model.asked(whole=False)
            source.poll()
        elif step == "another process":
            polled._records.clear()
            model.known = None
            continue
        else:
            model.state = step
            server.script = document(step) if isinstance(step, int) else {**NO_ANSWER, **FAULTS}[step]
            continue
        model.agrees(source)
        assert bool(source.stale()) == (model.state in NO_ANSWER and isinstance(model.now, int))
    last_known.keep_in(None)
