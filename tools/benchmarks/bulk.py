"""Many rows by one statement each, on both databases: 100,000 keys with what belongs to them take seconds.

A row's values are expressions over its number `i`; what a model fills in by itself is filled in here as well, so
that a new column needs no word. Numbers stand in for chance, so that every run fills in the same.
"""

import json
import time
from collections.abc import Iterable
from itertools import count
from typing import Any, NamedTuple
from uuid import UUID

from models import Assessment, CandidateKey, Delivery, Event, Session, db
from models.base import is_postgres
from rules.candidate_keys import ALPHABET

BATCHES = count(1)
DAY_SECONDS = 86_400
# A prime, so that the keys of neighbours are as far apart as those that chance makes.
STRIDE, ALL_KEYS = 982_451_653, len(ALPHABET) ** 8
ENVELOPE = '{"id":"%s","kind":"command","data":{"command":"pytest -q tests/test_orders.py -x","exitCode":0,"stdout":"'


class Batch(NamedTuple):
    """Rows 1 to `size` of an assessment, `number` the batch's own in their ids."""

    assessment: Assessment
    size: int
    number: int
    begun: float

    def id(self, row: int) -> UUID:
        return UUID(f"{_prefix(self.number)}{row:012x}")

    def ids(self, rows: Iterable[int]) -> list[UUID]:
        return [self.id(row) for row in rows]


def keys(assessment: Assessment, size: int) -> Batch:
    """Keys with their sent invitations, one a second until now; they expire in a week."""
    batch = Batch(assessment, size, next(BATCHES), time.time() - size)
    invitation = _uuid(next(BATCHES))
    common = {
        "organization_id": f"'{_id(assessment.organization_id)}'",
        "created_at": _moment(f"{batch.begun} + i"),
    }
    own = {
        "id": _uuid(batch.number),
        "assessment_id": f"'{_id(assessment.id)}'",
        "key": _key(batch.number),
        "candidate_email": "'candidate' || i || '@example.com'",
        "candidate_name": "'Candidate ' || i",
        "address": "'candidate' || i || '@example.com'",
        "search_text": "'candidate ' || i || char10 || 'candidate' || i || '@example.com'",
        "invitation_id": invitation,
        "expires_at": _moment(str(time.time() + 7 * DAY_SECONDS)),
    }
    own["search_text"] = own["search_text"].replace("char10", "chr(10)" if is_postgres() else "char(10)")
    sent = {
        "id": invitation,
        "kind": "'invitation'",
        "subject_id": _uuid(batch.number),
        "data": """'{"orgName": "History Ltd"}'""",
        "state": "'sent'",
        "attempts": "1",
        "due_at": common["created_at"],
        "sent_at": common["created_at"],
    }
    insert(CandidateKey, common | own, size)
    insert(Delivery, common | sent, size)
    return batch


def sessions(of: Batch, size: int) -> Batch:
    """Completed sessions of the batch's first keys, with metrics such as real ones have: some have no change, many
    share a value."""
    batch = of._replace(size=size, number=next(BATCHES))
    duration = "(600000 + i * 104729 % 13800000)"
    closed_at = _moment(f"{of.begun} + i + {duration} / 1000")
    columns = {
        "id": _uuid(batch.number),
        "organization_id": f"'{_id(of.assessment.organization_id)}'",
        "assessment_id": f"'{_id(of.assessment.id)}'",
        "key_id": _uuid(of.number),
        "created_at": _moment(f"{of.begun} + i"),
        "closed_at": closed_at,
        "completed_at": closed_at,
        "closed_by": "'candidate'",
        "derivation_version": "1",
        "event_count": "200",
        "duration_ms": duration,
        "prompt_count": "i * 7919 % 80 + 1",
        "command_fail_rate": "CASE i % 4 WHEN 0 THEN 0 WHEN 1 THEN 50000000 WHEN 2 THEN 142857143 ELSE 333333333 END",
        "verify_intensity": "i * 15485863 % 2000000001",
        "manual_edit_ratio": "i * 32452843 % 1000000001",
        "first_change_latency_ms": "CASE WHEN i % 5 > 0 THEN 5000 + i * 49979687 % 895001 END",
        "tests_passed": "CASE i % 3 WHEN 0 THEN TRUE WHEN 1 THEN FALSE END",
        "further_metrics": "'{}'",
    }
    insert(Session, columns, size)
    return batch


def events(batch: Batch, each: int) -> None:
    """`each` events for every session of the batch, in its order of time, with envelopes of about 250 bytes: real
    ones are some times as large, which costs disk and nothing else that is measured."""
    session = f"((i - 1) / {each} + 1)"
    nanoseconds = f"{int(batch.begun) * 10**9} + i * 1000000000"
    envelope = ENVELOPE.replace("%s", "e' || i || '") + "." * 120 + '"}}'
    columns = {
        "session_id": _uuid(batch.number, session),
        "event_id": "'e' || i",
        "kind": "'command'",
        "source": "'terminal'",
        "actor": "'human'",
        "time_ns": nanoseconds,
        "received_at": _moment(f"{batch.begun} + i / 1000"),
        "late": "FALSE",
        "subject": "'pytest -q tests/test_orders.py -x'",
        "size": "250",
        "verdict": "'unsigned'",
        "envelope": f"'{envelope}'",
    }
    insert(Event, columns, batch.size * each)


def insert(model: Any, columns: dict[str, str], size: int) -> None:
    """Insert rows 1 to `size`."""
    values = _defaults(model) | columns
    statement = f"INSERT INTO {model._meta.table_name} ({', '.join(values)}) SELECT {', '.join(values.values())} FROM "
    if is_postgres():
        # What peewee hands over is formatted once more.
        db.execute_sql(statement.replace("%", "%%") + f"generate_series(1, {size}::bigint) AS numbers(i)")
        return
    counted = f"SELECT 1 AS i UNION ALL SELECT i + 1 FROM numbers WHERE i < {size}"
    db.execute_sql(f"{statement} (WITH RECURSIVE numbers(i) AS ({counted}) SELECT i FROM numbers)")


def _defaults(model: Any) -> dict[str, str]:
    plain = {field.column_name: field.default for field in model._meta.sorted_fields if not field.null}
    found = {name: value() if value in (list, dict) else value for name, value in plain.items()}
    return {
        name: _literal(value) for name, value in found.items() if value is not None and not callable(value)
    }


def _literal(value: Any) -> str:
    if isinstance(value, bool | int):
        return str(value).upper()
    return f"'{value if isinstance(value, str) else json.dumps(value)}'"


def _prefix(number: int) -> str:
    """A UUIDv7 of which the last twelve digits are left."""
    return f"019a0000-0000-7000-8{number:03x}-"


def _uuid(number: int, row: str = "i") -> str:
    if is_postgres():
        return f"('{_prefix(number)}' || lpad(to_hex({row}), 12, '0'))::uuid"
    return f"'{_prefix(number).replace('-', '')}' || printf('%012x', {row})"


def _id(value: UUID) -> str:
    return str(value) if is_postgres() else value.hex


def _moment(seconds: str) -> str:
    if is_postgres():
        return f"to_timestamp({seconds})"
    return f"strftime('%Y-%m-%dT%H:%M:%fZ', {seconds}, 'unixepoch')"


def _key(number: int) -> str:
    drawn = f"(({number * 10_000_000} + i) * {STRIDE} % {ALL_KEYS})"
    letters = [f"substr('{ALPHABET}', CAST({drawn} / {30**place} % 30 AS int) + 1, 1)" for place in range(8)]
    return f"'PST-' || {' || '.join(letters[:4])} || '-' || {' || '.join(letters[4:])}"
