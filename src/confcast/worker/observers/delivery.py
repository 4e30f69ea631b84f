"""Wrappers for the configurations that an observer is called with: a frame that holds one shows no configuration.

While an application's function runs, the frames below its own are confcast's, and error trackers send the local
variables of each (`tracebacks.py`). So the calling code holds a `Pair` or a `Delivery`, whose repr shows nothing, and
passes the configurations on without a variable of their own.

Rejected: plain arguments, emptied before the call (a variable that is added later would show the configuration).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

Masked: TypeAlias = Callable[..., str]
"""Called with a text, a text to return if secrets can't be found, and configurations whose secrets it masks."""


class Pair:
    """A former configuration (None if there was none) and the newest one, or the same part of both."""

    __slots__ = ("new", "old")

    def __init__(self, old: Any, new: Any) -> None:
        self.old = old
        self.new = new

    def narrowed(self, select: Callable[[Any], Any] | None) -> Pair:
        """The pair of the parts that `select` picks. Raises what `select` raises."""
        if select is None:
            return self
        return Pair(None if self.old is None else select(self.old), select(self.new))

    def call(self, function: Callable[[Any, Any], Any]) -> Any:
        """Call a function with both configurations. Returns what it returns, and raises what it raises."""
        return function(self.old, self.new)


class Delivery:
    """One call of an observer: its arguments, and the callbacks for its outcome.

    Args:
        whole: The whole configurations, whose secrets no text of the outcome may show.
        failed: Called with a text for each failure.
        over: Called when the observer has run, has failed, or need not be called. May be called again.
    """

    __slots__ = ("_parts", "_whole", "failed", "over")

    def __init__(self, whole: Pair, failed: Callable[[str], None], over: Callable[[], None]) -> None:
        self._whole = self._parts = whole
        self.failed = failed
        self.over = over

    def concerns(self, select: Callable[[Any], Any] | None, same: Callable[[Any, Any], bool]) -> bool:
        """Narrow the arguments to the selected part. Returns whether that part has changed; True for the first value.

        Raises what `select` raises, and what `==` of an application's own class raises.
        """
        self._parts = self._whole.narrowed(select)
        return select is None or self._whole.old is None or not self._parts.call(same)

    def call(self, observer: Callable[[Any, Any], Any]) -> Any:
        """Call the observer in this thread. Returns what it returns, and raises what it raises."""
        return self._parts.call(observer)

    def masked(self, mask: Masked, text: str, instead: str) -> str:
        """The text with the secrets of the whole configurations masked; `instead` if secrets can't be found."""
        return mask(text, instead, self._whole.old, self._whole.new)
