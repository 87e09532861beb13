"""The product beside the limit, on PostgreSQL, and beside itself on SQLite: a turn of each, round after round."""

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
from rules.event_signatures import VALID
from tests import postgres
from tools.benchmarks import data, load, processes, report, services
from tools.benchmarks.operations import OPERATIONS, Operation, Request

WARM_UP_SECONDS = 1


class Contender(NamedTuple):
    """A service with the data that it is asked for, and the processes that work for it, its database's included."""

    port: int
    targets: data.Targets
    pids: list[int]

    def run(self, operation: Operation, seconds: int) -> report.Turn:
        requests = operation.requests(self.targets, seconds)
        before = processes.processor_seconds(self.pids)
        outcome = load.run(self.port, requests, seconds)
        used = processes.processor_seconds(self.pids) - before
        if operation.is_unique and outcome.per_second * seconds > len(requests):
            sys.exit(f"{operation.name}: more than {len(requests)} answers. Raise UNIQUE_PER_SECOND.")
        return report.Turn(*outcome, used * 1000 / max(outcome.per_second * seconds, 1))


def check() -> None:
    """What is compared must do the same: the process ends where product and limit answer differently."""
    with postgres.start(tcp=True) as server, _on_postgres(server, data.SMALL) as (product, limit):
        _compare_answers(product, limit)


def measure(rounds: int, seconds: int) -> None:
    """Measure, show the table and write RESULTS.md; the process fails where answers were errors."""
    with ExitStack() as stack:
        server = stack.enter_context(postgres.start(durable=True, tcp=True))
        print("Filling the databases ...", flush=True)
        product, limit = stack.enter_context(_on_postgres(server, data.Size()))
        _compare_answers(product, limit)
        contenders = (product, limit, stack.enter_context(_on_sqlite(data.Size())))
        results = [report.Result(operation, []) for operation in OPERATIONS]
        for operation in OPERATIONS:
            for contender in contenders:
                contender.run(operation, WARM_UP_SECONDS)
        for number in range(rounds):
            print(f"Round {number + 1} of {rounds} ...", flush=True)
            for result in results:
                # Each is the first in its turn, since that one also has what the operation before left to be done.
                first = number % len(contenders)
                order = (*contenders[first:], *contenders[:first])
                turns = deque(contender.run(result.operation, seconds) for contender in order)
                turns.rotate(first)
                result.rounds.append(report.Round(*turns))
        conditions = (
            f"{load.generator()}, {load.CONNECTIONS} connections, {services.PROCESSES} processes each, "
        )
        conditions += f"{rounds} rounds of {seconds} s."
        report.write("comparison", report.comparison(results, conditions, _version(server)))
    print(report.table(results))
    if any(any(result.errors) for result in results):
        sys.exit("Some answers were errors.")


@contextmanager
def _on_postgres(server: postgres.Server, size: data.Size) -> Iterator[tuple[Contender, ...]]:
    url = server.create_database("proofstone_benchmark")
    targets = _fill(url, size)
    database = [server.process.pid] if isinstance(server, postgres.EmbeddedServer) else []
    with services.running(url) as product, services.running(url, services.LIMIT) as limit:
        yield tuple(
            Contender(each.port, targets, database + services.pids(each)) for each in (product, limit)
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


def _compare_answers(product: Contender, limit: Contender) -> None:
    for operation in OPERATIONS:
        one, other = (
            _answer(each.port, operation.request(each.targets, random.Random(0))) for each in (product, limit)
        )
        if one != other and not operation.has_random_answer:
            sys.exit(f"{operation.name}: the product answers\n{one}\nand the limit\n{other}")
        if not one[0] == other[0] == operation.status:
            sys.exit(f"{operation.name}: the product answers {one[0]}, and the limit {other[0]}")
    verdicts = [event.verdict for event in models.Event.select()]
    _disconnect()
    if verdicts != [VALID, VALID]:
        sys.exit(f"The product and the limit each stored a signed event, with the verdicts {verdicts}.")


def _answer(port: int, request: Request) -> tuple[int, object]:
    body = request.body.encode() or None
    url = f"http://{load.HOST}:{port}{request.path}"
    asked = urllib.request.Request(url, body, request.headers, method=request.method)
    try:
        with urllib.request.urlopen(asked, timeout=load.TIMEOUT_SECONDS) as answer:
            return answer.status, json.load(answer)
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
