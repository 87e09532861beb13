"""Test data: an organization with a long history that does not change, and one that receives all writes."""

import random
from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple
from uuid import UUID

import migrations
import models
from models import (
    ApiToken,
    Assessment,
    CandidateKey,
    Consent,
    Delivery,
    Organization,
    Session,
    create_organization,
    db,
    generate_keys,
    sessions,
)
from models.base import clock, is_postgres, new_id
from rules.ledger.keys import parse_keys
from tests.live.service import LEDGER_KEYS
from tools.demo.client_events import Signer

ASSESSMENTS, KEYS, FEW_KEYS = 10, 100_000, 1_000
# Requests that generate keys for the same assessment run one after the other (models/deliveries/limit.py).
GROWING_ASSESSMENTS = 16
BATCH = 500
OPEN_SESSIONS = 64
SAMPLES = 1_000


class OpenSession(NamedTuple):
    """A session that accepts events, with its client's signer."""

    key: str
    id: str
    signer: Signer


class Targets(NamedTuple):
    """Ids and credentials for the requests."""

    keys: int
    token: str
    candidates: list[tuple[str, str]]  # key, assessment id
    growing_token: str
    growing_assessments: list[str]
    open_sessions: list[OpenSession]


def bind(url: str) -> None:
    """Bind the models to a database, with the services' ledger key."""
    models.bind(url)
    models.ledger_keys.use(parse_keys(LEDGER_KEYS))


def fill(keys: int) -> Targets:
    """Migrate and fill the empty database to which the models are bound."""
    migrations.upgrade()
    history, token = create_organization("History Ltd")
    growing, growing_token = create_organization("Growing Ltd")
    ids: list[UUID] = []
    for number in range(ASSESSMENTS):
        assessment = create_assessment(history, f"Assessment {number}")
        key_ids = add_keys(assessment, keys // ASSESSMENTS)
        add_completed_sessions(assessment, key_ids[::2])
        ids += key_ids
    Delivery.update(state="sent", attempts=1, sent_at=clock.now()).execute()
    sample = CandidateKey.select().where(CandidateKey.id.in_(random.Random(2).sample(ids, SAMPLES)))
    growing_assessments = [
        create_assessment(growing, f"Growing {number}") for number in range(GROWING_ASSESSMENTS)
    ]
    open_sessions = [open_session(growing_assessments[0], seed) for seed in range(OPEN_SESSIONS)]
    db.execute_sql("VACUUM ANALYZE" if is_postgres() else "ANALYZE")
    return Targets(
        keys=keys,
        token=token,
        candidates=[(row.key, str(row.assessment_id)) for row in sample],
        growing_token=growing_token,
        growing_assessments=[str(assessment.id) for assessment in growing_assessments],
        open_sessions=open_sessions,
    )


def create_assessment(organization: Organization, title: str) -> Assessment:
    values = {"title": title, "role": "Backend Engineer", "task_brief": "Find the lost orders. " * 20}
    return Assessment.create_within_quota(
        ApiToken(organization=organization), **values, repo_url="https://example.com/orders"
    )


def add_keys(assessment: Assessment, size: int) -> list[UUID]:
    """Generate keys with invitations. Returns their ids."""
    ids: list[UUID] = []
    while len(ids) < size:
        numbers = range(len(ids), min(len(ids) + BATCH, size))
        candidates = [
            {"email": f"candidate{number}@{assessment.id}.example", "name": f"Candidate {size - number}"}
            for number in numbers
        ]
        ids += [row.id for row in generate_keys(assessment.organization, assessment.id, candidates)]
    return ids


def add_completed_sessions(assessment: Assessment, key_ids: Sequence[UUID]) -> None:
    """Add a completed session for each key. Some metrics are missing and many are equal, as in real cohorts."""
    rows = []
    for number, key_id in enumerate(key_ids):
        started_at = clock.now() - timedelta(seconds=10_000 + number)
        duration_ms = 600_000 + number * 104_729 % 9_000_000
        closed_at = started_at + timedelta(milliseconds=duration_ms)
        rows.append({
            "id": new_id(), "created_at": started_at, "organization": assessment.organization_id,
            "assessment": assessment, "key": key_id, "closed_at": closed_at, "completed_at": closed_at,
            "closed_by": "candidate", "derivation_version": 1, "event_count": 200, "duration_ms": duration_ms,
            "prompt_count": number * 7_919 % 80 + 1, "command_fail_rate": (0, 50_000_000, 142_857_143)[number % 3],
            "verify_intensity": number * 15_485_863 % 2_000_000_001,
            "manual_edit_ratio": number * 32_452_843 % 1_000_000_001,
            "first_change_latency_ms": number * 49_979_687 % 895_001 if number % 5 else None,
            "tests_passed": (True, False, None)[number % 3], "known_exit_code_count": 40, "file_change_count": 30,
            "attributed_change_count": 20, "further_metrics": {},
        })  # fmt: skip
    for start in range(0, len(rows), BATCH):
        Session.insert_many(rows[start : start + BATCH]).execute()


def open_session(assessment: Assessment, seed: int) -> OpenSession:
    """Create a key and redeem it with a client's public key."""
    (row,) = generate_keys(assessment.organization, assessment.id, [{"email": None, "name": None}])
    key = CandidateKey.get_by_id(row.id)
    Consent.record(key, None, None)
    signer = Signer(seed)
    return OpenSession(key.key, str(sessions.redeem(key.key, signer.public_key).id), signer)
