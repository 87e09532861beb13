"""Where the time of an operation goes: many requests inside this process, on a real PostgreSQL, under cProfile.

The profiler counts this process's processor time and makes Python some times slower than it is: what the parts are
worth beside each other counts. The first lines say what a request takes without it.
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

MOST_REQUESTS, MOST_SECONDS = 500, 4
WARM_UP_REQUESTS = 10
SHOWN = 15
ROOT = Path(__file__).parents[2]
# By the names of packages; what is in none of these is the standard library.
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

Times = dict[tuple[str, int, str], tuple]


def profile(name: str | None) -> None:
    """Print the profile of one operation, or of each."""
    chosen = [operation for operation in OPERATIONS if name in (None, operation.short)]
    if not chosen:
        sys.exit(f"There is no such operation; there are {', '.join(each.short for each in OPERATIONS)}.")
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
    """What the service logs goes to a file, as in earnest."""
    with tempfile.TemporaryFile("w") as log, redirect_stderr(log):
        yield


def _profile(operation: Operation, app: Callable, targets: data.Targets) -> None:
    # Built in advance, because signing events takes processor time too.
    count = WARM_UP_REQUESTS + 2 * MOST_REQUESTS
    requests = iter([*islice(_environments(operation, targets), count)])
    for _ in range(WARM_UP_REQUESTS):
        _ask(app, next(requests), operation.status)
    (backend,) = models.db.execute_sql("SELECT pg_backend_pid()").fetchone()
    statements = _Statements()
    begun = time.perf_counter(), time.process_time(), processes.processor_seconds([backend])
    with statements:
        count = _repeat(lambda: _ask(app, next(requests), operation.status))
    ended = time.perf_counter(), time.process_time(), processes.processor_seconds([backend])
    wall, here, there = ((after - before) / count for before, after in zip(begun, ended, strict=True))
    print(f"\n== {operation.name} ({operation.short}): {_ms(wall)} ms a request")
    print(f"Processor time: {_ms(here)} ms here, {_ms(there)} ms in PostgreSQL\n")
    statements.show(count)
    # By processor time, so that other work on the machine does not show; waiting for the database does not either.
    profiler = cProfile.Profile(time.process_time)
    count = _repeat(lambda: profiler.runcall(_ask, app, next(requests), operation.status))
    _show(pstats.Stats(profiler).stats, count)  # type: ignore[attr-defined]


def _repeat(ask: Callable[[], None]) -> int:
    """Ask often, but not for long; returns how often."""
    until = time.monotonic() + MOST_SECONDS
    count = 0
    while count < MOST_REQUESTS and time.monotonic() < until:
        ask()
        count += 1
    return count


def _environments(operation: Operation, targets: data.Targets) -> Iterator[dict[str, Any]]:
    chance = random.Random(1)
    while True:
        request = operation.request(targets, chance)
        body = request.body.encode()
        path, _, query = request.path.partition("?")
        builder = EnvironBuilder(
            path, query_string=query, method=request.method, headers=[*request.headers.items()]
        )
        builder.input_stream = io.BytesIO(body)
        builder.content_length = len(body)
        yield builder.get_environ() | {"REMOTE_ADDR": "127.0.0.1"}


def _ask(app: Callable, environment: dict[str, Any], status: int) -> None:
    answered = []
    answer = app(environment, lambda line, headers, error=None: answered.append(line))
    b"".join(answer)
    answer.close()
    if not answered[0].startswith(str(status)):
        sys.exit(f"The answer was {answered[0]}.")


class _Statements:
    """What is sent to the database inside of the `with`, by its text."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.calls: Counter[str] = Counter()

    def __enter__(self) -> None:
        self.execute = models.db.obj.execute_sql
        models.db.obj.execute_sql = self._execute

    def __exit__(self, *error: object) -> None:
        models.db.obj.execute_sql = self.execute

    def _execute(self, sql: str, *further: Any) -> Any:
        begun = time.perf_counter()
        try:
            return self.execute(sql, *further)
        finally:
            self.seconds[sql] += time.perf_counter() - begun
            self.calls[sql] += 1

    def show(self, requests: int) -> None:
        total = _ms(sum(self.seconds.values()) / requests)
        print(f"{self.calls.total() / requests:.1f} statements, {total} ms:")
        for sql, seconds in sorted(self.seconds.items(), key=lambda item: -item[1]):
            brief = re.sub(r'"t\d+"\.|"', "", " ".join(sql.split()))
            brief = brief if len(brief) < 100 else f"{brief[:50]} ... {brief[-45:]}"
            print(f"{self.calls[sql] / requests:6.1f} x {_ms(seconds / requests)} ms  {brief}")


def _show(times: Times, requests: int) -> None:
    total = sum(found[2] for found in times.values())
    print(f"\nUnder the profiler, {_ms(total / requests)} ms a request:")
    for group, seconds in sorted(_by_group(times).items(), key=lambda item: -item[1]):
        if seconds / total > 0.005:
            print(f"{_ms(seconds / requests)} ms {seconds / total:4.0%}  {group}")
    for title, place in (("own time", 2), ("time with what they call", 3)):
        print(f"\nFunctions by {title}, ms and calls a request:")
        for function, found in sorted(times.items(), key=lambda item: -item[1][place])[:SHOWN]:
            calls = found[1] / requests
            print(f"{_ms(found[place] / requests)} {calls:6.1f} x  {_named(function)}")


def _by_group(times: Times) -> dict[str, float]:
    """Own times by group; a built-in function's is its callers'."""
    groups: defaultdict[str, float] = defaultdict(float)
    for place, (_, _, own, _, callers) in times.items():
        if place[0] != "~" or WAITING.search(place[2]):
            groups[_group(place)] += own
        else:
            for caller, found in callers.items():
                groups[_group(caller)] += found[2]
    return groups


def _group(place: tuple[str, int, str]) -> str:
    file, _, function = place
    if WAITING.search(function):
        return DATABASE
    if "site-packages/" in file:
        package = file.split("site-packages/")[1].split("/")[0]
        return GROUPS.get(package, package)
    if Path(file).is_relative_to(ROOT):
        return f"ours: {Path(file).relative_to(ROOT)}"
    return "standard library"


def _named(place: tuple[str, int, str]) -> str:
    file, line, function = place
    return function if file == "~" else f"{'/'.join(Path(file).parts[-2:])}:{line} {function}"


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:7.3f}"
