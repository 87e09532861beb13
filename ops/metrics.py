"""Prometheus metrics: requests and their durations, database connections, model calls, queues, processes.

Imported only if METRICS_TOKEN is set, and only in a running web process: at import, `prometheus_client` decides whether
to count in this process or, under gunicorn (gunicorn.conf.py), in files shared by all processes.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector

from config import VERSION
from models import RunnerToken, TaskFailure, backlog, clock, db, heartbeats
from ops import DATABASE_ERRORS
from ops.readiness import OK, Readiness
from web.access_log import RequestRecord

DURATION_BUCKETS_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Monitoring:
    """Collects this process's request metrics, and renders metrics from all processes.

    pool -- this process's maximum number of database connections; None for no limit
    streams -- this process's slots for model calls (proxy/stream_slots.py); None without the proxies
    """

    def __init__(self, pool: int | None, readiness: Readiness, streams: Any):
        self._readiness = readiness
        # One registry per application, because a process can have several.
        self._registry = CollectorRegistry()
        counter = partial(Counter, registry=self._registry)
        self._requests = counter(
            "proofstone_http_requests", "Finished requests.", ["operation", "method", "status"]
        )
        description = "Time from the start of a request to the last byte of its response."
        options: Any = {"registry": self._registry, "buckets": DURATION_BUCKETS_SECONDS}
        name = "proofstone_http_request_duration_seconds"
        self._durations = Histogram(name, description, ["operation"], **options)
        description = "Events received too late for the metrics."
        self._late_events = counter("proofstone_late_events", description)
        description = "Model calls whose events could not be stored when they ended."
        self._recording_failures = counter("proofstone_recording_failures", description)
        description = "Distinct invalid credentials per address and credentials rejected in locked networks."
        self._invalid_credentials = counter("proofstone_invalid_credentials", description)
        description = "Model calls rejected because no stream was free."
        self._rejected_streams = counter("proofstone_model_streams_rejected", description)
        description = "Cost of model calls in US dollars."
        self._model_cost = counter("proofstone_model_cost_usd", description, ["organization"])
        gauge = partial(Gauge, registry=self._registry, multiprocess_mode="livesum")
        description = "Database connections in use, as of each process's latest request."
        self._connections = gauge("proofstone_database_connections_in_use", description)
        if pool:
            description = "Maximum number of database connections across all web processes."
            gauge("proofstone_database_connections_max", description).set(pool)
        if streams:
            _measure_streams(streams, gauge)
        description = "Start of the web process that started last."
        options = {"registry": self._registry, "multiprocess_mode": "livemax"}
        Gauge("process_start_time_seconds", description, **options).set_to_current_time()

    def measure(self, request: RequestRecord, operation: str | None) -> None:
        name = operation or "unmatched"
        self._requests.labels(name, request.method, request.status).inc()
        self._durations.labels(name).observe(request.milliseconds / 1000)
        self._connections.set(db.obj.connections_in_use)
        if request.late_events:
            self._late_events.inc(request.late_events)
        if request.has_recording_failure:
            self._recording_failures.inc()
        if request.has_rejected_stream:
            self._rejected_streams.inc()
        if request.model_cost:
            organization_id, nano_usd = request.model_cost
            self._model_cost.labels(str(organization_id)).inc(nano_usd / 10**9)
        if request.has_invalid_credential:
            self._invalid_credentials.inc()

    def render(self) -> bytes:
        """Render all metrics in Prometheus text format."""
        combined = CollectorRegistry()
        if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
            MultiProcessCollector(combined)
        else:
            combined.register(self._registry)
        combined.register(self)
        return generate_latest(combined)

    def collect(self) -> Iterator[Any]:
        """Check the bundle store, and read queues and heartbeats from the database, for each scrape."""
        up = GaugeMetricFamily("proofstone_database_up", "1 if the database responds, otherwise 0.")
        versions = {(heartbeats.WEB, VERSION)}
        components, queues = self._readiness.check(), []
        if components["database"] == OK:  # Another attempt to connect could exceed the time of a scrape.
            with suppress(*DATABASE_ERRORS):
                queues = list(_queue_metrics())
                versions |= heartbeats.running_versions()
        up.add_metric([], 1 if queues else 0)
        description = "1 if submissions can be stored in this installation's bundle store, otherwise 0."
        storage = GaugeMetricFamily("proofstone_storage_up", description)
        storage.add_metric([], components["storage"] == OK)
        description = "Versions of the running processes, `web` and `worker`."
        build = GaugeMetricFamily("proofstone_build_info", description, labels=["process", "version"])
        for labels in sorted(versions):
            build.add_metric(labels, 1)
        yield from [up, storage, build, *queues]


def _measure_streams(streams: Any, gauge: Callable[[str, str], Gauge]) -> None:
    in_use = gauge("proofstone_model_streams_in_use", "Running model calls.")
    waiting = gauge("proofstone_model_streams_waiting", "Model calls that wait for a stream.")
    description = "Maximum number of running model calls across all web processes."
    gauge("proofstone_model_streams_max", description).set(streams.total)

    def measure() -> None:
        in_use.set(streams.in_use)
        waiting.set(streams.waiting)

    streams.on_change = measure


def _gauge(name: str, description: str, label: str, values: Mapping[str, float]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, description, labels=[label])
    for value, number in values.items():
        family.add_metric([value], number)
    return family


def _queue_metrics() -> Iterator[GaugeMetricFamily]:
    now, workers, due = clock.now(), heartbeats.workers(), backlog.oldest_due()

    def age(since: datetime | None) -> float:
        return max(0, (now - since).total_seconds()) if since else 0

    description = "Messages, submissions and test runs: due, waiting, or failed in the last four days."
    rows = GaugeMetricFamily("proofstone_queue_rows", description, labels=["kind", "state"])
    for count in backlog.counts():
        rows.add_metric([count.kind, count.state], count.rows)
    yield rows
    description = "Submissions that the bundle store has lost."
    yield GaugeMetricFamily("proofstone_lost_submissions", description, backlog.lost_submissions())
    description = "Time since the oldest entry in the queue became due; 0 if the queue is empty."
    ages = {name: age(due.get(name)) for name in backlog.QUEUE_NAMES}
    yield _gauge("proofstone_queue_oldest_due_age_seconds", description, "queue", ages)
    yield GaugeMetricFamily("proofstone_workers", "Running workers, by their heartbeats.", workers.running)
    yield GaugeMetricFamily("proofstone_runners", "Tokens of running runners.", RunnerToken.alive().count())
    description = "Time since a running worker last ran the task."
    ages = {task: age(beat_at) for task, beat_at in workers.latest.items()}
    yield _gauge("proofstone_task_age_seconds", description, "task", ages)
    description = "Organizations, sessions, events or candidates for which a worker task is failing."
    yield _gauge("proofstone_task_failures", description, "task", TaskFailure.counts())
