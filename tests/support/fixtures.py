"""What the fixtures of the tests with real processes give, as types."""

from __future__ import annotations

from collections.abc import Callable

from confcast.master.embedded import EmbeddedManager
from tests.support.settings import Settings
from tests.support.workers import Worker

Manager = EmbeddedManager[Settings]
StartManager = Callable[..., Manager]
StartWorker = Callable[..., Worker]
