"""The data that is measured on: an organization with history, one with a large cohort, and one that grows.

What is read belongs to the first two and stays as it is; events and keys go to the third, so that the reads of the
last round meet the same tables as those of the first.
"""

import random
from typing import NamedTuple

import migrations
from models import ApiToken, Assessment, CandidateKey, Consent, KeyCount, Organization, Session, db, recounts
from models.base import is_postgres
from tools.benchmarks import bulk

ASSESSMENTS = 10
KEYS = 100_000
SESSIONS = 100_000
OPEN_SESSIONS = 64
NAMED = 1_000
SEED = 2


class Size(NamedTuple):
    """How many keys the organization with history has, and how many sessions the cohort."""

    keys: int = KEYS
    sessions: int = SESSIONS


# Enough to see that all works.
SMALL = Size(keys=1_000, sessions=200)


class Targets(NamedTuple):
    """What the requests name."""

    size: Size
    token: str
    candidates: list[tuple[str, str]]  # key, id of its assessment
    cohort_token: str
    cohort: str  # id of the assessment
    sessions: list[str]
    growing_token: str
    growing_assessment: str
    open_sessions: list[tuple[str, str]]  # key, id


def fill(size: Size) -> Targets:
    """Migrate the empty database that the models are bound to, and fill it."""
    migrations.upgrade()
    chance = random.Random(SEED)
    history, token = Organization.open("History Ltd")
    crowd, cohort_token = Organization.open("Cohort Ltd")
    growing, growing_token = Organization.open("Growing Ltd")
    batches = [
        _history(history, f"Assessment {number}", size.keys // ASSESSMENTS) for number in range(ASSESSMENTS)
    ]
    sessions = _cohort(crowd, size.sessions)
    assessment = open_assessment(growing, "Growing")
    open_sessions = [open_session(assessment) for _ in range(OPEN_SESSIONS)]
    keep_up()
    return Targets(
        size=size,
        token=token,
        candidates=[pair for batch in batches for pair in _some_keys(batch, chance)],
        cohort_token=cohort_token,
        cohort=str(sessions.assessment.id),
        sessions=[str(id) for id in sessions.ids(_some_rows(sessions, NAMED, chance))],
        growing_token=growing_token,
        growing_assessment=str(assessment.id),
        open_sessions=open_sessions,
    )


def keep_up() -> None:
    """Do what happens by itself as data comes in through the API: the worker's sums, the database's statistics."""
    for assessment in Assessment.select():
        recounts.rebuild(assessment)
    KeyCount.fold()
    db.execute_sql("VACUUM ANALYZE" if is_postgres() else "ANALYZE")


def open_assessment(organization: Organization, title: str) -> Assessment:
    values = {"title": title, "role": "Backend Engineer", "task_brief": "Find the lost orders. " * 20}
    reviewer = ApiToken(organization=organization)
    return Assessment.open(reviewer, **values, repo_url="https://example.com/orders")


def _history(organization: Organization, title: str, size: int) -> bulk.Batch:
    """Keys of which every second one was redeemed."""
    keys = bulk.keys(open_assessment(organization, title), size)
    bulk.sessions(keys, size // 2)
    return keys


def _cohort(organization: Organization, size: int) -> bulk.Batch:
    return bulk.sessions(bulk.keys(open_assessment(organization, "Cohort"), size), size)


def _some_keys(batch: bulk.Batch, chance: random.Random) -> list[tuple[str, str]]:
    ids = batch.ids(_some_rows(batch, NAMED // ASSESSMENTS, chance))
    rows = CandidateKey.select().where(CandidateKey.id.in_(ids)).order_by(CandidateKey.id)
    return [(row.key, str(row.assessment_id)) for row in rows]


def _some_rows(batch: bulk.Batch, wanted: int, chance: random.Random) -> list[int]:
    return chance.sample(range(1, batch.size + 1), min(wanted, batch.size))


def open_session(assessment: Assessment) -> tuple[str, str]:
    (key_id,) = assessment.issue_keys([{"email": None, "name": None}])
    key = CandidateKey.get_by_id(key_id)
    Consent.give(key, None, None)
    return key.key, str(Session.redeem(key.key).id)
