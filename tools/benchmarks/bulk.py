"""Insert many rows with one statement per table, on both databases: 100,000 keys take seconds.

Values are SQL expressions over the row number `i`, so every run inserts the same rows. Columns that are not named get
the model's default.
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
# A prime, so that consecutive rows get distant keys.
STRIDE, ALL_KEYS = 982_451_653, len(ALPHABET) ** 8
ENVELOPE = '{"id":"%s","kind":"command","data":{"command":"pytest -q tests/test_orders.py -x","exitCode":0,"stdout":"'


class Batch(NamedTuple):
    """Rows 1 to `size` of an assessment; their ids contain the batch's number."""

    assessment: Assessment
    size: int
    number: int
    started: float

    def id(self, row: int) -> UUID:
        return UUID(f"{_prefix(self.number)}{row:012x}")

    def ids(self, rows: Iterable[int]) -> list[UUID]:
        return [self.id(row) for row in rows]


def keys(assessment: Assessment, size: int) -> Batch:
    """Keys with sent invitations, one per second until now, that expire in a week."""
    batch = Batch(assessment, size, next(BATCHES), time.time() - size)
    invitation = _uuid(next(BATCHES))
    common = {
        "organization_id": f"'{_id(assessment.organization_id)}'",
        "created_at": _timestamp(f"{batch.started} + i"),
    }
    key_columns = {
        "id": _uuid(batch.number),
        "assessment_id": f"'{_id(assessment.id)}'",
        "key": _key(batch.number),
        "candidate_email": "'candidate' || i || '@example.com'",
        "candidate_name": "'Candidate ' || i",
        "address": "'candidate' || i || '@example.com'",
        "sort_name": "'candidate ' || i",
        "search_text": "'candidate ' || i || char10 || 'candidate' || i || '@example.com'",
        "invitation_id": invitation,
        "expires_at": _timestamp(str(time.time() + 7 * DAY_SECONDS)),
    }
    key_columns["search_text"] = key_columns["search_text"].replace(
        "char10", "chr(10)" if is_postgres() else "char(10)"
    )
    invitation_columns = {
        "id": invitation,
        "kind": "'invitation'",
        "subject_id": _uuid(batch.number),
        "data": """'{"orgName": "History Ltd"}'""",
        "state": "'sent'",
        "attempts": "1",
        "due_at": common["created_at"],
        "sent_at": common["created_at"],
    }
    insert(CandidateKey, common | key_columns, size)
    insert(Delivery, common | invitation_columns, size)
    return batch


def sessions(keys: Batch, size: int) -> Batch:
    """Completed sessions of the batch's first keys. As in real ones, some metrics are null and many are equal."""
    batch = keys._replace(size=size, number=next(BATCHES))
    duration = "(600000 + i * 104729 % 13800000)"
    closed_at = _timestamp(f"{keys.started} + i + {duration} / 1000")
    columns = {
        "id": _uuid(batch.number),
        "organization_id": f"'{_id(keys.assessment.organization_id)}'",
        "assessment_id": f"'{_id(keys.assessment.id)}'",
        "key_id": _uuid(keys.number),
        "created_at": _timestamp(f"{keys.started} + i"),
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
        "known_exit_code_count": "i * 6700417 % 60",
        "file_change_count": "CASE WHEN i % 5 > 0 THEN 1 + i * 104729 % 60 ELSE 0 END",
        "attributed_change_count": "i * 7919 % 60",
        "further_metrics": "'{}'",
    }
    insert(Session, columns, size)
    return batch


def events(batch: Batch, per_session: int) -> None:
    """Events of every session of the batch, in order of time, with envelopes of about 250 bytes.

    Real envelopes are larger, but no measured request reads them.
    """
    session = f"((i - 1) / {per_session} + 1)"
    nanoseconds = f"{int(batch.started) * 10**9} + i * 1000000000"
    envelope = ENVELOPE.replace("%s", "e' || i || '") + "." * 120 + '"}}'
    columns = {
        "session_id": _uuid(batch.number, session),
        "event_id": "'e' || i",
        "kind": "'command'",
        "source": "'terminal'",
        "actor": "'human'",
        "time_ns": nanoseconds,
        "received_at": _timestamp(f"{batch.started} + i / 1000"),
        "late": "FALSE",
        "subject": "'pytest -q tests/test_orders.py -x'",
        "size": "250",
        "verdict": "'unsigned'",
        "envelope": f"'{envelope}'",
    }
    insert(Event, columns, batch.size * per_session)


def insert(model: Any, columns: dict[str, str], size: int) -> None:
    """Insert rows 1 to `size`."""
    values = _defaults(model) | columns
    statement = f"INSERT INTO {model._meta.table_name} ({', '.join(values)}) SELECT {', '.join(values.values())} FROM "
    if is_postgres():
        # psycopg2 formats the statement, so `%` is escaped.
        db.execute_sql(statement.replace("%", "%%") + f"generate_series(1, {size}::bigint) AS numbers(i)")
        return
    numbers = f"SELECT 1 AS i UNION ALL SELECT i + 1 FROM numbers WHERE i < {size}"
    db.execute_sql(f"{statement} (WITH RECURSIVE numbers(i) AS ({numbers}) SELECT i FROM numbers)")


def _defaults(model: Any) -> dict[str, str]:
    """The SQL literals of the model's constant defaults."""
    defaults = {field.column_name: field.default for field in model._meta.sorted_fields if not field.null}
    values = {name: default() if default in (list, dict) else default for name, default in defaults.items()}
    return {
        name: _literal(value) for name, value in values.items() if value is not None and not callable(value)
    }


def _literal(value: Any) -> str:
    if isinstance(value, bool | int):
        return str(value).upper()
    return f"'{value if isinstance(value, str) else json.dumps(value)}'"


def _prefix(number: int) -> str:
    """A UUIDv7 without its last twelve digits."""
    return f"019a0000-0000-7000-8{number:03x}-"


def _uuid(number: int, row: str = "i") -> str:
    if is_postgres():
        return f"('{_prefix(number)}' || lpad(to_hex({row}), 12, '0'))::uuid"
    return f"'{_prefix(number).replace('-', '')}' || printf('%012x', {row})"


def _id(value: UUID) -> str:
    return str(value) if is_postgres() else value.hex


def _timestamp(seconds: str) -> str:
    if is_postgres():
        return f"to_timestamp({seconds})"
    return f"strftime('%Y-%m-%dT%H:%M:%fZ', {seconds}, 'unixepoch')"


def _key(number: int) -> str:
    permuted = f"(({number * 10_000_000} + i) * {STRIDE} % {ALL_KEYS})"
    letters = [
        f"substr('{ALPHABET}', CAST({permuted} / {30**digit} % 30 AS int) + 1, 1)" for digit in range(8)
    ]
    return f"'PST-' || {' || '.join(letters[:4])} || '-' || {' || '.join(letters[4:])}"
