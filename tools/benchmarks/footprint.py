"""What the service needs before anybody asks for anything: time to start, and memory of its processes."""

import statistics
import threading
import time
import urllib.request
from datetime import date
from typing import NamedTuple

import models
from tests import postgres
from tools.benchmarks import data, load, processes, report, services
from tools.benchmarks.operations import OPERATIONS
from tools.scripts.service import Service

STARTS = 3
GLANCE_SECONDS = 0.005
LOAD_SECONDS = 2
WEB, WORKER = "web process", "worker"


class Footprint(NamedTuple):
    start_seconds: float
    start_processor_seconds: float
    web: processes.Memory
    worker: processes.Memory


def measure() -> None:
    """Measure, show the table and put it into RESULTS.md."""
    with postgres.start(durable=True, tcp=True) as server:
        url = server.create_database("proofstone_footprint")
        models.bind(url)
        targets = data.fill(data.SMALL)
        models.db.close()
        models.db.close_idle()
        found = [_one(url, targets) for _ in range(STARTS)]
    text = _document(found)
    report.write("footprint", text)
    print(text)


def _one(url: str, targets: data.Targets) -> Footprint:
    """Start, and ask for each hot operation for a while, so that all is loaded that is ever loaded."""
    with services.prepared(url, has_worker=True) as service:
        started = _first_answer(service)
        processor = processes.processor_seconds([service.children[WEB].pid])
        for operation in OPERATIONS:
            load.run(service.port, operation.requests(targets, LOAD_SECONDS), LOAD_SECONDS)
        web, worker = (
            processes.memory(processes.family(service.children[name].pid)) for name in (WEB, WORKER)
        )
    return Footprint(started, processor, web, worker)


def _first_answer(service: Service) -> float:
    """Start, and return after how many seconds there was an answer that came out of the database."""
    begun = time.monotonic()
    answered: list[float] = []

    def look() -> None:
        while not answered:
            try:
                urllib.request.urlopen(f"http://{load.HOST}:{service.port}/v1/health", timeout=30).close()
                answered.append(time.monotonic() - begun)
            except OSError:
                time.sleep(GLANCE_SECONDS)

    looking = threading.Thread(target=look, daemon=True)
    looking.start()
    service.start()
    looking.join()
    return answered[0]


def _document(found: list[Footprint]) -> str:
    starts = [each.start_seconds for each in found]
    processor = [each.start_processor_seconds for each in found]
    web, worker = ([getattr(each, name) for each in found] for name in ("web", "worker"))
    rows = [
        ["start to the first answer, s", f"{statistics.median(starts):.2f}", "", "< 1"],
        ["the web process's processor time for it, s", f"{statistics.median(processor):.2f}", "", ""],
        [f"web process: master and {services.PROCESSES} workers, MiB", *_memory(web), "< 150"],
        ["worker, MiB", *_memory(worker), "< 80"],
    ]
    table = report.markdown(("", "measured", "shared pages counted once", "target"), rows)
    return f"""## Start and memory

`make bench options=--footprint`: medians of {STARTS} starts with everything on that is on by default; memory after
each of the operations above was asked for {LOAD_SECONDS} s. "Measured" counts pages that processes share in each of
them (RSS), the next column counts them once (PSS).

{table}

- {report.machine()}; {date.today().isoformat()}.
"""


def _memory(found: list[processes.Memory]) -> list[str]:
    return [
        f"{statistics.median(each.resident for each in found):.0f}",
        f"{statistics.median(each.proportional for each in found):.0f}",
    ]
