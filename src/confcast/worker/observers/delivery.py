"""What an observer is to be told, in an envelope: a frame that holds it shows no configuration.

While an application's function runs, the frames below its own are ours, and error trackers send the local variables of
each (`tracebacks.py`). So what calls it holds a `Pair` or a `Delivery`, whose repr shows nothing, and hands the
configurations over without a variable of their own.

Rejected: plain arguments, emptied before the call (whoever adds a variable later adds a leak).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

Masked: TypeAlias = Callable[..., str]
"""Called with a text, what to say instead, and configurations whose secrets it must not show."""


class Pair:
    """Two configurations, or the same part of both. `old` is None where there was none before.

    Attributes:
        old: The one before.
        new: The one that is newest.
    """

    __slots__ = ("new", "old")

    def __init__(self, old: Any, new: Any) -> None:
        self.old = old
        self.new = new

    def narrowed(self, select: Callable[[Any], Any] | None) -> Pair:
        """The parts that `select` picks. Raises what it raises."""
        if select is None:
            return self
        return Pair(None if self.old is None else select(self.old), select(self.new))

    def tell(self, function: Callable[[Any, Any], Any]) -> Any:
        """Call it with both. Gives what it gives, and raises what it raises."""
        return function(self.old, self.new)

    def is_same(self, same: Callable[[Any, Any], bool]) -> bool:
        """Whether both are the same. Raises what `==` of an application's own class raises."""
        return same(self.old, self.new)


class Delivery:
    """One observer's call: what it is told, and who wants to know what came of it.

    Args:
        whole: The whole configurations, whose secrets no text of it may show.
        failed: Called with a text for each failure.
        over: Called when the observer has run, has failed, or need not be called. May be called again.
    """

    __slots__ = ("_parts", "_whole", "failed", "over")

    def __init__(self, whole: Pair, failed: Callable[[str], None], over: Callable[[], None]) -> None:
        self._whole = self._parts = whole
        self.failed = failed
        self.over = over

    def concerns(self, select: Callable[[Any], Any] | None, same: Callable[[Any, Any], bool]) -> bool:
        """Narrow it to what the observer selected; whether that part has changed. The first value always has.

        Raises:
            Exception: What `select`, or `==` of an application's own class, raises.
        """
        self._parts = self._whole.narrowed(select)
        return select is None or self._whole.old is None or not self._parts.is_same(same)

    def tell(self, observer: Callable[[Any, Any], Any]) -> Any:
        """Call it here. Gives what it gives, and raises what it raises."""
        return self._parts.tell(observer)

    def masked(self, mask: Masked, text: str, instead: str) -> str:
        """The text without the secrets of the whole configurations; `instead` where they can't be found."""
        return mask(text, instead, self._whole.old, self._whole.new)
