"""Two keys of one table that set one field, in one source: nobody can say which was meant.

In two sources they are no mistake: the higher one counts, as always (merge.py). So each layer is looked at for itself,
also where a higher one replaces both. One case is left: an `AliasPath` that comes before the key that a higher source
has, and leads into a list or a table that other fields read, too. There the lower source would win.
"""

from __future__ import annotations

from collections.abc import Iterator

from confcast.config.merge import Merged
from confcast.config.spelling import PLAIN
from confcast.config.validation.findings import Finding, dotted


def check(merged: Merged) -> Iterator[Finding]:
    """Every key that sets what another key of the same layer sets, with the positions of both."""
    for layer in merged.layers if merged.spelling is not PLAIN else ():
        for first, second in merged.spelling.doubled(layer.data, merged.data):
            message = f"sets the same as {dotted(first[-1:])!r} ({layer.where(first, key=True)}): remove one of them"
            yield Finding(second, message, about="key", location=layer.where(second, key=True))
    for path, low, own, high in merged.preferred:
        message = f"sets the same as {dotted(path)!r} ({low.where(merged.in_layer(low, path))}), which comes first"
        own = merged.in_layer(high, own)
        yield Finding(own, f"{message}: remove one of them", about="key", location=high.where(own, key=True))
