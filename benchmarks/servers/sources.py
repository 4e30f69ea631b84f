"""The loader that every launcher is given: `--loader benchmarks.servers.sources:loader`."""

from __future__ import annotations

import os

from confcast import ConfigLoader


def loader() -> ConfigLoader[object]:
    """Of the file that BENCH_FILE names, which the application reads by itself when there is no confcast."""
    return ConfigLoader("benchmarks.servers.settings:Settings", os.environ["BENCH_FILE"])
