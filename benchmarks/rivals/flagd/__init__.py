"""flagd's provider for OpenFeature, in its file mode: each worker looks at the file again and again.

Its documentation (https://github.com/open-feature/python-sdk-contrib, "File mode"): for local development, tests and
offline applications; with the daemon flagd the provider is told of changes instead. The daemon is a program in Go that
neither PyPI nor npm nor Debian has, so it was not to be had where this ran. A setting is a flag with one variant.
"""

from __future__ import annotations

import json

from benchmarks.rivals.job import Rival


def _flags(left: object, right: object) -> str:
    """A flag definition file."""
    flags = {
        name: {"state": "ENABLED", "variants": {"value": value}, "defaultVariant": "value"}
        for name, value in (("left", left), ("right", right))
    }
    return json.dumps({"flags": flags}, indent=1) + "\n"


RIVAL = Rival(
    "flagd",
    "flagd's provider, file mode",
    ("openfeature-provider-flagd", "openfeature-sdk", "gunicorn"),
    write=_flags,
    file="flags.json",
)
