"""Measure the service's startup time and the memory of its processes."""

import threading
import time
import urllib.request
from collections.abc import Sequence
from datetime import date
from statistics import median
from typing import NamedTuple

import models
from tests import postgres
from tools.benchmarks import data, load, processes, report, services
from tools.benchmarks.operations import OPERATIONS
from tools.scripts.service import Service

STARTS = 3
POLL_SECONDS = 0.005
LOAD_SECONDS = 2
WEB, WORKER = "web process", "worker"


class Footprint(NamedTuple):
    start_seconds: float
    start_processor_seconds: float
    web: processes.Memory
    worker: processes.Memory


def measure() -> None:
    """Measure, print the table and write it to RESULTS.md."""
    with postgres.start(durable=True, tcp=True) as server:
        url = server.create_database("proofstone_footprint")
        models.bind(url)
        targets = data.fill(data.SMALL)
        models.db.close()
        models.db.close_idle()
        footprints = [_measure_start(url, targets) for _ in range(STARTS)]
    text = _document(footprints)
    report.write("footprint", text)
    print(text)


def _measure_start(url: str, targets: data.Targets) -> Footprint:
    """Start the service and call each operation, so that every module is loaded."""
    with services.prepared(url, has_worker=True) as service:
        start_seconds = _start_seconds(service)
        processor = processes.processor_seconds([service.children[WEB].pid])
        for operation in OPERATIONS:
            load.run(service.port, operation.requests(targets, LOAD_SECONDS), LOAD_SECONDS)
        web, worker = (
            processes.memory(processes.family(service.children[name].pid)) for name in (WEB, WORKER)
        )
    return Footprint(start_seconds, processor, web, worker)


def _start_seconds(service: Service) -> float:
    """Start the service; returns the seconds until its first response."""
    start = time.monotonic()
    seconds: list[float] = []

    def poll() -> None:
        while not seconds:
            try:
                urllib.request.urlopen(f"http://{load.HOST}:{service.port}/v1/health", timeout=30).close()
                seconds.append(time.monotonic() - start)
            except OSError:
                time.sleep(POLL_SECONDS)

    poller = threading.Thread(target=poll, daemon=True)
    poller.start()
    service.start()
    poller.join()
    return seconds[0]


def _document(footprints: list[Footprint]) -> str:
    seconds, processor_seconds, web, worker = zip(*footprints, strict=True)
    rows = [
        ["start to the first response, s", f"{median(seconds):.2f}", "", "< 1"],
        ["processor time of the web process for it, s", f"{median(processor_seconds):.2f}", "", ""],
        [f"web process: master and {services.PROCESSES} workers, MiB", *_memory(web), "<= 150"],
        ["worker, MiB", *_memory(worker), "< 80"],
    ]
    table = report.markdown(("", "measured", "shared pages counted once", "target"), rows)
    return f"""## Start and memory

`make bench options=--footprint`: medians of {STARTS} starts with the default settings; memory after a load of
{LOAD_SECONDS} s for each of the operations above. "Measured" counts shared pages in each process (RSS), the next
column counts them once (PSS).

{table}

- {report.machine()}; {date.today().isoformat()}.
"""


def _memory(samples: Sequence[processes.Memory]) -> list[str]:
    return [f"{median(column):.0f}" for column in zip(*samples, strict=True)]
