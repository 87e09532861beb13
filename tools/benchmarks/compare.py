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
from tools.benchmarks.operations import OPERATIONS, Operation

PROCESSES = 2
LIMIT = "tools.benchmarks.limit.app:application"
# Requests are counted but not limited: a few credentials send the load of hundreds of candidates.
UNLIMITED = "1000000000 per minute"
SETTINGS = {"RATELIMIT_ENABLED": "true", "RATELIMIT_DEFAULT": UNLIMITED, "RATELIMIT_INGEST": UNLIMITED}
WARM_UP_SECONDS = 1


class Contender(NamedTuple):
    """A service, its test data, and its process ids, including the database's."""

    service: Service
    targets: data.Targets
    pids: list[int]

    def run(self, operation: Operation, seconds: int) -> report.Run:
        requests = operation.requests(self.targets, seconds)
        before = processes.processor_seconds(self.pids)
        outcome = load.run(self.service.port, requests, seconds)
        processor_ms = (processes.processor_seconds(self.pids) - before) * 1000
        if operation.is_unique and outcome.per_second * seconds > len(requests):
            sys.exit(f"{operation.name}: more than {len(requests)} responses. Raise UNIQUE_PER_SECOND.")
        return report.Run(*outcome, processor_ms / max(outcome.per_second * seconds, 1))


def check() -> None:
    """Exit with an error if the two applications respond differently."""
    with _running(data.FEW_KEYS) as contenders:
        _compare_responses(*contenders)


def measure(rounds: int, seconds: int) -> None:
    """Measure, print the table and write RESULTS.md. Exit with an error if any request failed."""
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
                # Alternate the order: the first run also includes leftover work from the previous operation.
                order = contenders if number % 2 else contenders[::-1]
                runs = [contender.run(result.operation, seconds) for contender in order]
                result.rounds.append(report.Round(*(runs if number % 2 else reversed(runs))))
        memory = processes.memory(processes.process_tree(contenders[0].service.web.pid))
    conditions = (
        f"wrk, {load.CONNECTIONS} connections, {PROCESSES} processes each, {rounds} rounds of {seconds} s"
    )
    report.write("comparison", report.comparison(results, conditions, memory))
    print(report.table(results))
    if any(any(result.errors) for result in results):
        sys.exit("Some requests failed.")


@contextmanager
def _running(keys: int) -> Iterator[tuple[Contender, Contender]]:
    """Run product and limit on one database. A worker would distort the measurement."""
    with postgres.start(durable=True, tcp=True) as server, tempfile.TemporaryDirectory() as name:
        folder, url = Path(name), server.create_database("proofstone_benchmark")
        data.bind(url)
        targets = data.fill(keys)
        models.db.close_all()
        database = [server.process.pid] if isinstance(server, postgres.EmbeddedServer) else []
        product, limit = (Service(folder, url, **SETTINGS) for _ in range(2))
        with product.start(PROCESSES), limit.start(PROCESSES, application=LIMIT):
            yield (
                Contender(product, targets, [*database, product.web.pid]),
                Contender(limit, targets, [*database, limit.web.pid]),
            )


def _compare_responses(product: Contender, limit: Contender) -> None:
    for operation in OPERATIONS.values():
        responses = []
        for contender in (product, limit):
            request = operation.request(contender.targets, random.Random(0))
            response = call(
                contender.service.port, request.method, request.path, request.body.encode() or None,
                headers=request.headers, seconds=load.TIMEOUT_SECONDS,
            )  # fmt: skip
            responses.append((response.status, response.json))
        if responses[0] != responses[1] and not operation.has_random_response:
            sys.exit(f"{operation.name}: the product responds\n{responses[0]}\nand the limit\n{responses[1]}")
        statuses = [status for status, _ in responses]
        if statuses != [operation.status] * 2:
            print(limit.service.log()[-5_000:])
            sys.exit(f"{operation.name}: product and limit respond {statuses}, expected {operation.status}.")
    verdicts = product.service.execute("SELECT verdict FROM events")
    if verdicts != [(VALID,), (VALID,)]:
        sys.exit(f"Product and limit each stored a signed event. Their verdicts are {verdicts}.")
