"""An assessment's compliance report."""

from collections import Counter
from itertools import chain
from typing import Any

import peewee

from models import disclosure, visibility
from models.assessments import Assessment
from models.keys import CandidateKey
from models.ledger.audit import AuditEntry
from models.orgs import ApiToken, User
from models.scores import Score
from models.sessions import Consent, Session
from models.tasks.runs import TestRun
from rules.hiring_decisions import find_inconsistencies
from rules.retention import conflicting_lines, retention_deadline
from rules.statistics.fairness import DECISIONS
from rules.statistics.rounding import ratio


def build_report(assessment: Assessment, viewer: Any, disclosure_hash: str) -> dict[str, Any]:
    """Build the report, without totals that are hidden from the viewer. Candidates appear by id.

    disclosure_hash -- hash of the organization's current disclosure
    """
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
    due = Counter(deadline.date().isoformat() for deadline in deadlines if deadline)
    scores: Any = Score.select(Score.independent, peewee.fn.COUNT(Score.id)).join(Session)
    counts = dict(scores.where(Session.assessment == assessment).group_by(Score.independent).tuples())
    return {
        "decisions": dict.fromkeys(DECISIONS, 0) | Counter(key.decision for key in keys),
        "without_reason": [
            {
                "candidate_id": key.id,
                "decision": key.decision,
                "decided_at": key.decided_at,
                "decided_by": key.decided_by and key.decided_by.author.name,
            }
            for key in stored
            if key.decision != "undecided" and key.decision_reason is None
        ],
        "inconsistencies": _inconsistencies(keys, sessions, viewer),
        "scores": {"independent": counts.get(True, 0), "notIndependent": counts.get(False, 0)},
        "access": _access(assessment),
        "erasures": {
            "done": len(keys) - len(stored),
            "requested": sum(key.erasure_requested_at is not None for key in stored),
            "withoutDate": len(stored) - due.total(),
        },
        "due_erasures": [{"date": date, "candidates": due[date]} for date in sorted(due)],
        "retention_days": days,
        "retention_text": disclosure.retention_text(days),
        "retention_conflicts": conflicting_lines(chain(*additions.values()), days),
        "disclosures": _disclosures(assessment, disclosure_hash),
    }


def _inconsistencies(keys: list[Any], sessions: dict[Any, Any], viewer: Any) -> list[dict[str, Any]]:
    hidden = visibility.hidden_scores(viewer, [session.id for session in sessions.values()])
    totals = {
        key_id: (session.score_total, session.score_highest)
        for key_id, session in sessions.items()
        if session.id not in hidden and session.score_total is not None
    }
    rows = [
        {"candidate_id": key.id, "decision": key.decision, "total": total[0], "highest_total": total[1]}
        for key in keys
        if (total := totals.get(key.id))
    ]
    return [
        {
            "rejected_id": rejected,
            "rejected_share": ratio(*totals[rejected]),
            "selected_id": selected,
            "selected_share": ratio(*totals[selected]),
        }
        for rejected, selected in find_inconsistencies(rows)
    ]


def _access(assessment: Assessment) -> list[dict[str, Any]]:
    """Count the audit entries about the assessment, its candidates, sessions and test runs, by actor and action."""
    sessions = Session.select(Session.id).where(Session.assessment == assessment)
    keys = CandidateKey.select(CandidateKey.id).where(CandidateKey.assessment == assessment)
    subjects = keys + sessions + TestRun.select(TestRun.id).where(TestRun.session.in_(sessions))
    group = (AuditEntry.actor_kind, AuditEntry.actor_id, AuditEntry.action)
    name, last_at = peewee.fn.MAX(AuditEntry.actor_name), peewee.fn.MAX(AuditEntry.created_at)
    entries: Any = AuditEntry.select(
        *group,
        name.alias("actor_name"),
        peewee.fn.COUNT(AuditEntry.id).alias("count"),
        last_at.alias("last_at"),
    ).where(
        AuditEntry.organization == assessment.organization_id,
        (AuditEntry.subject_id == assessment.id) | AuditEntry.subject_id.in_(subjects),
        AuditEntry.actor_kind != "candidate",
    )
    return list(entries.group_by(*group).order_by(name, *group).dicts())


def _disclosures(assessment: Assessment, current_hash: str) -> list[dict[str, Any]]:
    """Count the stored candidates by the version of the disclosure that they agreed to last."""
    is_stored = (CandidateKey.assessment == assessment) & CandidateKey.erased_at.is_null()
    consents = Consent.select().join(CandidateKey).where(is_stored).order_by(Consent.created_at, Consent.id)
    latest = {consent.key_id: consent for consent in consents}
    versions = Counter(
        (row.disclosure_version, row.disclosure_hash == current_hash) for row in latest.values()
    )
    return [
        {"version": version, "current": is_current, "candidates": count}
        for (version, is_current), count in versions.most_common()
    ]
