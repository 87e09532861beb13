"""What a Prometheus reads: requests and their time, the database's pool, the queues.

Imported only where METRICS_TOKEN is set, by each web process after its start: the library decides at its import whether
it counts for one process, or (under gunicorn, see gunicorn.conf.py) for all of them in files that they share.
"""

import os
from collections.abc import Iterator
from typing import Any

import peewee
from playhouse.pool import MaxConnectionsExceeded
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector

from models import backlog, clock, db
from web.access_log import Served

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
UNMATCHED = "unmatched"


class Monitoring:
    """Counts each request (`measure`), and shows what all web processes have counted, and the queues (`page`).

    pool -- most connections of this process to the database; None where there is no limit
    """

    def __init__(self, pool: int | None):
        # One of its own, so that a second application in the same process does not count into the first one's.
        self._registry = registry = CollectorRegistry()
        self._requests = Counter(
            "proofstone_http_requests",
            "Requests that were answered.",
            ["operation", "method", "status"],
            registry=registry,
        )
        self._durations = Histogram(
            "proofstone_http_request_duration_seconds",
            "From a request's beginning to the last byte of its answer.",
            ["operation"],
            buckets=SECONDS,
            registry=registry,
        )
        self._late_events = Counter(
            "proofstone_late_events", "Events that came too late to count in anything.", registry=registry
        )
        self._connections = _sum_of_processes(
            "proofstone_database_connections_in_use",
            "Connections to the database in use, as the latest request of each process left them.",
            registry,
        )
        if pool:
            most = "Most connections to the database that the web processes may have together."
            _sum_of_processes("proofstone_database_connections_max", most, registry).set(pool)

    def measure(self, served: Served, operation: str | None) -> None:
        """Count a request that has been answered."""
        name = operation or UNMATCHED
        self._requests.labels(name, served.method, served.status).inc()
        self._durations.labels(name).observe(served.milliseconds / 1000)
        self._connections.set(len(db.obj._in_use))
        if served.late_events:
            self._late_events.inc(served.late_events)

    def page(self) -> bytes:
        """Everything, in Prometheus' text format."""
        shown = CollectorRegistry()
        if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
            MultiProcessCollector(shown)
        else:
            shown.register(self._registry)
        shown.register(Queues())
        return generate_latest(shown)


def _sum_of_processes(name: str, sentence: str, registry: CollectorRegistry) -> Gauge:
    return Gauge(name, sentence, registry=registry, multiprocess_mode="livesum")


class Queues:
    """What waits in the database, read when it is asked for."""

    def collect(self) -> Iterator[Any]:
        up = GaugeMetricFamily("proofstone_database_up", "Whether the database answers: 1, or 0.")
        try:
            found = [_rows(), _ages()]
        except (peewee.PeeweeException, MaxConnectionsExceeded):
            # A database that is away is told of; all else is still worth reading.
            found = []
        up.add_metric([], 1 if found else 0)
        yield from [up, *found]


def _rows() -> GaugeMetricFamily:
    family = GaugeMetricFamily(
        "proofstone_queue_rows",
        "Messages by kind: due, waiting for their next try, or failed in the last four days.",
        labels=["kind", "state"],
    )
    for count in backlog.counts():
        family.add_metric([count.kind, count.state], count.rows)
    return family


def _ages() -> GaugeMetricFamily:
    family = GaugeMetricFamily(
        "proofstone_queue_oldest_due_age_seconds",
        "For how long the oldest that the worker has to do has been due; 0 where nothing is.",
        labels=["queue"],
    )
    due, now = backlog.oldest_due(), clock.now()
    for name in backlog.NAMES:
        age = (now - due[name]).total_seconds() if name in due else 0
        family.add_metric([name], max(0, age))
    return family
