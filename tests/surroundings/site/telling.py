"""How a program of this folder reports to the test what it sees, beside whatever its tool prints."""

from __future__ import annotations

import json
from typing import Any


def say(**told: Any) -> None:
    """One line."""
    print("SAID " + json.dumps(told), flush=True)
