"""Compare the product with the bare application on PostgreSQL, and with itself on SQLite, in alternating runs."""

import json
import random
import sys
import tempfile
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import models
from rules.integrity.event_signatures import VALID
from tests import postgres
from tools.benchmarks import data, load, processes, report, services
from tools.benchmarks.operations import OPERATIONS, Operation, Request

WARM_UP_SECONDS = 1


class Contender(NamedTuple):
    """A service, its test data, and the ids of its processes, the database included."""

    port: int
    targets: data.Targets
    pids: list[int]

    def run(self, operation: Operation, seconds: int) -> report.Run:
        requests = operation.requests(self.targets, seconds)
        before = processes.processor_seconds(self.pids)
        result = load.run(self.port, requests, seconds)
        used = processes.processor_seconds(self.pids) - before
        if operation.is_unique and result.per_second * seconds > len(requests):
            sys.exit(f"{operation.name}: more than {len(requests)} responses. Raise UNIQUE_PER_SECOND.")
        return report.Run(*result, used * 1000 / max(result.per_second * seconds, 1))


def check() -> None:
    """Exit with an error if the two applications respond differently."""
    with postgres.start(tcp=True) as server, _on_postgres(server, data.SMALL) as (product, limit):
        _compare_responses(product, limit)


def measure(rounds: int, seconds: int) -> None:
    """Measure, print the table and write RESULTS.md. Exits with an error if any response was one."""
    with ExitStack() as stack:
        server = stack.enter_context(postgres.start(durable=True, tcp=True))
        print("Filling the databases ...", flush=True)
        product, limit = stack.enter_context(_on_postgres(server, data.Size()))
        _compare_responses(product, limit)
        contenders = (product, limit, stack.enter_context(_on_sqlite(data.Size())))
        results = [report.Result(operation, []) for operation in OPERATIONS]
        for operation in OPERATIONS:
            for contender in contenders:
                contender.run(operation, WARM_UP_SECONDS)
        for number in range(rounds):
            print(f"Round {number + 1} of {rounds} ...", flush=True)
            for result in results:
                # Rotate the order: the first run also pays for work that the previous operation left behind.
                first = number % len(contenders)
                order = (*contenders[first:], *contenders[:first])
                runs = deque(contender.run(result.operation, seconds) for contender in order)
                runs.rotate(first)
                result.rounds.append(report.Round(*runs))
        conditions = (
            f"{load.generator()}, {load.CONNECTIONS} connections, {services.PROCESSES} processes each, "
        )
        conditions += f"{rounds} rounds of {seconds} s."
        report.write("comparison", report.comparison(results, conditions, _version(server)))
    print(report.table(results))
    if any(any(result.errors) for result in results):
        sys.exit("Some responses were errors.")


@contextmanager
def _on_postgres(server: postgres.Server, size: data.Size) -> Iterator[tuple[Contender, ...]]:
    url = server.create_database("proofstone_benchmark")
    targets = _fill(url, size)
    database = [server.process.pid] if isinstance(server, postgres.EmbeddedServer) else []
    with services.running(url) as product, services.running(url, services.LIMIT) as limit:
        yield tuple(
            Contender(service.port, targets, database + services.pids(service))
            for service in (product, limit)
        )


@contextmanager
def _on_sqlite(size: data.Size) -> Iterator[Contender]:
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder, 'proofstone.db')}"
        targets = _fill(url, size)
        with services.running(url) as product:
            yield Contender(product.port, targets, services.pids(product))


def _fill(url: str, size: data.Size) -> data.Targets:
    models.bind(url)
    try:
        return data.fill(size)
    finally:
        _disconnect()


def _compare_responses(product: Contender, limit: Contender) -> None:
    for operation in OPERATIONS:
        responses = [
            _send(contender.port, operation.request(contender.targets, random.Random(0)))
            for contender in (product, limit)
        ]
        if responses[0] != responses[1] and not operation.has_random_response:
            sys.exit(f"{operation.name}: the product responds\n{responses[0]}\nand the limit\n{responses[1]}")
        statuses = [status for status, _ in responses]
        if statuses != [operation.status] * 2:
            sys.exit(f"{operation.name}: product and limit respond {statuses}, expected {operation.status}.")
    verdicts = [event.verdict for event in models.Event.select()]
    _disconnect()
    if verdicts != [VALID, VALID]:
        sys.exit(
            f"Product and limit each stored a signed event. Their verdicts are {verdicts}, expected {VALID}."
        )


def _send(port: int, request: Request) -> tuple[int, object]:
    body = request.body.encode() or None
    url = f"http://{load.HOST}:{port}{request.path}"
    prepared = urllib.request.Request(url, body, request.headers, method=request.method)
    try:
        with urllib.request.urlopen(prepared, timeout=load.TIMEOUT_SECONDS) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as refusal:
        return refusal.code, refusal.read()


def _version(server: postgres.Server) -> str:
    models.bind(server.url())
    (version,) = models.db.execute_sql("SHOW server_version").fetchone()
    _disconnect()
    return f"PostgreSQL {version}, fsync on"


def _disconnect() -> None:
    models.db.close()
    models.db.close_idle()
