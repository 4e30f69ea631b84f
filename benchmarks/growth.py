"""How each step of a load grows: 0.3 KB, 9 KB, 93 KB and 950 KB of backends with five fields, in YAML, TOML and JSON.

Every row has its time at one size beside a peer that does the same part of the work and is not ours: the format's own
parser, pydantic, pickle. The last rows say whether a step is linear: one document of 950 KB beside ten of 95 KB, all
ten in turn, so that both need as much memory. (Beside one of 95 KB, which a processor's cache holds, pydantic and
pickle take twenty times as long for ten times the size, and so do we.) The peers' own growth is shown, too.

The garbage collector is off, as it is in a load. What is measured is the CPU time of one thread: nothing here waits for
anything, and the machine is shared.
"""

from __future__ import annotations

import gc
import json
import pickle
import tomllib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from time import thread_time_ns
from typing import Any, NamedTuple

from benchmarks.backends import COUNTS, Settings, json_text, toml_text, values, with_port, yaml_text
from benchmarks.rows import Row, against_peer
from benchmarks.timing import Sample, alternate

MOST_GROWTH = 1.2
"""The time of one document through that of ten of a tenth."""

MOST_ROUNDS = 3  # the large documents take seconds each

_LEAST = 5_000_000  # nanoseconds of one sample


class Step(NamedTuple):
    """One step, ready to run at one size.

    Attributes:
        name: What it does, and who the peer is.
        ours: Does it.
        peer: Does what is comparable in another's code.
    """

    name: str
    ours: Callable[[], object]
    peer: Callable[[], object]


def measure(rounds: int) -> list[Row]:
    """Each step at each size, and whether it is linear."""
    rounds = min(rounds, MOST_ROUNDS)
    sizes = [row for count in COUNTS for row in _at_size(count, rounds)]
    return sizes + _growth(rounds)


def _at_size(count: int, rounds: int) -> list[Row]:
    data = values(count)
    steps = list(_steps(data))
    found = times(rounds, [run for step in steps for run in (step.ours, step.peer)])
    size = f"{len(yaml_text(data)) / 1000:.1f} KB of YAML (ms)"
    return [
        against_peer(f"{step.name}; {size}", ours, peer)
        for step, ours, peer in zip(steps, found[::2], found[1::2], strict=True)
    ]


def _growth(rounds: int) -> list[Row]:
    """One document against ten of a tenth."""
    one, ten = [*_steps(values(COUNTS[-1]))], [[*_steps(values(COUNTS[-1] // 10, n))] for n in range(10)]
    rows = []
    for step, parts in zip(one, zip(*ten, strict=True), strict=True):
        runs = [step.ours, _each(part.ours for part in parts), step.peer, _each(part.peer for part in parts)]
        ours, tenths, peer, peers_tenths = times(rounds, runs)
        name, _, peers_name = step.name.partition("; peer: ")
        rows.append(against_peer(f"{name}, ten times the size (ms); peer: ten documents", ours, tenths, MOST_GROWTH))
        rows.append(against_peer(f"{name}: {peers_name} itself (ms); peer: ten documents", peer, peers_tenths))
    return rows


def _each(runs: Iterable[Callable[[], object]]) -> Callable[[], object]:
    known = [*runs]

    def run() -> None:
        for each in known:
            each()

    return run


def times(rounds: int, runs: list[Callable[[], object]]) -> list[float]:
    """Milliseconds of the processor's time that each of these takes, in turns, as in a load."""
    with _collector_off():
        return alternate(rounds, [_sample(run) for run in runs])


def _steps(data: dict[str, Any]) -> Iterator[Step]:
    yield from _parsing(data)
    yield from _building(data)


def _parsing(data: dict[str, Any]) -> Iterator[Step]:
    import yaml as pyyaml

    from confcast.config.sources.formats import json as json_format
    from confcast.config.sources.formats import toml, yaml

    plain_yaml, plain_toml, in_json = yaml_text(data), toml_text(data), json_text(data)
    any_yaml, any_toml = f"{plain_yaml}when: 2024-01-02\n", f"when = 2024-01-02\n{plain_toml}"
    libyaml: Callable[[], object] = lambda: pyyaml.load(any_yaml, pyyaml.CSafeLoader)  # noqa: E731
    yield Step("YAML, plain; peer: CSafeLoader", lambda: yaml.parse(plain_yaml), libyaml)
    yield Step("YAML, any; peer: CSafeLoader", lambda: yaml.parse(any_yaml), libyaml)
    yield Step("positions in YAML; peer: CSafeLoader", lambda: yaml.locate(any_yaml), libyaml)
    yield Step("TOML, plain; peer: tomllib", lambda: toml.parse(plain_toml), lambda: tomllib.loads(any_toml))
    yield Step("TOML, any; peer: tomllib", lambda: toml.parse(any_toml), lambda: tomllib.loads(any_toml))
    yield Step("positions in TOML; peer: tomllib", lambda: toml.locate(any_toml), lambda: tomllib.loads(any_toml))
    yield Step("JSON; peer: json.loads", lambda: json_format.parse(in_json), lambda: json.loads(in_json))
    yield Step("positions in JSON; peer: json.loads", lambda: json_format.locate(in_json), lambda: json.loads(in_json))


def _building(data: dict[str, Any]) -> Iterator[Step]:
    from confcast.config.codec import Codec
    from confcast.config.diff import differences
    from confcast.config.schema.spelling import spelling_of
    from confcast.config.sources.layer import Layer
    from confcast.config.sources.merge import Merged
    from confcast.config.validation import infinite, strictness
    from confcast.config.validation.leftovers import Leftovers

    codec, validate = Codec(Settings), Settings.model_validate
    middle = [*data["backends"]][len(data["backends"]) // 2]
    old, new = validate(data), validate(with_port(data, 1))
    payload, pickled = codec.encode(old), pickle.dumps(old, 5)
    layers = [Layer("low", data, b"low"), Layer("high", {"backends": {middle: {"port": 1}}}, b"high")]
    merged = Merged(layers, spelling_of(Settings))
    both: Callable[[], object] = lambda: validate(data)  # noqa: E731
    yield Step("merge; peer: pydantic", lambda: Merged(layers, spelling_of(Settings)), both)
    yield Step("placeholders; peer: pydantic", lambda: [*Leftovers().warnings(Settings, merged)], both)
    yield Step("strictness; peer: pydantic", lambda: strictness.check(Settings, data), both)
    yield Step("infinite numbers; peer: pydantic", lambda: [*infinite.check(Settings, data)], both)
    yield Step("encode; peer: pickle 5", lambda: codec.encode(old), lambda: pickle.dumps(old, 5))
    yield Step("decode; peer: pickle 5", lambda: codec.decode(payload), lambda: pickle.loads(pickled))
    yield Step("diff, one leaf; peer: encode", lambda: differences(codec, old, new), lambda: codec.encode(old))


def _sample(run: Callable[[], object]) -> Sample:
    """Milliseconds of one call, of as many as it takes to be worth a look at the clock."""
    began = thread_time_ns()
    run()
    loops = max(1, _LEAST // max(1, thread_time_ns() - began))

    def sample() -> float:
        began = thread_time_ns()
        for _ in range(loops):
            run()
        return (thread_time_ns() - began) / loops / 1e6

    return sample


@contextmanager
def _collector_off() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
