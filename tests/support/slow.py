"""Members of a family that the default suite leaves out: a quick one of the same kind stays in it."""

from __future__ import annotations

from typing import Any

import pytest


def slow(*values: Any, id: str | None = None) -> Any:  # noqa: A002 - as pytest.param has it
    """These values of a parametrization, for `-m slow` alone."""
    return pytest.param(*values, marks=pytest.mark.slow, id=id)
