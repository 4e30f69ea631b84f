"""A plugin of pytest: whenever a test makes a `BaseSettings`, confcast loads its class, too, and both are compared.

For a run of pydantic-settings' own tests: `-p tests.support.agreeing`, with a path for the counts in `AGREEMENT`.
"""

from __future__ import annotations

import collections
import json
import os
import warnings
from pathlib import Path
from typing import Any

import pytest
from pydantic_settings import BaseSettings

from confcast import ConfigError, ConfigLoader, NotCarried
from confcast.config.validation.validate import Invalid, validate

_real: Any = BaseSettings.__init__
_test = ""
_comparing = False
counts: collections.Counter[str] = collections.Counter()
differences: list[str] = []


def pytest_runtest_setup(item: pytest.Item) -> None:
    global _test
    _test = item.nodeid


def pytest_sessionfinish() -> None:
    Path(os.environ["AGREEMENT"]).write_text(json.dumps({"counts": counts, "differences": differences}))


def made(self: BaseSettings, *positional: Any, **given: Any) -> None:
    """In the place of the constructor: without arguments, what it makes is what a load gives."""
    global _comparing
    cls: Any = type(self)
    if _comparing or positional or given:
        return _real(self, *positional, **given)
    _comparing = True
    raised: Exception | None = None
    try:
        _real(self)
    except Exception as error:
        raised = error
        raise
    finally:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                _compare(cls, self, raised)
        finally:
            _comparing = False
    return None


made.__pydantic_base_init__ = False  # type: ignore[attr-defined]
BaseSettings.__init__ = made  # type: ignore[method-assign]


def _compare(cls: Any, wanted: BaseSettings, raised: Exception | None) -> None:
    found, why = _loaded(cls)
    if why == "no schema":
        counts["no schema"] += 1
    elif why.startswith("refused by us"):
        counts["refused by us"] += 1
        differences.append(f"{_test}: {why}")
    elif (found is None) != (raised is not None):
        counts["another verdict"] += 1
        differences.append(f"{_test}: {cls.__name__}: theirs {raised!r}, ours {why or found!r}")
    elif raised is not None:
        counts["both refuse"] += 1
    elif found == wanted and found.model_dump() == wanted.model_dump():
        counts["equal"] += 1
    else:
        counts["different"] += 1
        differences.append(f"{_test}: {cls.__name__}: theirs {wanted!r}, ours {found!r}")


def _loaded(cls: Any) -> tuple[Any, str]:
    """What a load makes, without the codec, and why it makes none."""
    if cls is BaseSettings:
        return None, "no schema"
    try:
        loader = ConfigLoader(cls)
        merged, _ = loader._merge(loader._read())
        return validate(cls, merged.data), ""
    except NotCarried as error:
        return None, f"refused by us: {error}"
    except ConfigError as error:
        by_us = "command line" in str(error) or "not called" in str(error)
        return None, f"refused by us: {error}" if by_us else str(error)
    except Invalid as error:
        return None, str(error.field_errors)
