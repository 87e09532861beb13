"""How answers grow with the data: the same requests beside 10^4, 10^5 and 10^6 keys and sessions, and ten times as many
events; written to SCALE.md.

One request after the other, so that a time is what an answer takes and not what waiting for others takes.
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
from models import Organization
from tests import postgres
from tools.benchmarks import bulk, data, load, report, services

SCALE = Path(__file__).with_name("SCALE.md")
EVENTS_EACH = 10
LONG_SESSION_EVENTS = 20_000
# A page that lies deep in a list, or the last one of a shorter list.
DEEP_OFFSET = 100_000
MOST_DELETED = 100_000
PAGE, TIMELINE_PAGE = 50, 200
TIMES, MOST_SECONDS = 50, 10
FIRST, DEEP = "candidates, first page", f"candidates, page at offset {DEEP_OFFSET:,} or the end"
COHORT = "cohort statistics"
DELETED = f"delete an assessment with {MOST_DELETED:,} keys or as many as there are"
# How much longer it may take beside 1,000,000 keys than beside 10,000; all else should stay as it is.
MOST_GROWTH = {FIRST: "<= 1.5", DEEP: "<= 1.5", COHORT: "<= 3", DELETED: "< 1,000 ms"}

Measured = dict[str, float]  # ms by the name of the measurement


class World(NamedTuple):
    """What is asked for: ids as texts, tokens and a candidate's key."""

    size: int
    token: str
    cohort: str
    session: str
    long_session: str
    doomed: str
    candidate: data.OpenSession


@dataclass
class Client:
    """One connection to the service."""

    port: int
    token: str

    def __post_init__(self) -> None:
        self.connection = http.client.HTTPConnection(load.HOST, self.port, timeout=600)

    def ask(self, method: str, path: str, body: Any = None, key: str | None = None) -> Any:
        headers = {"X-API-Key": key} if key else {"Authorization": f"Bearer {self.token}"}
        headers["Content-Type"] = "application/json"
        self.connection.request(method, path, body and json.dumps(body), headers)
        answer = self.connection.getresponse()
        text = answer.read()
        if answer.status >= 300:
            raise SystemExit(f"{method} {path}: {answer.status} {text[:500]!r}")
        return json.loads(text)

    def close(self) -> None:
        self.connection.close()


def scale(exponents: Sequence[int]) -> None:
    """Measure at each size and write SCALE.md."""
    found = {}
    with postgres.start(durable=True, tcp=True) as server:
        for exponent in exponents:
            found[10**exponent] = _at(server, 10**exponent)
            server.drop_database("proofstone_scale")
    text = _document(found)
    SCALE.write_text(text)
    print(text)


def _at(server: postgres.Server, size: int) -> Measured:
    print(f"Filling in {size:,} keys and sessions, and {size * EVENTS_EACH:,} events ...", flush=True)
    url = server.create_database("proofstone_scale")
    models.bind(url)
    world = _fill(size)
    models.db.close()
    models.db.close_idle()
    with services.running(url) as service, closing(Client(service.port, world.token)) as client:
        return _measure(client, world)


def _fill(size: int) -> World:
    migrations.upgrade()
    organization, token = Organization.open("Large Ltd")
    cohort = data.open_assessment(organization, "Cohort")
    sessions = bulk.sessions(bulk.keys(cohort, size), size)
    bulk.events(sessions, EVENTS_EACH)
    alone = bulk.sessions(bulk.keys(data.open_assessment(organization, "Alone"), 1), 1)
    bulk.events(alone, LONG_SESSION_EVENTS)
    doomed = data.open_assessment(organization, "Doomed")
    bulk.keys(doomed, min(size, MOST_DELETED))
    candidate = data.open_session(data.open_assessment(organization, "Open"))
    data.keep_up()
    return World(
        size=size,
        token=token,
        cohort=str(cohort.id),
        session=str(sessions.id(size // 2)),
        long_session=str(alone.id(1)),
        doomed=str(doomed.id),
        candidate=candidate,
    )


def _measure(client: Client, world: World) -> Measured:
    offset = min(DEEP_OFFSET, world.size - PAGE)
    (before,) = client.ask("GET", f"/v1/candidates?limit=1&offset={offset - 1}")["candidates"]
    cursors = _timeline_cursors(client, world)
    timeline = f"/v1/sessions/{world.long_session}/timeline?limit={TIMELINE_PAGE}"
    paths = {
        FIRST: f"/v1/candidates?limit={PAGE}",
        DEEP: f"/v1/candidates?limit={PAGE}&offset={offset}",
        "candidates, the same page by cursor": f"/v1/candidates?limit={PAGE}&after={before['id']}",
        COHORT: f"/v1/assessments/{world.cohort}/cohort-stats?sessionId={world.session}",
        "timeline of 20,000 events, first page": timeline,
        "timeline of 20,000 events, page in the middle": f"{timeline}&after={cursors[len(cursors) // 2]}",
        "timeline of 20,000 events, last page": f"{timeline}&after={cursors[-1]}",
    }
    found = {name: _time(partial(client.ask, "GET", path)) for name, path in paths.items()}
    found |= {
        "ingest one event": _time(lambda: _ingest(client, world)),
        "create an assessment, within the quota": _time(lambda: _create(client)),
        "a key that is there already (onDuplicate=return)": _time(lambda: _issue_again(client, world)),
    }
    return found | _delete(client, world)


def _time(ask: Callable[[], Any]) -> float:
    """The median of some times, in ms; the first one, which meets cold caches, is left out."""
    ask()
    times: list[float] = []
    until = time.monotonic() + MOST_SECONDS
    while not times or (len(times) < TIMES and time.monotonic() < until):
        times.append(_once(ask))
    return median(times)


def _once(ask: Callable[[], Any]) -> float:
    begun = time.perf_counter()
    ask()
    return (time.perf_counter() - begun) * 1000


def _timeline_cursors(client: Client, world: World) -> list[str]:
    """Where each page after the first begins, as one finds out by walking through."""
    path = f"/v1/sessions/{world.long_session}/timeline?limit={TIMELINE_PAGE}"
    cursors = []
    following = client.ask("GET", path)["next"]
    while following:
        cursors.append(following)
        following = client.ask("GET", f"{path}&after={following}")["next"]
    return cursors


def _ingest(client: Client, world: World) -> None:
    event = {
        "id": str(uuid.uuid4()),
        "sessionId": world.candidate.id,
        "ts": "2026-04-02T09:12:44Z",
        "kind": "prompt",
        "v": 1,
    }
    client.ask("POST", "/v1/hooks/ingest", event | {"data": {"text": "Why?"}}, world.candidate.key)


def _create(client: Client) -> None:
    client.ask(
        "POST", "/v1/assessments", {"title": "One more", "role": "Engineer", "taskBrief": "Find them."}
    )


def _issue_again(client: Client, world: World) -> None:
    path = f"/v1/assessments/{world.doomed}/keys"
    client.ask(
        "POST", path, {"count": 1, "candidateEmails": ["candidate1@example.com"], "onDuplicate": "return"}
    )


def _delete(client: Client, world: World) -> Measured:
    """Delete an assessment with many keys, while a candidate's events go on coming in."""
    longest, has_begun, is_over = 0.0, threading.Event(), threading.Event()

    def go_on() -> None:
        nonlocal longest
        with closing(Client(client.port, client.token)) as other:
            while not is_over.is_set():
                longest = max(longest, _once(lambda: _ingest(other, world)))
                has_begun.set()

    other = threading.Thread(target=go_on)
    other.start()
    has_begun.wait()
    deleted = _once(lambda: client.ask("DELETE", f"/v1/assessments/{world.doomed}"))
    is_over.set()
    other.join()
    return {
        DELETED: deleted,
        "longest ingest meanwhile": longest,
    }


def _document(found: dict[int, Measured]) -> str:
    sizes = list(found)
    names = list(found[sizes[0]])
    head = ["ms", *(f"{size:,}" for size in sizes), "largest / smallest", "target"]
    rows = [
        [
            name,
            *(f"{found[size][name]:.1f}" for size in sizes),
            _growth(found, name),
            MOST_GROWTH.get(name, "flat"),
        ]
        for name in names
    ]
    return f"""# Growth

`make bench options=--scale`: medians of the times of answers, one request after the other, beside so many keys and as
many closed sessions in one assessment, and {EVENTS_EACH} times as many events. Their envelopes have about 250 bytes,
where real ones have 500 to 2,000: what is measured does not read them, and the disk has to hold them.

{report.markdown(head, rows)}

- Everything is on that is on by default; {services.PROCESSES} processes, PostgreSQL durable with its default settings.
- {report.machine()}; {date.today().isoformat()}.
"""


def _growth(found: dict[int, Measured], name: str) -> str:
    return f"{found[max(found)][name] / found[min(found)][name]:.2f}"
