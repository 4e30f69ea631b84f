"""Metrics of one owner's whole roster, for Prometheus; needs the extra `metrics`.

`Collector` is registered by an application, or served by `confcast serve --metrics`.
"""

from __future__ import annotations

from confcast.metrics.collector import Collector

__all__ = ["Collector"]
