"""What it costs to carry a configuration exactly; the peer, pydantic's dump and validate, is faster and not exact.

No bar: the peer loses what `config/codec.py` exists to keep. The figures are on record so that a slower codec shows.
"""

from __future__ import annotations

from benchmarks.rows import Row, against_peer
from benchmarks.timing import alternate, statement


def measure(rounds: int) -> list[Row]:
    """Encode and decode one configuration of 13 fields, there and back."""
    from confcast.config.codec import Codec
    from confcast.examples.leindex.schema import MCPConfig

    config, codec = MCPConfig(), Codec(MCPConfig)
    ours, peer = alternate(
        rounds,
        [
            statement("decode(encode(config))", encode=codec.encode, decode=codec.decode, config=config),
            statement("schema.model_validate(config.model_dump())", schema=MCPConfig, config=config),
        ],
    )
    return [against_peer("codec, there and back (µs); peer: model_dump + model_validate", ours / 1000, peer / 1000)]
