"""What it costs to carry a configuration exactly: encode and decode, for 1, 100 and 1,000 models.

Two peers, neither of which would do: pydantic's dump and validate loses what `config/codec.py` exists to keep, and
pickle runs whatever the bytes say. So there is no bar; the figures are on record so that a slower codec shows.
"""

from __future__ import annotations

import pickle

from pydantic import BaseModel

from benchmarks.rows import Row, against_peer
from benchmarks.timing import alternate, statement

COUNTS = (1, 100, 1000)


class Backend(BaseModel, frozen=True):
    """One model of many: what a list in a configuration typically holds."""

    host: str
    port: int = 8080
    weight: float = 1.0
    enabled: bool = True
    tags: tuple[str, ...] = ()


class Backends(BaseModel, frozen=True):
    """The schema: nothing but models."""

    backends: list[Backend]


def measure(rounds: int) -> list[Row]:
    """There and back, by ours, by pydantic and by pickle."""
    return [row for count in COUNTS for row in _rows(count, rounds)]


def _rows(count: int, rounds: int) -> list[Row]:
    from confcast.config.codec import Codec

    codec = Codec(Backends)
    config = Backends(backends=[Backend(host=f"10.0.{n // 256}.{n % 256}", tags=("a", "b")) for n in range(count)])
    ours, validated, pickled = alternate(
        rounds,
        [
            statement("decode(encode(config))", encode=codec.encode, decode=codec.decode, config=config),
            statement("schema.model_validate(config.model_dump())", schema=Backends, config=config),
            statement("loads(dumps(config, 5))", loads=pickle.loads, dumps=pickle.dumps, config=config),
        ],
    )
    models = f"codec, {count} model{'s' if count > 1 else ''} (µs)"
    return [
        against_peer(f"{models}; peer: model_dump + model_validate", ours / 1000, validated / 1000),
        against_peer(f"{models}; peer: pickle 5", ours / 1000, pickled / 1000),
    ]
