"""The data that is measured on: an organization with history, and one that grows while it is measured.

What is read belongs to the first and stays as it is; events and keys go to the second, so that the reads of the
last round meet the same tables as those of the first.
"""

import random
from collections.abc import Iterator
from datetime import timedelta
from itertools import islice
from typing import Any, NamedTuple

import migrations
from models import (
    Assessment,
    CandidateKey,
    Consent,
    Delivery,
    Organization,
    Reviewer,
    Session,
    clock,
    db,
    recounts,
)
from models.base import new_id

ASSESSMENTS = 4
KEYS = 10_000
SESSIONS = 2_000
OPEN_SESSIONS = 32
ROWS_AT_A_TIME = 1_000
SEED = 2


class Targets(NamedTuple):
    """What the requests name."""

    token: str
    candidates: list[tuple[str, str]]  # key, id of its assessment
    sessions: list[tuple[str, str]]  # id, id of its assessment
    growing_token: str
    growing_assessment: str
    open_sessions: list[tuple[str, str]]  # key, id


def fill() -> Targets:
    """Migrate the empty database that the models are bound to, and fill it."""
    migrations.upgrade()
    history, token = Organization.open("History Ltd")
    growing, growing_token = Organization.open("Growing Ltd")
    with db.atomic():
        assessments = [_assessment(history, f"Assessment {number}") for number in range(ASSESSMENTS)]
        keys = list(_keys(assessments))
        _insert(CandidateKey, keys)
        _insert(Delivery, map(_delivery, keys))
        sessions = list(_sessions(keys[:SESSIONS]))
        _insert(Session, sessions)
        for assessment in assessments:
            recounts.rebuild(assessment)
    assessment = _assessment(growing, "Growing")
    return Targets(
        token=token,
        candidates=[(key["key"], str(key["assessment"].id)) for key in keys[::10]],
        sessions=[(str(row["id"]), str(row["assessment"].id)) for row in sessions[::10]],
        growing_token=growing_token,
        growing_assessment=str(assessment.id),
        open_sessions=[_open_session(assessment) for _ in range(OPEN_SESSIONS)],
    )


def _assessment(organization: Organization, title: str) -> Assessment:
    values = {"title": title, "role": "Backend Engineer", "task_brief": "Find the lost orders. " * 20}
    return Assessment.open(
        Reviewer(organization=organization), **values, repo_url="https://example.com/orders"
    )


def _keys(assessments: list[Assessment]) -> Iterator[dict[str, Any]]:
    now = clock.now()
    for number in range(KEYS):
        person = {"email": f"candidate{number}@example.com", "name": f"Candidate {number}"}
        row = CandidateKey.row(
            assessments[number % len(assessments)], person, now - timedelta(minutes=KEYS - number)
        )
        yield row | {"expires_at": now + timedelta(days=7)}


def _delivery(key: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": key["invitation_id"],
        "organization": key["organization"],
        "kind": "invitation",
        "subject_id": key["id"],
        "data": {"orgName": "History Ltd"},
        "state": "sent",
        "attempts": 1,
        "sent_at": key["created_at"],
    }


def _sessions(keys: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Completed sessions with metrics such as real ones have: some have no change, many share a value."""
    chance = random.Random(SEED)
    for key in keys:
        begun = key["created_at"] + timedelta(hours=1)
        duration = chance.randint(600_000, 14_400_000)
        closed = begun + timedelta(milliseconds=duration)
        yield {
            "id": new_id(),
            "organization": key["organization"],
            "assessment": key["assessment"],
            "key": key["id"],
            "created_at": begun,
            "closed_at": closed,
            "closed_by": "candidate",
            "completed_at": closed,
            "derivation_version": 1,
            "event_count": 200,
            "duration_ms": duration,
            "prompt_count": chance.randint(1, 80),
            "command_fail_rate": chance.choice((0, 50_000_000, 142_857_143, 333_333_333)),
            "verify_intensity": chance.randint(0, 2_000_000_000),
            "manual_edit_ratio": chance.randint(0, 1_000_000_000),
            "first_change_latency_ms": chance.choice((None, chance.randint(5_000, 900_000))),
            "tests_passed": chance.choice((True, False, None)),
            "further_metrics": {},
        }


def _open_session(assessment: Assessment) -> tuple[str, str]:
    (key_id,) = assessment.issue_keys([{"email": None, "name": None}])
    key = CandidateKey.get_by_id(key_id)
    Consent.give(key, None, None)
    return key.key, str(Session.redeem(key.key).id)


def _insert(table: Any, rows: Any) -> None:
    remaining = iter(rows)
    while part := list(islice(remaining, ROWS_AT_A_TIME)):
        table.insert_many(part).execute()
