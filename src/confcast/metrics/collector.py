"""The collector: asks one owner, or several, at each scrape, and makes of each answer what Prometheus reads."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from confcast import Client, ConfigReloadManager, Replica
from confcast.metrics.asking import Asked, Asking, Reading
from confcast.metrics.families import AGE, CONFIG, FAMILIES, UP, Family, one
from confcast.wire.measured import BOUNDS, Histogram

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

_MISSING = "prometheus-client is not installed: pip install 'confcast[metrics]'"


class Collector:
    """Gives `prometheus_client` the numbers of a config owner and of its whole roster, from any one process.

        from prometheus_client import REGISTRY
        from confcast.metrics import Collector

        REGISTRY.register(Collector())

    The owner is asked at each scrape, over a connection of its own; between scrapes nothing happens. Each process that
    registers one gives the same numbers, since they are the owner's: no process has numbers of its own, so there are no
    files to collect from, and `PROMETHEUS_MULTIPROC_DIR` changes nothing. An owner that does not answer within the
    deadline has `confcast_up` 0, and its last numbers.

    Any thread may scrape, also after a fork; scrapes at the same time share one question. Nothing is asked before the
    first scrape. Not for an asyncio loop's own thread: `collect()` waits for the answer.

    Args:
        client: Which owner is meant: a Client, a manager, or a replica of this process; None: as `Client()`. Or several
            of them, one for each configuration: a registry takes one collector of these metrics.
        timeout: Seconds within which an owner must answer, above 0.

    Raises:
        ModuleNotFoundError: prometheus-client is not installed: `pip install 'confcast[metrics]'`.
        TypeError: `client` is none of these. ValueError: `timeout` is not above 0; or there is no client.
    """

    def __init__(
        self,
        client: Client | ConfigReloadManager[Any] | Replica[Any] | Iterable[Asked] | None = None,
        *,
        timeout: float = 2.0,
    ) -> None:
        try:
            import prometheus_client  # noqa: F401 - so that it is missed here, and not at the first scrape
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(_MISSING, name=error.name) from None
        if not isinstance(timeout, (int, float)) or not 0 < timeout < math.inf:
            raise ValueError(f"timeout={timeout!r}: a number of seconds above 0 is expected")
        self._owners = [Asking(each, timeout) for each in _clients(client)]

    def describe(self) -> Iterator[Metric]:
        """The metrics without samples: a registry reads their names when the collector is registered."""
        return (metric_of(family, []) for family in FAMILIES)

    def collect(self) -> Iterator[Metric]:
        """The metrics of now. Waits for the owners, at most until the deadline; raises nothing."""
        readings = self.readings()
        return (metric_of(family, readings) for family in FAMILIES)

    def readings(self) -> list[Reading]:
        """What is known of each owner now."""
        if len(self._owners) == 1:
            return [self._owners[0].reading()]
        try:  # one that is silent delays no other
            with ThreadPoolExecutor(len(self._owners), "confcast-metrics") as threads:
                return list(threads.map(Asking.reading, self._owners))
        except RuntimeError:  # no thread can be started, or the interpreter ends
            return [each.reading() for each in self._owners]


def _clients(given: Asked | Iterable[Asked] | None) -> list[Asked]:
    if given is None:
        return [Client()]
    if isinstance(given, (Client, ConfigReloadManager, Replica)):
        return [given]
    clients = [*given] if isinstance(given, Iterable) else [given]
    if not clients:
        raise ValueError("client=[]: name the owners that are meant")
    for each in clients:
        if not isinstance(each, (Client, ConfigReloadManager, Replica)):
            raise TypeError(f"client={each!r}: a Client, a manager or a replica is expected")
    return clients


def metric_of(family: Family, readings: Sequence[Reading]) -> Metric:
    """The metric with the samples of these readings."""
    metric = _empty(family)
    for reading in readings:
        for values, value in _samples(family, reading):
            labels = [reading.config, *values]
            if isinstance(value, Histogram):
                metric.add_metric(labels, _buckets(value), value.seconds)
            elif family.kind == "info":
                metric.add_metric(labels[:1], dict(zip(family.labels, values, strict=True)))
            else:
                metric.add_metric(labels, float(value))
    return metric  # type: ignore[no-any-return]


def _samples(family: Family, reading: Reading) -> Iterable[tuple[tuple[str, ...], float | Histogram]]:
    if family is UP:
        return one(reading.is_up)
    if reading.answer is None:
        return ()
    return one(reading.age) if family is AGE else family.samples(reading.answer)


def _empty(family: Family) -> Any:
    from prometheus_client.metrics_core import (
        CounterMetricFamily,
        GaugeMetricFamily,
        HistogramMetricFamily,
        InfoMetricFamily,
    )

    if family.kind == "info":
        return InfoMetricFamily(family.name, family.says, labels=[CONFIG])
    kinds: dict[str, Any] = {
        "gauge": GaugeMetricFamily,
        "counter": CounterMetricFamily,
        "histogram": HistogramMetricFamily,
    }
    name = family.name.removesuffix("_total")
    return kinds[family.kind](name, family.says, labels=[CONFIG, *family.labels], unit=family.unit)


def _buckets(found: Histogram) -> list[tuple[str, float]]:
    """The cumulative buckets, each with its upper bound."""
    from prometheus_client.utils import floatToGoString

    bounds = [*map(floatToGoString, BOUNDS), "+Inf"]
    return list(zip(bounds, map(float, accumulate(found.counts)), strict=True))
