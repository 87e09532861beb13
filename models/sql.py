"""SQL for the most frequent statements, and helpers that run it on both databases.

All other queries use Peewee; tools/benchmarks/README.md compares the costs. Table aliases: `k` candidate_keys,
`s` sessions, `a` assessments, `d` deliveries (the latest invitation).
"""

import hashlib
import re
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

import orjson
import peewee

from models.database import db, is_postgres
from rules.timestamps import format_timestamp

_PARAMETER = re.compile(r"(?<!:):([a-z_]+\d*)")


def rows(text: str, **values: Any) -> list[tuple]:
    """Run a statement with `:name` parameters and return all its rows."""
    return execute(text, **values).fetchall()


def execute(text: str, **values: Any) -> Any:
    """Run a statement with `:name` parameters and return the cursor."""
    parameters = {name: _to_parameter(value) for name, value in values.items()}
    return db.execute_sql(_for_psycopg(text) if is_postgres() else text, parameters)


def prepare(text: str) -> str:
    """Return a command that runs the statement, which PostgreSQL parses and plans once per connection.

    The best plan must not depend on the values. Each parameter needs a type, which `:name IS NULL` does not give it.
    """
    if not (is_postgres() and db.prepares):
        return text
    commands = db.connection().commands
    if text not in commands:
        # Behind a pooler, a connection can find statements of other connections. The name never refers to another text.
        name = f"proofstone_{hashlib.sha256(text.encode()).hexdigest()[:16]}"
        parameters = list(dict.fromkeys(_PARAMETER.findall(text)))
        numbered = _PARAMETER.sub(lambda match: f"${parameters.index(match[1]) + 1}", text)
        db.execute_sql(f"PREPARE {name} AS {numbered}")
        commands[text] = f"EXECUTE {name} ({', '.join(f':{parameter}' for parameter in parameters)})"
    return commands[text]


@lru_cache
def _for_psycopg(text: str) -> str:
    return _PARAMETER.sub(r"%(\1)s", text)


def _to_parameter(value: Any) -> Any:
    if isinstance(value, UUID):
        return value.hex
    if isinstance(value, datetime):
        return value if is_postgres() else format_timestamp(value)
    if isinstance(value, tuple):
        items = [_to_parameter(item) for item in value]
        return items if is_postgres() else orjson.dumps(items).decode()
    return orjson.dumps(value, default=_to_hex).decode() if isinstance(value, dict | list) else value


def _to_hex(value: bytes) -> str:
    """Format bytes as PostgreSQL reads them from text."""
    return f"\\x{value.hex()}"


def node(text: str, **values: Any) -> peewee.SQL:
    """Wrap SQL text with `:name` parameters for a Peewee query that uses the aliases above."""
    names = _PARAMETER.findall(text)
    return peewee.SQL(_PARAMETER.sub(db.param, text), [_to_parameter(values[name]) for name in names])


def any_of(name: str, kind: str = "text") -> str:
    """Return the condition that a column equals one of the tuple `:name`.

    kind -- the column's type on PostgreSQL
    """
    return f"= ANY(:{name}::{kind}[])" if is_postgres() else f"IN (SELECT value FROM json_each(:{name}))"


def insert(model: Any, rows: Sequence[dict[str, Any]], **shared: Any) -> None:
    """Insert rows in one statement.

    rows -- dicts with the same keys
    shared -- columns with the same value in all rows; missing columns get the model's defaults
    """
    for field in model._meta.sorted_fields:
        if field.default is not None and field.column_name not in rows[0]:
            default = field.default() if callable(field.default) else field.default
            shared.setdefault(field.column_name, default)
    table, names = model._meta.table_name, tuple(rows[0])
    if is_postgres():
        # One JSON value is parsed faster than a literal for each column of each row.
        execute(prepare(_insert_json(table, names, tuple(shared))), rows=rows, **shared)
    else:
        parameters = {
            f"{name}{number}": value for number, row in enumerate(rows) for name, value in row.items()
        }
        execute(_insert_values(table, names, tuple(shared), len(rows)), **parameters, **shared)


@lru_cache
def _insert_json(table: str, names: tuple[str, ...], shared: tuple[str, ...]) -> str:
    values = ", ".join((*names, *(f":{name}" for name in shared)))
    source = f"json_populate_recordset(NULL::{table}, :rows)"
    return f"INSERT INTO {table} ({', '.join((*names, *shared))}) SELECT {values} FROM {source}"


@lru_cache
def _insert_values(table: str, names: tuple[str, ...], shared: tuple[str, ...], count: int) -> str:
    end = "".join(f", :{name}" for name in shared)
    rows = (", ".join(f":{name}{number}" for name in names) + end for number in range(count))
    return f"INSERT INTO {table} ({', '.join((*names, *shared))}) VALUES ({'), ('.join(rows)})"


class Columns:
    """Columns of a table, by default all: builds their SELECT list, and instances from rows."""

    def __init__(self, model: Any, alias: str, names: str = "") -> None:
        self._model, self._names = model, names.split() or model._meta.sorted_field_names
        fields = [getattr(model, name) for name in self._names]
        self._converters = [field.python_value for field in fields]
        self.text = ", ".join(f"{alias}.{field.column_name}" for field in fields)

    def build(self, row: Sequence[Any]) -> Any:
        """Build an instance with only these columns."""
        return self._model(**self.values(row))

    def values(self, row: Sequence[Any]) -> dict[str, Any]:
        """Convert the columns. For many rows, this is much faster than building instances."""
        converted = (convert(value) for convert, value in zip(self._converters, row, strict=True))
        return dict(zip(self._names, converted, strict=True))

    def __len__(self) -> int:
        return len(self._names)


# Authentication. Columns replace the braces.

API_TOKEN = """
    SELECT {token}, {organization}, {user}
    FROM api_tokens t JOIN organizations o ON o.id = t.organization_id LEFT JOIN users p ON p.id = t.user_id
    WHERE t.fingerprint = :fingerprint AND t.revoked_at IS NULL AND (t.expires_at IS NULL OR t.expires_at > :now)
      AND (t.user_id IS NULL OR p.active)
"""

SIGN_IN = """
    SELECT {sign_in}, {token}, {organization}, {user}
    FROM sign_ins s JOIN api_tokens t ON t.id = s.token_id JOIN organizations o ON o.id = t.organization_id
    LEFT JOIN users p ON p.id = t.user_id
    WHERE s.fingerprint = :fingerprint AND s.ended_at IS NULL AND s.expires_at > :now
      AND (s.method <> 'token' OR t.revoked_at IS NULL AND (t.expires_at IS NULL OR t.expires_at > :now))
      AND (t.user_id IS NULL OR p.active)
"""

CANDIDATE_KEY = """
    SELECT {key}, a.id, a.organization_id, a.title, a.role, a.task_brief, a.repo_url, a.issue_id, a.rubric_id,
           a.time_limit_minutes, a.expires_in_days, a.created_at, a.updated_at,
           (SELECT s.repository_token FROM sessions s WHERE s.key_id = k.id)
    FROM candidate_keys k JOIN assessments a ON a.id = k.assessment_id
    WHERE k.key = :key AND k.revoked_at IS NULL AND a.deleted_at IS NULL
"""

# The only definition of the status (R17). A key without a session has no row `s`.

STATUS = """CASE
        WHEN s.hired_at IS NOT NULL THEN 'hired'
        WHEN s.completed_at IS NOT NULL THEN 'completed'
        WHEN s.closed_at IS NOT NULL OR s.closes_at <= :now THEN 'expired'
        WHEN s.id IS NOT NULL THEN 'active'
        WHEN k.expires_at <= :now THEN 'expired'
        ELSE 'pending'
    END"""

STATUS_OF_KEY = f"""
    SELECT {STATUS} FROM candidate_keys k LEFT JOIN sessions s ON s.key_id = k.id WHERE k.id = :key_id
"""

# True if key `k` belongs to a blind assessment and the user has not scored every criterion (models/visibility.py).

HIDDEN = """EXISTS (
        SELECT 1 FROM assessments b WHERE b.id = k.assessment_id AND b.blind AND NOT EXISTS (
            SELECT 1 FROM sessions x JOIN completed_scorings c ON c.session_id = x.id
            WHERE x.key_id = k.id AND c.user_id = :user_id
        )
    )"""
HIDDEN_KEYS = f"SELECT k.id FROM candidate_keys k WHERE k.id {{ids}} AND {HIDDEN}"

# True if other reviewers' scores of session `s` of key `k` are visible to the user (R49, models/visibility.py). A
# decision that was undone keeps `decided_at`.

SCORED_BY_USER = "SELECT 1 FROM completed_scorings c WHERE c.session_id = s.id AND c.user_id = :user_id"
SCORES_VISIBLE = f"""(
        k.decided_at IS NOT NULL
        OR EXISTS ({SCORED_BY_USER})
        OR EXISTS (
            SELECT 1 FROM score_reveals v WHERE v.assessment_id = s.assessment_id AND v.user_id = :user_id
              AND (v.session_id IS NULL OR v.session_id = s.id)
        )
    )"""
SESSIONS_WITH_VISIBLE_SCORES = f"""
    SELECT s.id FROM sessions s JOIN candidate_keys k ON k.id = s.key_id WHERE s.id {{ids}} AND {SCORES_VISIBLE}
"""

# Candidate lists. Without filters, `_VISIBLE_KEYS` reads only the candidate_keys_in_order index.

_VISIBLE_KEYS = """
    FROM candidate_keys k {session}
    WHERE k.organization_id = :organization_id AND k.revoked_at IS NULL
      AND k.assessment_id NOT IN
        (SELECT id FROM assessments WHERE organization_id = :organization_id AND deleted_at IS NOT NULL)
"""
_KEY_FILTERS = {
    "assessment_id": "AND k.assessment_id = :assessment_id",
    "key_id": "AND k.id = :key_id",
    "external_id": "AND k.external_id = :external_id",
    "pattern": "AND k.search_text LIKE :pattern ESCAPE '!'",
    "user_id": f"AND NOT {HIDDEN}",
    "status": f"AND {STATUS} = :status",
    "created_after": "AND k.created_at > :created_after",
    # Reads index ranges. `updated_at` is null until the first change.
    "updated_after": """AND k.id IN (
        SELECT id FROM candidate_keys WHERE organization_id = :organization_id AND created_at > :updated_after
        UNION ALL
        SELECT id FROM candidate_keys WHERE organization_id = :organization_id AND updated_at > :updated_after
        UNION ALL
        SELECT key_id FROM sessions WHERE organization_id = :organization_id AND created_at > :updated_after
        UNION ALL
        SELECT key_id FROM sessions WHERE organization_id = :organization_id AND updated_at > :updated_after
      )""",
    "last_id": "AND (k.created_at, k.id) > (:last_created_at, :last_id)",
    "first_id": "AND (k.created_at, k.id) < (:last_created_at, :first_id)",
}
_CANDIDATES = f"""
    SELECT k.id, k.key, k.assessment_id, k.organization_id, {STATUS}, k.candidate_email, k.candidate_name,
           k.external_id, k.metadata, s.id, k.expires_at, s.created_at, s.completed_at, k.created_at,
           k.erasure_requested_at, d.state, d.attempts, d.last_error, d.sent_at, k.decision, k.decision_reason,
           k.decision_finding_reason, k.decided_at, COALESCE(p.id, t.id), COALESCE(p.name, t.name),
           p.id IS NOT NULL, a.title, k.updated_at, s.updated_at
    FROM candidate_keys k JOIN assessments a ON a.id = k.assessment_id
    LEFT JOIN sessions s ON s.key_id = k.id LEFT JOIN deliveries d ON d.id = k.invitation_id
    LEFT JOIN api_tokens t ON t.id = k.decided_by_id LEFT JOIN users p ON p.id = t.user_id
"""


@lru_cache
def candidates(filters: frozenset[str], is_page: bool, newest_first: bool = False) -> str:
    """Select candidates as rows for schemas.keys. A page takes the parameters `limit` and `offset`."""
    order = "ORDER BY k.created_at DESC, k.id DESC" if newest_first else "ORDER BY k.created_at, k.id"
    page = f"{order} LIMIT :limit OFFSET :offset" if is_page else ""
    return f"{_CANDIDATES} WHERE k.id IN (SELECT k.id {_filtered_keys(filters)} {page}) {order}"


@lru_cache
def count_candidates(filters: frozenset[str]) -> str:
    return f"SELECT count(*) {_filtered_keys(filters)}"


def _filtered_keys(filters: frozenset[str]) -> str:
    session = "LEFT JOIN sessions s ON s.key_id = k.id" if "status" in filters else ""
    conditions = [text for name, text in _KEY_FILTERS.items() if name in filters]
    return "\n".join([_VISIBLE_KEYS.format(session=session), *conditions])


# Open keys by address, locked so that no erasure runs before their names are returned.

OPEN_KEYS = f"""
    SELECT k.address, k.id FROM candidate_keys k LEFT JOIN sessions s ON s.key_id = k.id
    WHERE k.assessment_id = :assessment_id AND k.address {{addresses}} AND k.revoked_at IS NULL
      AND {STATUS} IN ('pending', 'active')
    ORDER BY k.id {{lock}}
"""

EXTERNAL_IDS = "SELECT k.id, k.external_id FROM candidate_keys k WHERE k.id {ids}"

# PostgreSQL locks the assessment.

ASSESSMENT_OF_NEW_KEYS = """
    SELECT {assessment} FROM assessments a
    WHERE a.id = :assessment_id AND a.organization_id = :organization_id AND a.deleted_at IS NULL {lock}
"""

# Messages that count toward the email limit (models/deliveries/limit.py). With a join, PostgreSQL would read all of the
# assessment's keys.

RECENT_MESSAGES = """
    SELECT d.id, d.address, d.due_at FROM deliveries d
    WHERE d.address {addresses} AND d.due_at > :since AND (d.attempts > 0 OR d.state = 'queued')
      AND (SELECT k.assessment_id FROM candidate_keys k WHERE k.id = d.subject_id) = :assessment_id
    ORDER BY d.due_at DESC
"""

# Insert one event if the key's session is open and has space (R4, R29). PostgreSQL looks up, locks and inserts in one
# statement; SQLite runs OPEN_SESSION and INSERT_EVENT in one transaction. It uses subselects, because
# PostgreSQL spends more time planning joins than running them.

OPEN_SESSION = """
    SELECT s.id, s.key_id FROM sessions s
    WHERE s.key_id = (SELECT k.id FROM candidate_keys k WHERE k.key = :key AND k.revoked_at IS NULL)
      AND s.id = COALESCE(:session_id, s.id)
      AND s.closed_at IS NULL AND (s.closes_at IS NULL OR s.closes_at > :now)
      AND (SELECT a.deleted_at FROM assessments a WHERE a.id = s.assessment_id) IS NULL
      AND s.stored_event_count < :max_events AND s.stored_event_bytes + s.stored_bundle_bytes + :size <= :max_bytes
"""
_EVENT = [
    *("event_id", "kind", "source", "actor", "attribution", "time_ns", "received_at", "late"),
    *("subject", "note", "size", "verdict", "arrival_mac", "envelope"),
]
INSERT_EVENT = f"""
    INSERT INTO events (session_id, {", ".join(_EVENT)})
    SELECT {{session}}, {", ".join(f":{name}" for name in _EVENT)} {{source}}
    ON CONFLICT DO NOTHING
"""
STORE_EVENT = f"""
    WITH session AS ({OPEN_SESSION} FOR SHARE OF s), stored AS (
        {INSERT_EVENT.format(session="session.id", source="FROM session")} RETURNING seq
    )
    SELECT id, key_id, EXISTS (SELECT FROM stored) FROM session
"""
# Recording (models/sessions). Columns replace the first braces.

LOCK_SESSION = """
    SELECT {session}, k.key
    FROM sessions s JOIN candidate_keys k ON k.id = s.key_id JOIN assessments a ON a.id = s.assessment_id
    WHERE s.id = :session_id AND k.revoked_at IS NULL AND a.deleted_at IS NULL {lock}
"""
_INSERTED = ("session", *_EVENT, "channel", "agent_session", "joins")


@lru_cache
def insert_events(count: int) -> str:
    """Insert events with numbered parameter names, returning the new events."""
    rows = (", ".join(f":{name}{number}" for name in _INSERTED) for number in range(count))
    return f"""
        INSERT INTO events (session_id, {", ".join(_INSERTED[1:])})
        VALUES {", ".join(f"({row})" for row in rows)}
        ON CONFLICT DO NOTHING RETURNING event_id, seq, size
    """


def event_parameters(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the parameters of `insert_events`; missing columns are null."""
    return {f"{name}{number}": row.get(name) for number, row in enumerate(rows) for name in _INSERTED}


UPDATE_STORED = """
    UPDATE sessions SET stored_event_count = :stored_event_count, stored_event_bytes = :stored_event_bytes,
        counted_seq = :counted_seq, rejected_event_count = :rejected_event_count, metrics_due = :metrics_due
    WHERE id = :session_id
"""
COUNT_AFTER = """
    SELECT COUNT(*), COALESCE(SUM(size), 0) FROM events WHERE session_id = :session_id AND seq > :seq
"""
# In the same order as for metrics, so the result does not depend on the order of arrival.
CHANNEL_EVENTS = """
    SELECT seq, channel, joins FROM events
    WHERE session_id = :session_id AND channel IS NOT NULL AND NOT late ORDER BY time_ns, event_id
"""
LOCKED_SESSION = "SELECT id FROM sessions WHERE id = :session_id {lock}"
STORED_IDS = "SELECT event_id FROM events WHERE session_id = :session_id AND event_id {ids}"
SESSION_OF_KEY = "SELECT {session} FROM sessions s WHERE s.key_id = :key_id"
CONSENTED_CHANNELS = "SELECT channels FROM consents WHERE key_id = :key_id AND channels IS NOT NULL"
PUBLIC_KEYS = """
    SELECT p.public_key FROM signing_keys p
    WHERE p.session_id = COALESCE(:session_id, (
        SELECT s.id FROM sessions s WHERE s.key_id = (SELECT k.id FROM candidate_keys k WHERE k.key = :key)
    ))
    ORDER BY p.id DESC
"""

# Model calls (models/sessions/model_usage.py). MODEL_CALLER returns a row for each consent. RESERVE follows
# LOCKED_SESSION, because a statement does not see rows that are committed while it waits for a lock. Without
# MATERIALIZED, PostgreSQL computes the sums three times.

MODEL_CALLER = """
    SELECT (SELECT SUM(u.cost_nano_usd) FROM model_usage u WHERE u.session_id = s.id), c.channels,
           {session}, {assessment}
    FROM sessions s JOIN assessments a ON a.id = s.assessment_id
    LEFT JOIN consents c ON c.key_id = s.key_id AND c.channels IS NOT NULL
    WHERE s.key_id = :key_id
"""
DELETE_EXPIRED_RESERVATIONS = """
    DELETE FROM model_reservations WHERE session_id = :session_id AND expires_at <= :now
"""
RESERVE = """
    WITH budget AS MATERIALIZED (
        SELECT :budget_nano_usd
            - (SELECT COALESCE(SUM(nano_usd), 0) FROM model_reservations WHERE session_id = :session_id)
            - (SELECT COALESCE(SUM(cost_nano_usd), 0) FROM model_usage WHERE session_id = :session_id) AS remaining
    )
    INSERT INTO model_reservations (id, created_at, session_id, nano_usd, expires_at)
    SELECT :id, :now, :session_id, :nano_usd, :expires_at
    FROM budget WHERE remaining > 0
    RETURNING id
"""

# Sessions to close, or whose metrics to derive, before their numbers are read.

DUE_TO_CLOSE = """
    SELECT id, assessment_id, organization_id FROM sessions WHERE closed_at IS NULL AND closes_at <= :now
    UNION ALL
    SELECT id, assessment_id, organization_id FROM sessions WHERE metrics_due AND closed_at IS NOT NULL
"""

# Lanes for models/leases.py, with the due time of the first message. Each subselect reads one index entry; a join
# would read all queued messages.

DUE_DELIVERIES = """
    SELECT organization_id, organization_id AS lane_id, due_at FROM (
        SELECT o.id AS organization_id, (
            SELECT MIN(d.due_at) FROM deliveries d WHERE d.organization_id = o.id AND d.state = 'queued'
        ) AS due_at
        FROM organizations o
    ) lanes WHERE due_at <= :now
"""

DUE_WEBHOOK_DELIVERIES = """
    SELECT organization_id, lane_id, due_at FROM (
        SELECT w.organization_id, w.id AS lane_id, (
            SELECT MIN(d.due_at) FROM webhook_deliveries d WHERE d.webhook_id = w.id AND d.state = 'queued'
        ) AS due_at
        FROM webhooks w WHERE w.held_until IS NULL OR w.held_until <= :now
    ) lanes WHERE due_at <= :now
"""

# Test runs (models/tasks). An installation's runner takes a job of the organization with the fewest running jobs, and
# of several, of the one whose latest job started first: a single runner finds no running jobs.

CLAIMABLE_RUN = """
    SELECT t.id FROM test_runs t LEFT JOIN (
        SELECT organization_id, COUNT(*) AS jobs FROM test_runs
        WHERE state = 'running' AND due_at > :now GROUP BY organization_id
    ) running ON running.organization_id = t.organization_id
    WHERE t.due_at <= :now AND t.attempts < :max_attempts {of_organization}
    ORDER BY COALESCE(running.jobs, 0), COALESCE(
        (SELECT MAX(r.started_at) FROM test_runs r WHERE r.organization_id = t.organization_id), t.created_at
    ), t.due_at, t.id LIMIT 1 {lock}
"""

# How many shown runs passed each test. `{each}` is a function of the JSON list.

PASSED_BY_TEST = """
    SELECT t.value ->> 'name', COUNT(*) FROM sessions s JOIN test_runs r ON r.id = s.hidden_run_id
    CROSS JOIN {each}(r.results) AS t
    WHERE s.assessment_id = :assessment_id AND r.tests_id = :tests_id AND r.state = 'finished'
      AND t.value ->> 'outcome' = 'passed'
    GROUP BY 1
"""
