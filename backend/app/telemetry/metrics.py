"""Prometheus metrics; every label is bounded (route templates, known methods), so no client can add time series."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy.pool import Pool, QueuePool

CONTENT_TYPE = CONTENT_TYPE_LATEST
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_BUCKETS_SECONDS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class _PoolCollector(Collector):
    """Reads the connection pools at each scrape."""

    def __init__(self, pools: Sequence[QueuePool]) -> None:
        self._pools = pools

    def collect(self) -> Iterator[GaugeMetricFamily]:
        size = sum(pool.size() for pool in self._pools)
        yield GaugeMetricFamily("database_pool_size", "Connections that the pools keep", value=size)
        in_use = sum(pool.checkedout() for pool in self._pools)
        yield GaugeMetricFamily("database_pool_checked_out", "Connections in use", value=in_use)
        # SQLAlchemy counts from minus the size, up to the overflow that is open.
        overflow = sum(max(0, pool.overflow()) for pool in self._pools)
        yield GaugeMetricFamily("database_pool_overflow", "Connections open beyond the size", value=overflow)


class Metrics:
    """The service's metrics in one registry; built once an application."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._requests = Counter(
            "http_requests_total", "Requests answered", ["method", "route", "status"], registry=registry
        )
        self._seconds = Histogram(
            "http_request_duration_seconds",
            "Time to the last byte",
            ["method", "route"],
            buckets=_BUCKETS_SECONDS,
            registry=registry,
        )
        self._refused = Counter(
            "http_requests_refused_total", "Requests refused by a limit", ["reason"], registry=registry
        )
        self.in_flight = Gauge("http_requests_in_flight", "Requests not yet done with", registry=registry)

    def observe(self, method: str, *, route: str, status: int, seconds: float) -> None:
        """Count one answered request; `route` is a template, never a path."""
        bounded = method if method in _METHODS else "OTHER"
        self._requests.labels(bounded, route, str(status)).inc()
        self._seconds.labels(bounded, route).observe(seconds)

    def count_refusal(self, reason: str) -> None:
        self._refused.labels(reason).inc()

    def watch_pools(self, pools: Iterable[Pool]) -> None:
        """Show the pools' gauges, in sum; a pool of another kind than `QueuePool` has nothing to show.

        `Engine.dispose` replaces the pool: the gauges go on showing the old one.
        """
        if shown := [pool for pool in pools if isinstance(pool, QueuePool)]:
            self._registry.register(_PoolCollector(shown))

    def render(self) -> bytes:
        """Everything in the Prometheus text format; its media type is `CONTENT_TYPE`."""
        return generate_latest(self._registry)
