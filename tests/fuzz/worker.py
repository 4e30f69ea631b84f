"""Runs one target under atheris, in a process of its own: `python -m tests.fuzz.worker TARGET FOLDER FLAG…`.

FOLDER gets a file for each input that led somewhere new; `TARGET.stats.json` beside it the slowest input so far. The
flags are libFuzzer's, -artifact_prefix= among them: there stands the input of the first finding, at which it ends with
a status that is not 0.
"""

from __future__ import annotations

import hashlib
import json
import random
import sys
from pathlib import Path

import atheris  # scripts/fuzz installs it

from tests.fuzz import bounds, mutators

INSTRUMENTED = ["confcast", "tests.fuzz.targets", "configparser", "tomllib", "dotenv", "http.client", "nats"]
"""The modules by whose branches inputs are told apart; libraries of C have none that could be seen."""

_SIZES = (1, 1, 2, 3, 4, 5, 8, 12, 20, 40)
"""Bytes of a part that is repeated (`bounds.grown`)."""


def main(name: str, folder: Path, flags: list[str]) -> None:
    """Run until libFuzzer ends the process."""
    stats, slowest = folder.parent / f"{name}.stats.json", 0.0
    prefix = next(Path(flag.partition("=")[2]) for flag in flags if flag.startswith("-artifact_prefix="))

    def one(data: bytes) -> None:
        nonlocal slowest
        try:
            took = bounds.run(target, data)
        except BaseException:  # libFuzzer writes it at the process's end, which not every error leaves time for
            prefix.with_name(f"{prefix.name}crash-{hashlib.sha1(data).hexdigest()}").write_bytes(data)
            raise
        if took > slowest * 1.1:
            slowest = took
            stats.write_text(json.dumps({"seconds": took, "bytes": len(data)}), encoding="utf-8")

    with atheris.instrument_imports(include=INSTRUMENTED):
        target = bounds.load(name)
        for number, data in enumerate(getattr(target, "seeds", tuple)()):
            (folder / f"seed-{number}").write_bytes(data)
        for _, data in bounds.inputs(name):
            target.one(bounds.grown(data))  # the first ones import what they need, which is not their time
        arguments = [sys.argv[0], str(folder), str(bounds.CORPUS / name), *flags]
        atheris.Setup(
            arguments, one, custom_mutator=_mutator(getattr(target, "FORM", ""), getattr(target, "GROWS", False))
        )
        atheris.Fuzz()


def _mutator(form: str, grows: bool):
    if not form and not grows:
        return None
    change = mutators.of(form) if form else None

    def mutate(data: bytes, longest: int, seed: int) -> bytes:
        chance = random.Random(seed)
        if grows and chance.random() < 0.03:
            text = bounds.without_growth(data)
            return bounds.with_growth(text, chance.randrange(len(text) + 1), chance.choice(_SIZES))[:longest]
        for _ in range(chance.randrange(1, 4)):
            changed = change(data, chance) if change is not None and chance.random() < 0.7 else None
            data = changed if changed is not None else atheris.Mutate(data, longest)
        return data[:longest]

    return mutate


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3:])
