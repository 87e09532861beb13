"""Test data: an organization with a long history, one with a large cohort, and one that receives all writes.

Reads use the first two, which do not change, so every round reads the same rows.
"""

import base64
import random
from dataclasses import dataclass
from typing import Any, NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import migrations
from models import (
    ApiToken,
    Assessment,
    CandidateKey,
    Consent,
    Organization,
    db,
    generate_keys,
    open_organization,
    sessions,
)
from models.base import is_postgres
from tests.live import scripted_chain
from tools.benchmarks import bulk

ASSESSMENTS = 10
KEYS = 100_000
SESSIONS = 100_000
OPEN_SESSIONS = 64
SAMPLES = 1_000
SEED = 2


class Size(NamedTuple):
    """The keys of the organization with a history, and the sessions of the cohort."""

    keys: int = KEYS
    sessions: int = SESSIONS


# For checks and the footprint.
SMALL = Size(keys=1_000, sessions=200)


@dataclass
class OpenSession:
    """A session that accepts events, and the state of its signature chain."""

    key: str
    id: str
    signing_key: Ed25519PrivateKey
    last_signature: str = ""

    def sign(self, event: dict[str, Any]) -> dict[str, Any]:
        """Sign the event as the next one of the chain."""
        previous = self.last_signature
        self.last_signature = self.signing_key.sign(scripted_chain.message(event, previous)).hex()
        return event | {"sig": self.last_signature} | ({"prevSig": previous} if previous else {})


class Targets(NamedTuple):
    """Ids and credentials for the requests."""

    size: Size
    token: str
    candidates: list[tuple[str, str]]  # key, id of its assessment
    cohort_token: str
    cohort: str  # id of the assessment
    sessions: list[str]
    growing_token: str
    growing_assessment: str
    open_sessions: list[OpenSession]


def fill(size: Size) -> Targets:
    """Migrate the empty database that the models are bound to, and fill it."""
    migrations.upgrade()
    rng = random.Random(SEED)
    history, token = open_organization("History Ltd")
    cohort_organization, cohort_token = open_organization("Cohort Ltd")
    growing, growing_token = open_organization("Growing Ltd")
    batches = [
        _insert_history(history, f"Assessment {number}", size.keys // ASSESSMENTS)
        for number in range(ASSESSMENTS)
    ]
    sessions = _insert_cohort(cohort_organization, size.sessions)
    assessment = open_assessment(growing, "Growing")
    open_sessions = [open_session(assessment) for _ in range(OPEN_SESSIONS)]
    update_statistics()
    return Targets(
        size=size,
        token=token,
        candidates=[pair for batch in batches for pair in _sample_keys(batch, rng)],
        cohort_token=cohort_token,
        cohort=str(sessions.assessment.id),
        sessions=[str(id) for id in sessions.ids(_sample_rows(sessions, SAMPLES, rng))],
        growing_token=growing_token,
        growing_assessment=str(assessment.id),
        open_sessions=open_sessions,
    )


def update_statistics() -> None:
    """Update the database's statistics after a bulk insert."""
    db.execute_sql("VACUUM ANALYZE" if is_postgres() else "ANALYZE")


def open_assessment(organization: Organization, title: str) -> Assessment:
    values = {"title": title, "role": "Backend Engineer", "task_brief": "Find the lost orders. " * 20}
    reviewer = ApiToken(organization=organization)
    return Assessment.open(reviewer, **values, repo_url="https://example.com/orders")


def _insert_history(organization: Organization, title: str, size: int) -> bulk.Batch:
    """Insert keys; every second one was redeemed."""
    keys = bulk.keys(open_assessment(organization, title), size)
    bulk.sessions(keys, size // 2)
    return keys


def _insert_cohort(organization: Organization, size: int) -> bulk.Batch:
    return bulk.sessions(bulk.keys(open_assessment(organization, "Cohort"), size), size)


def _sample_keys(batch: bulk.Batch, rng: random.Random) -> list[tuple[str, str]]:
    ids = batch.ids(_sample_rows(batch, SAMPLES // ASSESSMENTS, rng))
    rows = CandidateKey.select().where(CandidateKey.id.in_(ids)).order_by(CandidateKey.id)
    return [(row.key, str(row.assessment_id)) for row in rows]


def _sample_rows(batch: bulk.Batch, count: int, rng: random.Random) -> list[int]:
    return rng.sample(range(1, batch.size + 1), min(count, batch.size))


def open_session(assessment: Assessment) -> OpenSession:
    """Redeem a new key, and register a signing key with the session."""
    (row,) = generate_keys(assessment.organization, assessment.id, [{"email": None, "name": None}])
    key = CandidateKey.get_by_id(row.id)
    Consent.give(key, None, None)
    signing_key = Ed25519PrivateKey.generate()
    public_key = base64.b64encode(signing_key.public_key().public_bytes_raw()).decode()
    return OpenSession(key.key, str(sessions.redeem(key.key, public_key).id), signing_key)
