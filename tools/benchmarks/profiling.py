"""Profile operations with cProfile: many requests inside this process, on a real PostgreSQL.

cProfile slows Python down several times, so only the proportions of its times count. The first lines are measured
without it.
"""

import cProfile
import io
import pstats
import random
import re
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr
from itertools import islice
from pathlib import Path
from typing import Any

from werkzeug.test import EnvironBuilder

import config
import models
from app import create_app
from tests import postgres
from tools.benchmarks import data, processes
from tools.benchmarks.operations import OPERATIONS, Operation
from tools.benchmarks.services import SETTINGS

MAX_REQUESTS, MAX_SECONDS = 500, 4
WARM_UP_REQUESTS = 10
MAX_FUNCTIONS = 15
ROOT = Path(__file__).parents[2]
# The group of each package.
GROUPS = {
    "flask": "Flask, Werkzeug",
    "werkzeug": "Flask, Werkzeug",
    "flask_smorest": "flask-smorest, webargs",
    "webargs": "flask-smorest, webargs",
    "marshmallow": "marshmallow",
    "peewee.py": "peewee",
    "playhouse": "peewee",
    "limits": "limits",
}
DATABASE = "psycopg2 (execute, fetch, commit)"
WAITING = re.compile(r"of 'psycopg2.extensions.(cursor|connection)' objects")

Function = tuple[str, int, str]  # file, line, name
Times = dict[Function, tuple]  # calls, primitive calls, own time, cumulative time, callers


def profile(name: str | None) -> None:
    """Print the profile of one operation, or of each."""
    chosen = [operation for operation in OPERATIONS if name in (None, operation.short)]
    if not chosen:
        sys.exit(f"No such operation. Choose from {', '.join(operation.short for operation in OPERATIONS)}.")
    with postgres.start(durable=True, tcp=True) as server, _quiet():
        url = server.create_database("proofstone_profile")
        app = create_app(config.load(SETTINGS | {"DATABASE_URL": url}))
        targets = data.fill(data.Size())
        for operation in chosen:
            _profile(operation, app, targets)
            sys.stdout.flush()
        models.db.close()
        models.db.close_idle()


@contextmanager
def _quiet() -> Iterator[None]:
    """Send the service's log to a file, as in production."""
    with tempfile.TemporaryFile("w") as log, redirect_stderr(log):
        yield


def _profile(operation: Operation, app: Callable, targets: data.Targets) -> None:
    # Built in advance: signing events takes processor time.
    count = WARM_UP_REQUESTS + 2 * MAX_REQUESTS
    requests = iter([*islice(_environments(operation, targets), count)])
    for _ in range(WARM_UP_REQUESTS):
        _request(app, next(requests), operation.status)
    (backend,) = models.db.execute_sql("SELECT pg_backend_pid()").fetchone()
    statements = _Statements()
    start = time.perf_counter(), time.process_time(), processes.processor_seconds([backend])
    with statements:
        count = _repeat(lambda: _request(app, next(requests), operation.status))
    end = time.perf_counter(), time.process_time(), processes.processor_seconds([backend])
    wall, python, postgresql = ((after - before) / count for before, after in zip(start, end, strict=True))
    print(f"\n== {operation.name} ({operation.short}): {_ms(wall)} ms per request")
    print(f"Processor time: {_ms(python)} ms in Python, {_ms(postgresql)} ms in PostgreSQL\n")
    statements.show(count)
    # Processor time excludes other work on the machine and waiting for the database.
    profiler = cProfile.Profile(time.process_time)
    count = _repeat(lambda: profiler.runcall(_request, app, next(requests), operation.status))
    _show(pstats.Stats(profiler).stats, count)  # type: ignore[attr-defined]


def _repeat(call: Callable[[], None]) -> int:
    """Call until MAX_REQUESTS or MAX_SECONDS is reached; returns the number of calls."""
    until = time.monotonic() + MAX_SECONDS
    count = 0
    while count < MAX_REQUESTS and time.monotonic() < until:
        call()
        count += 1
    return count


def _environments(operation: Operation, targets: data.Targets) -> Iterator[dict[str, Any]]:
    rng = random.Random(1)
    while True:
        request = operation.request(targets, rng)
        body = request.body.encode()
        path, _, query = request.path.partition("?")
        builder = EnvironBuilder(
            path, query_string=query, method=request.method, headers=[*request.headers.items()]
        )
        builder.input_stream = io.BytesIO(body)
        builder.content_length = len(body)
        yield builder.get_environ() | {"REMOTE_ADDR": "127.0.0.1"}


def _request(app: Callable, environment: dict[str, Any], status: int) -> None:
    statuses = []
    response = app(environment, lambda line, headers, error=None: statuses.append(line))
    b"".join(response)
    response.close()
    if not statuses[0].startswith(str(status)):
        sys.exit(f"Expected status {status}, got {statuses[0]}.")


class _Statements:
    """Counts and times the statements sent within the `with` block, by text."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.calls: Counter[str] = Counter()

    def __enter__(self) -> None:
        self.execute = models.db.obj.execute_sql
        models.db.obj.execute_sql = self._execute

    def __exit__(self, *error: object) -> None:
        models.db.obj.execute_sql = self.execute

    def _execute(self, sql: str, *further: Any) -> Any:
        start = time.perf_counter()
        try:
            return self.execute(sql, *further)
        finally:
            self.seconds[sql] += time.perf_counter() - start
            self.calls[sql] += 1

    def show(self, requests: int) -> None:
        total = _ms(sum(self.seconds.values()) / requests)
        print(f"{self.calls.total() / requests:.1f} statements, {total} ms:")
        for sql, seconds in sorted(self.seconds.items(), key=lambda item: -item[1]):
            short = re.sub(r'"t\d+"\.|"', "", " ".join(sql.split()))
            short = short if len(short) < 100 else f"{short[:50]} ... {short[-45:]}"
            print(f"{self.calls[sql] / requests:6.1f} x {_ms(seconds / requests)} ms  {short}")


def _show(times: Times, requests: int) -> None:
    total = sum(stats[2] for stats in times.values())
    print(f"\nUnder the profiler, {_ms(total / requests)} ms per request:")
    for group, seconds in sorted(_by_group(times).items(), key=lambda item: -item[1]):
        if seconds / total > 0.005:
            print(f"{_ms(seconds / requests)} ms {seconds / total:4.0%}  {group}")
    for title, column in (("own time", 2), ("cumulative time", 3)):
        print(f"\nFunctions by {title}, ms and calls per request:")
        for function, stats in sorted(times.items(), key=lambda item: -item[1][column])[:MAX_FUNCTIONS]:
            calls = stats[1] / requests
            print(f"{_ms(stats[column] / requests)} {calls:6.1f} x  {_label(function)}")


def _by_group(times: Times) -> dict[str, float]:
    """Own times by group; time in built-in functions counts for their callers."""
    groups: defaultdict[str, float] = defaultdict(float)
    for function, (_, _, own, _, callers) in times.items():
        if function[0] != "~" or WAITING.search(function[2]):
            groups[_group(function)] += own
        else:
            for caller, stats in callers.items():
                groups[_group(caller)] += stats[2]
    return groups


def _group(function: Function) -> str:
    file, _, name = function
    if WAITING.search(name):
        return DATABASE
    if "site-packages/" in file:
        package = file.split("site-packages/")[1].split("/")[0]
        return GROUPS.get(package, package)
    if Path(file).is_relative_to(ROOT):
        return f"Proofstone: {Path(file).relative_to(ROOT)}"
    return "standard library"


def _label(function: Function) -> str:
    file, line, name = function
    return name if file == "~" else f"{'/'.join(Path(file).parts[-2:])}:{line} {name}"


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:7.3f}"
