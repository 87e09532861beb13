"""Metrics for Prometheus: requests and their duration, database connections, queues.

Imported only if METRICS_TOKEN is set, and only in a started web process: at import `prometheus_client` decides whether
it counts for one process or, under gunicorn (gunicorn.conf.py), for all processes in shared files.
"""

import os
from collections.abc import Iterator
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector

from models import TaskFailure, backlog, clock, db, heartbeats
from ops import DATABASE_ERRORS
from web.access_log import RequestRecord

DURATION_BUCKETS_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Monitoring:
    """Request metrics of this process, and the page with the metrics of all processes.

    pool -- maximum number of database connections of this process; None for no limit
    """

    def __init__(self, pool: int | None):
        # A separate registry keeps several applications in one process apart.
        self._registry = registry = CollectorRegistry()
        summed: Any = {"registry": registry, "multiprocess_mode": "livesum"}
        self._requests = Counter(
            "proofstone_http_requests",
            "Finished requests.",
            ["operation", "method", "status"],
            registry=registry,
        )
        self._durations = Histogram(
            "proofstone_http_request_duration_seconds",
            "Time from the start of a request to the last byte of its response.",
            ["operation"],
            buckets=DURATION_BUCKETS_SECONDS,
            registry=registry,
        )
        self._late_events = Counter(
            "proofstone_late_events", "Events received too late for the metrics.", registry=registry
        )
        self._recording_failures = Counter(
            "proofstone_recording_failures",
            "Model calls whose events could not be stored when they ended.",
            registry=registry,
        )
        self._invalid_credentials = Counter(
            "proofstone_invalid_credentials",
            "Distinct invalid credentials of each address, and credentials rejected in a locked network.",
            registry=registry,
        )
        self._connections = Gauge(
            "proofstone_database_connections_in_use",
            "Database connections in use, as of the latest request of each process.",
            **summed,
        )
        if pool:
            text = "Maximum number of database connections of all web processes."
            Gauge("proofstone_database_connections_max", text, **summed).set(pool)

    def measure(self, request: RequestRecord, operation: str | None) -> None:
        """Count a finished request."""
        name = operation or "unmatched"
        self._requests.labels(name, request.method, request.status).inc()
        self._durations.labels(name).observe(request.milliseconds / 1000)
        self._connections.set(db.obj.connections_in_use)
        if request.late_events:
            self._late_events.inc(request.late_events)
        if request.has_recording_failure:
            self._recording_failures.inc()
        if request.has_invalid_credential:
            self._invalid_credentials.inc()

    def page(self) -> bytes:
        """Render all metrics in Prometheus text format."""
        combined = CollectorRegistry()
        if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
            MultiProcessCollector(combined)
        else:
            combined.register(self._registry)
        combined.register(self)
        return generate_latest(combined)

    def collect(self) -> Iterator[Any]:
        """Read the queue metrics from the database, at each scrape."""
        up = GaugeMetricFamily("proofstone_database_up", "1 if the database responds, otherwise 0.")
        try:
            queues = [_rows(), _ages(), *_workers(), _failures()]
        except DATABASE_ERRORS:
            queues = []
        up.add_metric([], 1 if queues else 0)
        yield from [up, *queues]


def _workers() -> Iterator[GaugeMetricFamily]:
    seen, now = heartbeats.workers(), clock.now()
    yield GaugeMetricFamily("proofstone_workers", "Running workers, by their heartbeats.", seen.running)
    text = "Time since a running worker last ran the task."
    family = GaugeMetricFamily("proofstone_task_age_seconds", text, labels=["task"])
    for task, beat_at in seen.latest.items():
        family.add_metric([task], max(0, (now - beat_at).total_seconds()))
    yield family


def _failures() -> GaugeMetricFamily:
    text = "Organizations, sessions, events or candidates for which a task of the worker fails."
    family = GaugeMetricFamily("proofstone_task_failures", text, labels=["task"])
    for task, count in TaskFailure.counts().items():
        family.add_metric([task], count)
    return family


def _rows() -> GaugeMetricFamily:
    text = "Messages by kind: due, waiting for the next attempt, or failed in the last four days."
    family = GaugeMetricFamily("proofstone_queue_rows", text, labels=["kind", "state"])
    for count in backlog.counts():
        family.add_metric([count.kind, count.state], count.rows)
    return family


def _ages() -> GaugeMetricFamily:
    text = "Time since the oldest entry of a queue became due; 0 for an empty queue."
    family = GaugeMetricFamily("proofstone_queue_oldest_due_age_seconds", text, labels=["queue"])
    due, now = backlog.oldest_due(), clock.now()
    for name in backlog.NAMES:
        age = (now - due[name]).total_seconds() if name in due else 0
        family.add_metric([name], max(0, age))
    return family
