"""Generate candidate keys atomically with their invitations, feed event and audit entry (R13 to R15)."""

from datetime import timedelta
from typing import Any

import peewee

from errors import DuplicateCandidates, NotFound, NoTimeLimit
from models import external_ids, sql
from models.assessments import Assessment
from models.base import clock, db, is_postgres, new_id
from models.batches import Row
from models.candidates import CandidateList, CandidateRow
from models.deliveries import limit, outbox
from models.feed import FeedEvent
from models.keys import CandidateKey
from models.ledger.audit import AuditEntry
from models.ledger.protection import new_salt
from models.orgs import ApiToken, Organization
from rules import candidate_keys
from rules.repeated_values import find_duplicates
from rules.rows import row_id

# Retries after a collision. With 30^8 = 6.6e11 possible keys, ten consecutive collisions indicate a bug.
MAX_ATTEMPTS = 10

# `email` and `name`, which can be None, and optionally `external_id`, `metadata` and `extra_minutes`.
Candidate = dict[str, Any]

_ASSESSMENT = sql.Columns(
    Assessment, "a", "id organization time_limit_minutes expires_in_days reminder_days_before"
)


def generate_keys(
    organization: Organization,
    assessment_id: Any,
    candidates: list[Candidate],
    *,
    org_name: str | None = None,
    expires_in_days: int | None = None,
    on_duplicate: str = "allow",
    audit_entry: Row | None = None,
    viewer: ApiToken | None = None,
) -> list[CandidateRow]:
    """Generate a key for each candidate, and queue invitations to those with an email address.

    expires_in_days -- defaults to the assessment's setting
    on_duplicate -- for an address with an open key: `allow` generates a second key, `return` returns the open key
        unchanged, `reject` raises DuplicateCandidates
    audit_entry -- the entry's columns, except organization and subject
    viewer -- the caller, from whom a blind assessment hides the names of open keys

    Returns the keys in candidate order. Raises NotFound, DuplicateExternalId, and NoTimeLimit for extra minutes in an
    assessment without a time limit.
    """
    for attempt in range(1, MAX_ATTEMPTS + 1):
        try:
            with db.atomic():
                rows = _generate(
                    organization, assessment_id, candidates, org_name, expires_in_days, on_duplicate, viewer
                )
                if audit_entry:
                    ids = [str(row.id) for row in rows]
                    subject = {"subject_kind": "assessment", "subject_id": assessment_id, "further_ids": ids}
                    AuditEntry.create(organization=organization, **audit_entry, **subject)
                return rows
        except peewee.IntegrityError:
            if attempt == MAX_ATTEMPTS:
                raise
    return []


def _generate(
    organization: Organization,
    assessment_id: Any,
    candidates: list[Candidate],
    org_name: str | None,
    expires_in_days: int | None,
    on_duplicate: str,
    viewer: ApiToken | None,
) -> list[CandidateRow]:
    if any(candidate["email"] or candidate.get("external_id") is not None for candidate in candidates):
        limit.lock(assessment_id)
    assessment = _lock_assessment(organization, assessment_id)
    open_keys = {} if on_duplicate == "allow" else _open_keys(assessment_id, candidates)
    if on_duplicate == "reject":
        _reject_duplicates(candidates, open_keys)
    # Candidates with the same slot get the same key.
    slots: list[Any] = list(range(len(candidates)))
    if on_duplicate != "allow":
        slots = [_address(candidate) or number for number, candidate in enumerate(candidates)]
    missing: dict[Any, int] = {}
    for number, slot in enumerate(slots):
        if slot not in open_keys:
            missing.setdefault(slot, number)
    new = {number: candidates[number] for number in missing.values()}
    if assessment.time_limit_minutes is None and any(
        candidate.get("extra_minutes") for candidate in new.values()
    ):
        raise NoTimeLimit()
    ids: list[Any] = [
        (["candidates", number, "externalId"], candidate.get("external_id"))
        for number, candidate in new.items()
    ]
    external_ids.require_unused(organization.id, assessment_id, ids)
    days = expires_in_days or assessment.expires_in_days
    invitation_data = {"orgName": org_name or organization.public_name}
    rows = _insert(assessment, list(new.values()), days, invitation_data)
    by_slot = dict(zip(missing, rows, strict=True))
    for address, key_id in open_keys.items():
        (by_slot[address],) = CandidateList(organization.id, viewer, key_id=key_id).rows()
    return [by_slot[slot] for slot in slots]


def _lock_assessment(organization: Organization, assessment_id: Any) -> Assessment:
    """Return the assessment with the columns that new keys need. Raises NotFound."""
    lock = "FOR SHARE" if is_postgres() else ""
    text = sql.ASSESSMENT_OF_NEW_KEYS.format(assessment=_ASSESSMENT.text, lock=lock)
    rows = sql.rows(sql.prepare(text), assessment_id=assessment_id, organization_id=organization.id)
    if not rows:
        raise NotFound()
    return _ASSESSMENT.build(rows[0])


def _address(candidate: Candidate) -> str | None:
    return candidate["email"] and candidate["email"].casefold()


def _open_keys(assessment_id: Any, candidates: list[Candidate]) -> dict[str, Any]:
    """Find the latest open key for each address, and lock it against erasure. Returns ids by address."""
    addresses = [address for candidate in candidates if (address := _address(candidate))]
    if not addresses:
        return {}
    lock = "FOR SHARE OF k" if is_postgres() else ""
    text = sql.OPEN_KEYS.format(addresses=sql.any_of("addresses"), lock=lock)
    rows = sql.rows(text, assessment_id=assessment_id, now=clock.now(), addresses=tuple(addresses))
    return {address: row_id(key_id) for address, key_id in rows}


def _reject_duplicates(candidates: list[Candidate], open_keys: dict[str, Any]) -> None:
    def path(number: int, candidate: Candidate) -> list[str | int]:
        return ["candidates", number, "email"] if "external_id" in candidate else ["candidateEmails", number]

    addresses = [
        (path(number, candidate), _address(candidate)) for number, candidate in enumerate(candidates)
    ]
    if entries := find_duplicates(addresses, open_keys, "Already has an open key: {}."):
        raise DuplicateCandidates(entries=entries)


def _insert(
    assessment: Assessment, candidates: list[Candidate], days: int, data: dict[str, Any]
) -> list[CandidateRow]:
    """Insert keys and their invitations, and publish the keys.

    data -- the values in the invitations
    """
    if not candidates:
        return []
    now, ids = clock.now(), {"organization_id": assessment.organization_id, "assessment_id": assessment.id}
    shared = ids | {"created_at": now, "expires_at": now + timedelta(days=days), "invitation_data": data}
    if assessment.is_reminder_due(shared["expires_at"]):
        shared["reminded_at"] = now
    keys = [_new_key(**candidate) for candidate in candidates]
    sql.insert(CandidateKey, [key | {"extra_minutes": None} for key in keys], **shared)
    for key in keys:
        if key["extra_minutes"] is not None:
            # The ledger protects extra time.
            row = CandidateKey.get_by_id(key["id"])
            row.record_change("generated", extra_minutes=key["extra_minutes"], updated_at=None)
    invited = [key for key in keys if key["address"]]
    columns = limit.columns(assessment.id, [key["address"] for key in invited]) if invited else []
    invitations = {
        key["id"]: {"id": key["invitation_id"], "subject_id": key["id"]} | address_columns
        for key, address_columns in zip(invited, columns, strict=True)
    }
    outbox.enqueue_invitations(assessment.organization_id, list(invitations.values()), data)
    payload = {"assessmentId": assessment.id, "status": "pending"}
    payloads = [{"candidateId": key["id"]} | payload for key in keys]
    FeedEvent.publish(assessment.organization_id, "key.created", *payloads)
    return [_candidate_row(key | shared, invitations.get(key["id"], {})) for key in keys]


def _new_key(
    email: str | None,
    name: str | None,
    external_id: str | None = None,
    metadata: Any = None,
    extra_minutes: int | None = None,
) -> Row:
    key = {"id": new_id(), "key": candidate_keys.generate(), "invitation_id": new_id() if email else None}
    key |= {"metadata": metadata, "extra_minutes": extra_minutes, "ledger_salt": new_salt()}
    return key | CandidateKey.identity(name, email, external_id)


def _candidate_row(key: Row, invitation: Row) -> CandidateRow:
    """Build a new key's row as `CandidateList` would return it."""
    names = ("id", "key", "assessment_id", "organization_id", "candidate_email", "candidate_name")
    columns = {name: key[name] for name in (*names, "external_id", "metadata", "expires_at", "created_at")}
    columns |= {"invite_state": invitation.get("state"), "invite_attempts": 0}
    return CandidateRow(status="pending", **columns, invite_last_error=invitation.get("last_error"))
