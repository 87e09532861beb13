"""Compare the product with the bare application on one PostgreSQL, in alternating runs."""

import random
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import models
from rules.integrity.event_signatures import VALID
from tests import postgres
from tests.live.client import call
from tests.live.service import Service
from tools.benchmarks import data, load, processes, report
from tools.benchmarks.operations import OPERATIONS, Operation, Request

PROCESSES = 2
LIMIT = "tools.benchmarks.limit.app:application"
# Requests are counted but never limited: a few credentials send the load of hundreds of candidates.
UNLIMITED = "1000000000 per minute"
SETTINGS = {
    "RATELIMIT_ENABLED": "true",
    "RATELIMIT_DEFAULT": UNLIMITED,
    "RATELIMIT_INGEST": UNLIMITED,
}
WARM_UP_SECONDS = 1


class Contender(NamedTuple):
    """A service, its test data, and the ids of its processes, the database included."""

    service: Service
    targets: data.Targets
    pids: list[int]

    def run(self, operation: Operation, seconds: int) -> report.Run:
        requests = operation.requests(self.targets, seconds)
        before = processes.processor_seconds(self.pids)
        result = load.run(self.service.port, requests, seconds)
        used = processes.processor_seconds(self.pids) - before
        if operation.is_unique and result.per_second * seconds > len(requests):
            sys.exit(f"{operation.name}: more than {len(requests)} responses. Raise UNIQUE_PER_SECOND.")
        return report.Run(*result, used * 1000 / max(result.per_second * seconds, 1))


def check() -> None:
    """Exit with an error if the two applications respond differently."""
    with _running(data.SMALL) as (product, limit):
        _compare_responses(product, limit)


def measure(rounds: int, seconds: int) -> None:
    """Measure, print the table and write RESULTS.md. Exits with an error if any response was one."""
    load.require_wrk()
    print("Filling the database ...", flush=True)
    with _running(data.KEYS) as contenders:
        _compare_responses(*contenders)
        results = [report.Result(operation, []) for operation in OPERATIONS.values()]
        for contender in contenders:
            for operation in OPERATIONS.values():
                contender.run(operation, WARM_UP_SECONDS)
        for number in range(rounds):
            print(f"Round {number + 1} of {rounds} ...", flush=True)
            for result in results:
                # In turns: the first also pays for work that the previous operation left behind.
                turns = contenders if number % 2 else contenders[::-1]
                runs = [contender.run(result.operation, seconds) for contender in turns]
                result.rounds.append(report.Round(*(runs if number % 2 else reversed(runs))))
        web = contenders[0].service.web
        memory = processes.memory(processes.family(web.pid)) if web else 0
    conditions = (
        f"wrk, {load.CONNECTIONS} connections, {PROCESSES} processes each, {rounds} rounds of {seconds} s"
    )
    report.write("comparison", report.comparison(results, conditions, memory))
    print(report.table(results))
    if any(any(result.errors) for result in results):
        sys.exit("Some responses were errors.")


@contextmanager
def _running(keys: int) -> Iterator[tuple[Contender, Contender]]:
    """Product and limit on one database, without a worker, whose background work would distort the measurement."""
    with postgres.start(durable=True, tcp=True) as server, tempfile.TemporaryDirectory() as name:
        folder, url = Path(name), server.create_database("proofstone_benchmark")
        models.bind(url)
        targets = data.fill(keys)
        models.db.close_all()
        database = [server.process.pid] if isinstance(server, postgres.EmbeddedServer) else []
        product, limit = (Service(folder, url, **SETTINGS) for _ in range(2))
        with product.start(PROCESSES), limit.start(PROCESSES, application=LIMIT):
            pids = [service.web.pid for service in (product, limit) if service.web]
            yield (
                Contender(product, targets, [*database, pids[0]]),
                Contender(limit, targets, [*database, pids[1]]),
            )


def _compare_responses(product: Contender, limit: Contender) -> None:
    for operation in OPERATIONS.values():
        responses = [
            _send(contender.service.port, operation.request(contender.targets, random.Random(0)))
            for contender in (product, limit)
        ]
        if responses[0] != responses[1] and not operation.has_random_response:
            sys.exit(f"{operation.name}: the product responds\n{responses[0]}\nand the limit\n{responses[1]}")
        statuses = [status for status, _ in responses]
        if statuses != [operation.status] * 2:
            print(limit.service.log()[-5_000:])
            sys.exit(f"{operation.name}: product and limit respond {statuses}, expected {operation.status}.")
    verdicts = product.service.execute("SELECT verdict FROM events")
    if verdicts != [(VALID,), (VALID,)]:
        sys.exit(f"Product and limit each stored a signed event. Their verdicts are {verdicts}.")


def _send(port: int, request: Request) -> tuple[int, object]:
    response = call(
        port,
        request.method,
        request.path,
        request.body.encode() or None,
        headers=request.headers,
        seconds=load.TIMEOUT_SECONDS,
    )
    return response.status, response.json
