"""The flags of `confcast serve` that have its owner's numbers served: for Prometheus, or for node_exporter."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from confcast.serve.metrics import Metrics

_MODE = 0o644


def add_to(parser: argparse.ArgumentParser) -> None:
    """Add them."""
    parser.add_argument(
        "--metrics",
        type=_address,
        metavar="HOST:PORT",
        help="serve metrics for Prometheus at http://HOST:PORT/metrics; without a host, for this host alone",
    )
    parser.add_argument(
        "--metrics-file",
        type=_file,
        metavar="PATH",
        help="write metrics into a file each 15 s, for node_exporter: NAME.prom in its textfile folder",
    )
    parser.add_argument(
        "--metrics-file-mode",
        type=_mode,
        default=_MODE,
        metavar="MODE",
        help="its permissions (default: 0644)",
    )


def plug_ins(options: argparse.Namespace) -> list[Metrics]:
    """What serves them, if it was asked for."""
    if options.metrics is None and options.metrics_file is None:
        return []
    from confcast.serve.metrics import Metrics  # imported here: most have none

    return [Metrics(options.metrics, options.metrics_file, options.metrics_file_mode)]


def _address(text: str) -> Any:
    from confcast.metrics.address import parse

    try:
        return parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _file(text: str) -> Path:
    path = Path(text)
    if not text or not path.name or text.endswith("/"):
        raise argparse.ArgumentTypeError(f"{text!r} is no path of a file")
    return path.absolute()


def _mode(text: str) -> int:
    try:
        mode = int(text, 8)
    except ValueError:
        mode = -1
    if not 0o400 <= mode <= 0o777:
        raise argparse.ArgumentTypeError(f"{text!r} are no permissions: give three octal digits, as 0644")
    return mode
