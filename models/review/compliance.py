"""An assessment's compliance report."""

from collections import Counter
from itertools import chain, islice
from typing import Any

import peewee

from models import disclosure, visibility
from models.assessments import Assessment
from models.keys import CandidateKey
from models.ledger.audit import AuditEntry
from models.orgs import ApiToken, User
from models.review.assignments import Assignment
from models.scores import Score
from models.sessions import Consent, Session
from models.tasks.runs import TestRun
from rules.hiring_decisions import Result, find_inconsistencies
from rules.retention import conflicting_lines, retention_deadline
from rules.statistics.fairness import DECISIONS
from rules.statistics.rounding import ratio

MAX_INCONSISTENCIES = 1000


def build_report(assessment: Assessment, viewer: Any) -> dict[str, Any]:
    """Build the report of schemas/review/compliance.py, without totals that are hidden from the viewer."""
    organization = assessment.organization
    days, additions = organization.retention_days, organization.disclosure_additions or {}
    keys: Any = CandidateKey.select(CandidateKey, ApiToken, User).join(ApiToken, peewee.JOIN.LEFT_OUTER)
    keys = list(keys.join(User, peewee.JOIN.LEFT_OUTER).where(CandidateKey.assessment == assessment))
    sessions = {row.key_id: row for row in Session.select().where(Session.assessment == assessment)}
    for key in keys:
        key.assessment = assessment
        if key.id in sessions:
            sessions[key.id].key, sessions[key.id].assessment = key, assessment
    stored = [key for key in keys if key.erased_at is None]
    deadlines = [retention_deadline(sessions.get(key.id, key).ended_at, days) for key in stored]
    due = Counter(deadline.date().isoformat() for deadline in sorted(filter(None, deadlines)))
    scores: Any = Score.select(Score.independent, peewee.fn.COUNT(Score.id)).join(Session)
    counts = dict(scores.where(Session.assessment == assessment).group_by(Score.independent).tuples())
    is_stored = (CandidateKey.assessment == assessment) & CandidateKey.erased_at.is_null()
    consents = Consent.select().join(CandidateKey).where(is_stored).order_by(Consent.id)
    agreed = {consent.key_id: consent.disclosure_version or "unknown" for consent in consents}
    return {
        "decisions": dict.fromkeys(DECISIONS, 0) | Counter(key.decision for key in keys),
        "without_reason": [key for key in stored if key.decision != "undecided" and not key.decision_reason],
        "inconsistencies": _inconsistencies(stored, sessions, viewer),
        "scores": {"independent": counts.get(True, 0), "notIndependent": counts.get(False, 0)},
        "access": _access(assessment),
        "erasures": {
            "done": len(keys) - len(stored),
            "requested": sum(key.erasure_requested_at is not None for key in stored),
            "withoutDate": len(stored) - due.total(),
        },
        "due_erasures": due,
        "retention_days": days,
        "retention_text": disclosure.retention_text(days),
        "retention_conflicts": conflicting_lines(chain(*additions.values()), days),
        "disclosures": Counter(agreed.values()),
    }


def _inconsistencies(keys: list[Any], sessions: dict[Any, Any], viewer: Any) -> list[dict[str, Any]]:
    hidden = visibility.hidden_scores(viewer, [session.id for session in sessions.values()])
    visible = {key_id: session for key_id, session in sessions.items() if session.id not in hidden}
    results = [
        Result(key.id, key.decision, session.score_total, session.score_highest)
        for key in keys
        if (session := visible.get(key.id))
    ]
    return [
        {"rejected_id": rejected.id, "rejected_share": ratio(rejected.total or 0, rejected.highest or 0)}
        | {"selected_id": selected.id, "selected_share": ratio(selected.total or 0, selected.highest or 0)}
        for rejected, selected in islice(find_inconsistencies(results), MAX_INCONSISTENCIES)
    ]


def _access(assessment: Assessment) -> list[dict[str, Any]]:
    """Count the audit entries about the assessment and what belongs to it, by actor and action.

    Entries about notes have the session as their subject, because a note can be deleted.
    """
    sessions = Session.select(Session.id).where(Session.assessment == assessment)
    keys = CandidateKey.select(CandidateKey.id).where(CandidateKey.assessment == assessment)
    subjects = keys + sessions
    for table in (TestRun, Assignment):
        subjects += table.select(table.id).where(table.session.in_(sessions))
    group = (AuditEntry.actor_kind, AuditEntry.actor_id, AuditEntry.action)
    name, last_at = peewee.fn.MAX(AuditEntry.actor_name), peewee.fn.MAX(AuditEntry.created_at)
    count = peewee.fn.COUNT(AuditEntry.id)
    entries: Any = AuditEntry.select(
        *group, name.alias("actor_name"), count.alias("count"), last_at.alias("last_at")
    )
    entries = entries.where(
        AuditEntry.organization == assessment.organization_id,
        (AuditEntry.subject_id == assessment.id) | AuditEntry.subject_id.in_(subjects),
        AuditEntry.actor_kind != "candidate",
    )
    return list(entries.group_by(*group).order_by(name.asc(nulls="first"), *group).dicts())
