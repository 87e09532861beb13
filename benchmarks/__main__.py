"""Measure the hot operations: `python -m benchmarks [--seconds 2] [--rounds 5] [--check]`.

A durable PostgreSQL of its own, two services beside each other on it, and for each operation a turn of the
product and a turn of the limit, round after round. Everything listens on 127.0.0.1 alone.
"""

import argparse
import json
import os
import random
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import models
from benchmarks import data, load
from benchmarks.operations import Operation, operations
from benchmarks.report import Result, document, table
from scripts.service import Service
from tests import postgres

HOST = "127.0.0.1"
PROCESSES = 2
WARM_UP_SECONDS = 0.5
RESULTS = Path(__file__).with_name("RESULTS.md")
SERVICES = {"product": "app:create_app()", "limit": "benchmarks.limit.app:application"}


def main() -> None:
    options = _options()
    with ExitStack() as stack:
        server = stack.enter_context(postgres.start(durable=True, tcp=True))
        url = server.create_database("proofstone_benchmark")
        print("Filling the database ...", flush=True)
        todo = operations(_fill(url))
        product, limit = (stack.enter_context(_service(SERVICES[name], url)) for name in ("product", "limit"))
        _compare_answers(todo, product, limit)
        if options.check:
            return
        results = _measure(todo, product, limit, options.rounds, options.seconds)
        version = _version(url)
    print(table(results))
    RESULTS.write_text(document(results, _conditions(options), version))
    if any(result.errors for result in results):
        sys.exit("Some answers were not what they should have been.")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure the hot operations.")
    parser.add_argument("--seconds", type=float, default=2.0, help="of one turn (%(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each (%(default)s)")
    parser.add_argument("--check", action="store_true", help="only see that both answer the same")
    return parser.parse_args()


def _fill(url: str) -> data.Targets:
    models.bind(url)
    targets = data.fill()
    models.db.execute_sql("VACUUM ANALYZE")
    models.db.close()
    models.db.close_idle()
    return targets


@contextmanager
def _service(application: str, url: str) -> Iterator[int]:
    """Run a WSGI application under gunicorn; gives its port."""
    port = _free_port()
    settings = {
        "DATABASE_URL": url,
        "WEB_CONCURRENCY": str(PROCESSES),
        "RATELIMIT_ENABLED": "false",
        "LOG_LEVEL": "ERROR",
        "GUNICORN_CMD_ARGS": "--log-level error",
    }
    service = Service(HOST, port, os.environ | settings, application, has_worker=False)
    try:
        service.start()
        yield port
    finally:
        service.stop()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


def _compare_answers(todo: list[Operation], product: int, limit: int) -> None:
    """What is compared must do the same: where nothing changes, both answer the same."""
    for operation in todo:
        request = next(operation.requests(random.Random(0)))
        if operation.changes_nothing:
            one, other = (_answer(port, request) for port in (product, limit))
            if one != other:
                sys.exit(f"{operation.name}: the product answers\n{one}\nand the limit\n{other}")


def _answer(port: int, request: bytes) -> tuple[int, object]:
    with closing(load.connect(port)) as connection:
        status, body = load.answer(connection, request)
    return status, json.loads(body)


def _measure(todo: list[Operation], product: int, limit: int, rounds: int, seconds: float) -> list[Result]:
    for operation in todo:
        load.run(product, operation, WARM_UP_SECONDS)
        load.run(limit, operation, WARM_UP_SECONDS)
    measured: dict[str, list[tuple[load.Outcome, load.Outcome]]] = {operation.name: [] for operation in todo}
    for number in range(rounds):
        print(f"Round {number + 1} of {rounds} ...", flush=True)
        for operation in todo:
            both = load.run(product, operation, seconds), load.run(limit, operation, seconds)
            measured[operation.name].append(both)
    return [Result(name, outcomes) for name, outcomes in measured.items()]


def _conditions(options: argparse.Namespace) -> str:
    return (
        f"{data.KEYS:,} keys, {data.SESSIONS:,} closed sessions in {data.ASSESSMENTS} assessments; "
        f"{load.CONNECTIONS} connections, {PROCESSES} processes each, {options.rounds} rounds of {options.seconds:g} s"
    )


def _version(url: str) -> str:
    models.bind(url)
    (version,) = models.db.execute_sql("SHOW server_version").fetchone()
    models.db.close()
    models.db.close_idle()
    return f"PostgreSQL {version}, fsync on"


if __name__ == "__main__":
    main()
