"""Profile an operation with cProfile: many requests inside this process, on a real PostgreSQL.

cProfile slows Python down several times, so only the proportions of its times count. Processor time excludes waiting
for the database, and other work on the machine.
"""

import cProfile
import pstats
import random
import sys
import time
from functools import partial
from typing import Any

import config
import models
from app import create_app
from tests import postgres
from tools.benchmarks import data, processes
from tools.benchmarks.compare import SETTINGS
from tools.benchmarks.operations import OPERATIONS, Request

REQUESTS, FUNCTIONS = 300, 40


def profile(name: str) -> None:
    """Print the processor time of a request, in Python and in PostgreSQL, and the functions that need most."""
    operation, rng = OPERATIONS[name], random.Random(1)
    with postgres.start(durable=True, tcp=True) as server:
        url = server.create_database("proofstone_profile")
        app = create_app(config.load(SETTINGS | {"DATABASE_URL": url, "LOG_LEVEL": "ERROR"}))
        targets = data.fill(data.KEYS)
        # Built in advance: signing events takes processor time.
        requests = [operation.request(targets, rng) for _ in range(3 * REQUESTS)]
        send = partial(_send, app.test_client(), operation.status)
        send(requests[:REQUESTS])
        (backend,) = models.db.execute_sql("SELECT pg_backend_pid()").fetchone()
        before = time.process_time(), processes.processor_seconds([backend])
        send(requests[REQUESTS : 2 * REQUESTS])
        after = time.process_time(), processes.processor_seconds([backend])
        python, postgresql = (
            1000 * (end - start) / REQUESTS for start, end in zip(before, after, strict=True)
        )
        print(
            f"{operation.name}: {python:.2f} ms of processor time in Python, {postgresql:.2f} in PostgreSQL"
        )
        profiler = cProfile.Profile(time.process_time)
        profiler.runcall(send, requests[2 * REQUESTS :])
        models.db.close_all()
    statistics = pstats.Stats(profiler)
    for order in ("tottime", "cumtime"):
        statistics.sort_stats(order).print_stats(FUNCTIONS)


def _send(client: Any, status: int, requests: list[Request]) -> None:
    for request in requests:
        response = client.open(
            request.path, method=request.method, headers=request.headers, data=request.body or None
        )
        if response.status_code != status:
            sys.exit(f"Expected status {status}, got {response.status}: {response.text}")
