"""Two organizations with everything in them: whoever belongs to one walks all ids of the other through every operation,
in path, query and body, and finds nothing, changes nothing, and is told nothing."""

import json
from collections import Counter
from functools import partial

import pytest
from callers import Caller

from tests.hostile.operations import DOCUMENT, every_operation
from tests.hostile.world import (
    FOREIGN_MARK,
    NOT_FOUND,
    UNAUTHENTICATED,
    body_with,
    places,
    quick_on,
    snapshot,
    undone,
)

# Every operation with every id and everybody takes its time.
pytestmark = pytest.mark.slow

CASTS = ("writer", "reader", "candidate", "finished")
PROXIES = "/v1/proxy/"
# Members that name a row or an object; `evidence` and `id` name events, `key` is a credential of its own.
NAMING = ("issueId", "rubricId", "sessionId", "evidence", "bundleKey")


class Walk:
    """Calls as one of the cast, with foreign ids in place of the own ones, and counts the calls by operation."""

    def __init__(self, world):
        self.world = world
        own = world.own
        finished = Caller.candidate(world.app, own.finished.key)
        self.casts = dict(zip(CASTS, (own.reviewer, own.reader, own.candidate, finished), strict=True))
        self.foreign = [
            *dict.fromkeys(map(str, [*world.foreign.ids.values(), world.foreign.organization.id]))
        ]
        self.foreign.remove("quality")  # the same everywhere
        self.cases = Counter()

    def call(self, who, operation, path=None, body=None, query=None):
        self.cases[str(operation)] += 1
        if body is None and operation.members is not None:
            body = json.dumps(self.world.body(operation)).encode()
        headers = {"Content-Type": "application/json"} if body is not None else {}
        environ = {
            "PATH_INFO": path or self.world.path(operation),
            "QUERY_STRING": operation.query if query is None else query,
        }
        caller = self.casts[who]
        ask = partial(caller.request, operation.method, "/", headers, data=body, environ_overrides=environ)
        if operation.path.startswith(PROXIES):
            return ask()  # answers in its provider's shape; nothing is set up, so that nothing succeeds
        return undone(ask)

    def refused(self, who, operation, answer):
        """What is answered for what is not one's own depends on who one is, never on whether it exists."""
        takes = {"writer": "reviewerToken", "reader": "reviewerToken"}.get(who, "candidateKey")
        if not operation.callers:
            assert answer.status_code in (403, 404), (who, operation)
        elif takes not in operation.callers:
            assert answer.json == UNAUTHENTICATED, (who, operation)
        elif who == "reader" and answer.status_code == 403:
            assert answer.json["code"] == "insufficient_scope", operation
        else:
            assert answer.json == NOT_FOUND, (who, operation)


@pytest.fixture
def walk(world):
    return Walk(world)


@quick_on("sqlite")
def test_no_id_of_others_is_found_in_a_path(walk):
    before = snapshot()
    for operation in every_operation():
        if operation.path.startswith(PROXIES):
            continue
        for filled in _paths(walk, operation):
            for who in CASTS:
                answer = walk.call(who, operation, path=walk.world.path(operation, **filled))
                walk.refused(who, operation, answer)
    assert snapshot() == before


def _paths(walk, operation):
    """Each parameter with each foreign id, and all of them as they belong together."""
    for parameter in operation.path_parameters:
        if parameter != "criterion":
            yield from ({parameter: one} for one in walk.foreign)
    theirs = {name: walk.world.foreign.ids[name] for name in operation.path_parameters}
    if set(theirs) - {"criterion"}:
        yield theirs


@quick_on("sqlite")
def test_no_query_shows_anything_of_others(walk):
    before = snapshot()
    words = [*walk.foreign, FOREIGN_MARK, "open@example.com"]
    for operation in every_operation():
        for parameter in operation.query_parameters:
            for one in words:
                for who in CASTS:
                    # The world's check refuses an answer with the others' mark in it.
                    walk.call(who, operation, query=f"{parameter}={one}")
    assert snapshot() == before


@quick_on("sqlite")
def test_no_id_of_others_is_taken_in_a_body(walk):
    before = snapshot()
    taken = set()
    for operation in every_operation():
        body = walk.world.body(operation) or {}
        for place in (place for place in places(body) if place[-1] in NAMING):
            for one in walk.foreign:
                value = json.dumps([one] if place[-1] == "evidence" else one).encode()
                for who in CASTS:
                    answer = walk.call(who, operation, body=body_with(body, place, value))
                    if answer.status_code < 400:
                        taken.add((str(operation), place[-1]))
    assert snapshot() == before
    # A bundle that is not there under this name is kept as a fact, and never verified.
    assert taken == {("POST /v1/candidate/submit-code", "bundleKey")}


def test_a_bundle_of_others_is_never_ones_own(walk):
    (operation,) = (each for each in every_operation() if each.path.endswith("/submit-code"))
    body = walk.world.body(operation) | {"bundleKey": walk.world.foreign.ids["objectKey"]}
    answer = walk.call("candidate", operation, body=json.dumps(body).encode())
    assert answer.json == {"ok": True, "verified": False}


@quick_on("sqlite")
def test_every_operation_is_walked_by_everybody(walk):
    """As everybody with the own ids: nothing of the others shows. Counted, so that none is left out."""
    for operation in every_operation():
        for who in CASTS:
            answer = walk.call(who, operation)
            assert answer.status_code < 500
            assert FOREIGN_MARK not in answer.text
    documented = {
        f"{method.upper()} {path}"
        for path, item in DOCUMENT["paths"].items()
        for method in item
        if method in ("get", "post", "put", "patch", "delete")
    }
    assert set(walk.cases) == documented
    assert set(walk.cases.values()) == {len(CASTS)}
