"""What is loaded: `--loader sources:loader`. In a fleet, an engine's payload lies above the file."""

from __future__ import annotations

import os

from confcast import ConfigLoader, guards
from confcast.fleet import Gateway

_gateway = os.environ.get("FLEET_GATEWAY")
_above = [Gateway([_gateway], os.environ["FLEET_KEY"])] if _gateway else []
loader = ConfigLoader("settings:Settings", "app.toml", *_above, guards=[guards.empties("marks")])
