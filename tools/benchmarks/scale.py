"""Measure response times with 10^4, 10^5 and 10^6 keys and sessions, and ten times as many events, for SCALE.md.

Requests are sent one after another, so no time includes waiting for others.
"""

import http.client
import json
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import migrations
import models
from models import open_organization
from tests import postgres
from tools.benchmarks import bulk, data, load, report, services

SCALE = Path(__file__).with_name("SCALE.md")
EVENTS_PER_SESSION = 10
LONG_SESSION_EVENTS = 20_000
# A page far from the start of a long list, or the last one of a shorter list.
DEEP_OFFSET = 100_000
MAX_DELETED_KEYS = 100_000
PAGE, TIMELINE_PAGE = 50, 200
MAX_SAMPLES, MAX_SECONDS = 50, 10
FIRST, DEEP = "candidates, first page", f"candidates, page at offset {DEEP_OFFSET:,} or the end"
RESULTS, BY_PROMPTS = "results, first page", "results, most prompts first"
COHORT = "cohort statistics"
DELETED = f"delete an assessment with at most {MAX_DELETED_KEYS:,} keys"
# The accepted ratio of the times with 1,000,000 and 10,000 keys. The others should not grow.
MAX_GROWTH = {
    FIRST: "<= 1.5",
    DEEP: "<= 1.5",
    RESULTS: "<= 2",
    BY_PROMPTS: "<= 2",
    COHORT: "<= 3",
    DELETED: "< 1,000 ms",
}

Times = dict[str, float]  # ms by measurement


class World(NamedTuple):
    """Ids, tokens and a candidate's key for the requests."""

    size: int
    token: str
    cohort: str
    session: str
    long_session: str
    deleted: str
    candidate: data.OpenSession


@dataclass
class Client:
    """One connection to the service."""

    port: int
    token: str

    def __post_init__(self) -> None:
        self.connection = http.client.HTTPConnection(load.HOST, self.port, timeout=600)

    def request(self, method: str, path: str, body: Any = None, key: str | None = None) -> Any:
        headers = {"X-API-Key": key} if key else {"Authorization": f"Bearer {self.token}"}
        headers["Content-Type"] = "application/json"
        self.connection.request(method, path, body and json.dumps(body), headers)
        response = self.connection.getresponse()
        text = response.read()
        if response.status >= 300:
            raise SystemExit(f"{method} {path}: {response.status} {text[:500]!r}")
        return json.loads(text)

    def close(self) -> None:
        self.connection.close()


def scale(exponents: Sequence[int]) -> None:
    """Measure at each size and write SCALE.md."""
    times = {}
    with postgres.start(durable=True, tcp=True) as server:
        for exponent in exponents:
            times[10**exponent] = _measure_size(server, 10**exponent)
            server.drop_database("proofstone_scale")
    text = _document(times)
    SCALE.write_text(text)
    print(text)


def _measure_size(server: postgres.Server, size: int) -> Times:
    print(f"Inserting {size:,} keys and sessions, and {size * EVENTS_PER_SESSION:,} events ...", flush=True)
    url = server.create_database("proofstone_scale")
    models.bind(url)
    world = _fill(size)
    models.db.close()
    models.db.close_idle()
    with services.running(url) as service, closing(Client(service.port, world.token)) as client:
        return _measure(client, world)


def _fill(size: int) -> World:
    migrations.upgrade()
    organization, token = open_organization("Large Ltd")
    cohort = data.open_assessment(organization, "Cohort")
    sessions = bulk.sessions(bulk.keys(cohort, size), size)
    bulk.events(sessions, EVENTS_PER_SESSION)
    long_session = bulk.sessions(bulk.keys(data.open_assessment(organization, "Long session"), 1), 1)
    bulk.events(long_session, LONG_SESSION_EVENTS)
    deleted = data.open_assessment(organization, "Deleted")
    bulk.keys(deleted, min(size, MAX_DELETED_KEYS))
    candidate = data.open_session(data.open_assessment(organization, "Open"))
    data.update_statistics()
    return World(
        size=size,
        token=token,
        cohort=str(cohort.id),
        session=str(sessions.id(size // 2)),
        long_session=str(long_session.id(1)),
        deleted=str(deleted.id),
        candidate=candidate,
    )


def _measure(client: Client, world: World) -> Times:
    offset = min(DEEP_OFFSET, world.size - PAGE)
    (before,) = client.request("GET", f"/v1/candidates?limit=1&offset={offset - 1}")["candidates"]
    cursors = _timeline_cursors(client, world)
    timeline = f"/v1/sessions/{world.long_session}/timeline?limit={TIMELINE_PAGE}"
    results = f"/v1/assessments/{world.cohort}/results?limit={PAGE}"
    paths = {
        FIRST: f"/v1/candidates?limit={PAGE}",
        DEEP: f"/v1/candidates?limit={PAGE}&offset={offset}",
        "candidates, the same page by cursor": f"/v1/candidates?limit={PAGE}&after={before['id']}",
        RESULTS: results,
        BY_PROMPTS: f"{results}&sort=promptCount&order=desc",
        COHORT: f"/v1/assessments/{world.cohort}/cohort-stats?sessionId={world.session}",
        "timeline of 20,000 events, first page": timeline,
        "timeline of 20,000 events, page in the middle": f"{timeline}&after={cursors[len(cursors) // 2]}",
        "timeline of 20,000 events, last page": f"{timeline}&after={cursors[-1]}",
        "sessions, first page": f"/v1/sessions?limit={PAGE}",
    }
    times = {name: _median_ms(partial(client.request, "GET", path)) for name, path in paths.items()}
    times |= {
        "ingest one event": _median_ms(lambda: _ingest(client, world)),
        "create an assessment within the quota": _median_ms(lambda: _create(client)),
        "return an existing key (onDuplicate=return)": _median_ms(lambda: _issue_again(client, world)),
    }
    return times | _delete(client, world)


def _median_ms(request: Callable[[], Any]) -> float:
    """The median time of a request, after a first one that fills the caches."""
    request()
    times: list[float] = []
    deadline = time.monotonic() + MAX_SECONDS
    while not times or (len(times) < MAX_SAMPLES and time.monotonic() < deadline):
        times.append(_milliseconds(request))
    return median(times)


def _milliseconds(request: Callable[[], Any]) -> float:
    start = time.perf_counter()
    request()
    return (time.perf_counter() - start) * 1000


def _timeline_cursors(client: Client, world: World) -> list[str]:
    """The cursor of each page after the first."""
    path = f"/v1/sessions/{world.long_session}/timeline?limit={TIMELINE_PAGE}"
    cursors = []
    cursor = client.request("GET", path)["next"]
    while cursor:
        cursors.append(cursor)
        cursor = client.request("GET", f"{path}&after={cursor}")["next"]
    return cursors


def _ingest(client: Client, world: World) -> None:
    event = {
        "id": str(uuid.uuid4()),
        "sessionId": world.candidate.id,
        "ts": "2026-04-02T09:12:44Z",
        "kind": "prompt",
        "v": 1,
    }
    client.request("POST", "/v1/hooks/ingest", event | {"data": {"text": "Why?"}}, world.candidate.key)


def _create(client: Client) -> None:
    client.request(
        "POST", "/v1/assessments", {"title": "One more", "role": "Engineer", "taskBrief": "Find them."}
    )


def _issue_again(client: Client, world: World) -> None:
    path = f"/v1/assessments/{world.deleted}/keys"
    client.request(
        "POST", path, {"count": 1, "candidateEmails": ["candidate1@example.com"], "onDuplicate": "return"}
    )


def _delete(client: Client, world: World) -> Times:
    """Delete an assessment with many keys while a candidate sends events."""
    slowest_ingest, started, stopped = 0.0, threading.Event(), threading.Event()

    def ingest() -> None:
        nonlocal slowest_ingest
        with closing(Client(client.port, client.token)) as candidate:
            while not stopped.is_set():
                slowest_ingest = max(slowest_ingest, _milliseconds(lambda: _ingest(candidate, world)))
                started.set()

    thread = threading.Thread(target=ingest)
    thread.start()
    started.wait()
    deletion = _milliseconds(lambda: client.request("DELETE", f"/v1/assessments/{world.deleted}"))
    stopped.set()
    thread.join()
    return {DELETED: deletion, "slowest ingest during the deletion": slowest_ingest}


def _document(times: dict[int, Times]) -> str:
    sizes = list(times)
    names = list(times[sizes[0]])
    head = ["ms", *(f"{size:,}" for size in sizes), "largest / smallest", "target"]
    rows = [
        [
            name,
            *(f"{times[size][name]:.1f}" for size in sizes),
            f"{times[max(sizes)][name] / times[min(sizes)][name]:.2f}",
            MAX_GROWTH.get(name, "flat"),
        ]
        for name in names
    ]
    return f"""# Growth

`make bench options=--scale`: median response times by the number of keys and closed sessions in one assessment, with
{EVENTS_PER_SESSION} times as many events. Requests are sent one after another. Envelopes have about 250 bytes; real
ones have 500 to 2,000, but no measured request reads them.

{report.markdown(head, rows)}

- Default settings, {services.PROCESSES} processes, durable PostgreSQL with its default settings.
- {report.machine()}; {date.today().isoformat()}.
"""
