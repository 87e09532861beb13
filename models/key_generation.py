"""Generate candidate keys with their invitations, feed event and audit entry atomically (R13 to R15)."""

import contextlib
from datetime import datetime, timedelta
from typing import Any

import peewee

from errors import DuplicateCandidates, NotFound, NoTimeLimit
from models import external_ids, sql
from models.assessments import Assessment
from models.base import clock, db, for_update, is_postgres, new_id
from models.batches import Row
from models.candidates import CandidateList, CandidateRow
from models.deliveries import limit, outbox
from models.feed import FeedEvent
from models.keys import CandidateKey
from models.ledger.audit import AuditEntry
from models.orgs import ApiToken, Organization
from models.rollups import CohortCount
from rules import candidate_keys
from rules.repeated_values import find_duplicates
from rules.rows import row_id

# A key that already exists is generated again. With 30^8 = 6.6e11 keys, ten collisions in a row mean a fault.
MAX_DRAWS = 10

# `email` and `name`, either None; in an entry of `candidates` also `external_id`, `metadata` and `extra_minutes`
Candidate = dict[str, Any]


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
    """Generate one key for each candidate, and queue invitations to those with an email address.

    expires_in_days -- by default the assessment's
    on_duplicate -- for addresses that already have an open key: `allow` generates another key, `return` returns the
        open one as it is, `refuse` raises DuplicateCandidates
    audit_entry -- the entry's columns without its organization and subject
    viewer -- the caller, from whom a blind assessment hides the names of open keys

    Returns the keys in the order of the candidates. Raises NotFound if there is no such assessment,
    DuplicateExternalId, and NoTimeLimit for extra minutes without a limit.
    """
    options = {"mail": {"orgName": org_name or organization.shown_name}, "days": expires_in_days}
    if on_duplicate == "allow" and not any(_is_checked(each) for each in candidates):
        return _insert(organization, assessment_id, candidates, options, audit_entry)
    with db.atomic():
        assessment = _lock(organization, assessment_id)
        if on_duplicate == "allow":
            _check(assessment, list(enumerate(candidates)))
            return _insert(organization, assessment_id, candidates, options, audit_entry)
        open_keys = _open_keys(assessment_id, candidates)
        if on_duplicate == "refuse":
            _refuse_duplicates(candidates, open_keys)
        missing = _without_open_key(candidates, open_keys)
        numbered = enumerate(candidates)
        _check(assessment, [(n, each) for n, each in numbered if missing.get(_address(each) or n) is each])
        new = _insert(organization, assessment_id, list(missing.values()), options, None)
        found = dict(zip(missing, new, strict=True))
        for address, key_id in open_keys.items():
            (found[address],) = CandidateList(organization.id, viewer, key_id=key_id).all()
        rows = [found[_address(each) or number] for number, each in enumerate(candidates)]
        if audit_entry:
            AuditEntry.create(**_with_subject(audit_entry, organization, assessment_id, rows))
        return rows


def _lock(organization: Organization, assessment_id: Any) -> Assessment:
    limit.lock(assessment_id)
    query = Assessment.alive().where(Assessment.id == assessment_id, Assessment.organization == organization)
    found = for_update(query).get_or_none()
    if found is None:
        raise NotFound()
    return found


def _is_checked(candidate: Candidate) -> bool:
    return candidate.get("external_id") is not None or candidate.get("extra_minutes") is not None


def _check(assessment: Assessment, candidates: list[tuple[int, Candidate]]) -> None:
    """Check the further members of candidates at these positions. Raises DuplicateExternalId and NoTimeLimit."""
    if assessment.time_limit_minutes is None and any(each.get("extra_minutes") for _, each in candidates):
        raise NoTimeLimit()
    ids: list[Any] = [
        (["candidates", number, "externalId"], each.get("external_id")) for number, each in candidates
    ]
    external_ids.require_unused(assessment.organization_id, assessment.id, ids)


def _address(candidate: Candidate) -> str | None:
    return candidate["email"] and candidate["email"].casefold()


def _open_keys(assessment_id: Any, candidates: list[Candidate]) -> dict[str, Any]:
    """The id of each address's latest pending or active key; locked against erasure."""
    addresses = [address for each in candidates if (address := _address(each))]
    if not addresses:
        return {}
    names, values = sql.in_list("address", addresses)
    text = sql.OPEN_KEYS.format(addresses=names, lock="FOR SHARE OF k" if is_postgres() else "")
    rows = sql.rows(text, assessment_id=assessment_id, now=clock.now(), **values)
    return {address: row_id(key_id) for address, key_id in rows}


def _refuse_duplicates(candidates: list[Candidate], open_keys: dict[str, Any]) -> None:
    addresses = [(_path(number, each), _address(each)) for number, each in enumerate(candidates)]
    if entries := find_duplicates(addresses, open_keys, "Already has the open key {}."):
        raise DuplicateCandidates(entries=entries)


def _path(number: int, candidate: Candidate) -> list[str | int]:
    """The address's path in the request."""
    return ["candidates", number, "email"] if "external_id" in candidate else ["candidateEmails", number]


def _without_open_key(candidates: list[Candidate], open_keys: dict[str, Any]) -> dict[Any, Candidate]:
    """The candidates who need a key, one for each address, by address or (without one) by position."""
    missing: dict[Any, Candidate] = {}
    for number, each in enumerate(candidates):
        if _address(each) not in open_keys:
            missing.setdefault(_address(each) or number, each)
    return missing


def _insert(
    organization: Organization,
    assessment_id: Any,
    candidates: list[Candidate],
    options: Row,
    audit_entry: Any,
) -> list[CandidateRow]:
    keys = [_new_key(**each) for each in candidates]
    if not any(key["address"] for key in keys):
        return _insert_keys(organization, assessment_id, keys, [], options, audit_entry)
    # One lock covers counting and queuing the messages.
    with db.atomic():
        limit.lock(assessment_id)
        invitations = _invitations(assessment_id, keys)
        return _insert_keys(organization, assessment_id, keys, invitations, options, audit_entry)


def _invitations(assessment_id: Any, keys: list[Row]) -> list[Row]:
    """The columns of the invitation to each key with an address."""
    invited = [key for key in keys if key["address"]]
    columns = limit.columns(assessment_id, [key["address"] for key in invited])
    return [
        {"id": key["invitation_id"], "subject_id": key["id"]} | each
        for key, each in zip(invited, columns, strict=True)
    ]


def _insert_keys(
    organization: Organization,
    assessment_id: Any,
    keys: list[Row],
    invitations: list[Row],
    options: Row,
    audit_entry: Any,
) -> list[CandidateRow]:
    now, draws = clock.now(), 1
    insert = _insert_on_postgres if is_postgres() else _insert_on_sqlite
    while keys:
        audit = audit_entry and _with_subject(audit_entry, organization, assessment_id, keys)
        try:
            # On PostgreSQL, a single statement needs no explicit transaction.
            with db.atomic() if db.in_transaction() or not is_postgres() else contextlib.nullcontext():
                values: Any = options | {"keys": keys, "invitations": invitations, "audit_entry": audit}
                expires_at = insert(organization, assessment_id, now, **values)
            by_key = {invitation["subject_id"]: invitation for invitation in invitations}
            shared = {"assessment_id": assessment_id, "organization_id": organization.id}
            shared |= {"status": "pending", "expires_at": expires_at, "created_at": now}
            return [_generated(key, by_key.get(key["id"], {}), shared) for key in keys]
        except peewee.IntegrityError:
            if draws == MAX_DRAWS:
                raise
            draws += 1
            keys = [key | {"key": candidate_keys.generate()} for key in keys]
    return []


def _new_key(email: str | None, name: str | None, external_id: str | None = None, **columns: Any) -> Row:
    key = {"id": new_id(), "key": candidate_keys.generate(), "invitation_id": new_id() if email else None}
    return key | CandidateKey.person(name, email, external_id) | columns


def _insert_on_postgres(organization: Organization, assessment_id: Any, now: datetime, **values: Any) -> Any:
    payloads = _payloads(values["keys"], assessment_id)
    values |= {"event_id": new_id(), "payloads": payloads if len(payloads) > 1 else payloads[0]}
    values["audit_entry"] = values["audit_entry"] and _with_mac(values["audit_entry"])
    ids = {"organization_id": organization.id, "assessment_id": assessment_id}
    found = sql.rows(sql.GENERATE_KEYS, now=now, **ids, **values)
    if not found:
        raise NotFound()
    return found[0][0]


def _insert_on_sqlite(
    organization: Organization,
    assessment_id: Any,
    now: datetime,
    keys: list[Row],
    invitations: list[Row],
    mail: Row,
    days: int | None,
    audit_entry: Any,
) -> Any:
    assessment = _lock(organization, assessment_id)
    expires_at = now + timedelta(days=days or assessment.expires_in_days)
    shared = {"organization": organization.id, "assessment": assessment_id}
    shared |= {"created_at": now, "expires_at": expires_at}
    CandidateKey.insert_many([key | shared for key in keys]).execute()
    CohortCount.add_keys(assessment_id, len(keys))
    outbox.enqueue_invitations(organization.id, invitations, mail["orgName"])
    FeedEvent.publish(organization.id, "key.created", *_payloads(keys, assessment_id))
    if audit_entry:
        AuditEntry.create(**audit_entry)
    return expires_at


def _payloads(keys: list[Row], assessment_id: Any) -> list[Row]:
    return [{"candidateId": key["id"], "assessmentId": assessment_id, "status": "pending"} for key in keys]


def _with_subject(entry: Row, organization: Organization, assessment_id: Any, keys: list[Any]) -> Row:
    ids = [str(key["id"] if isinstance(key, dict) else key.id) for key in keys]
    subject = {"subject_kind": "assessment", "subject_id": assessment_id, "further_ids": ids}
    row = {"id": new_id(), "created_at": clock.now(), "organization_id": organization.id}
    return row | entry | subject


def _with_mac(entry: Row) -> Row:
    """The entry with its MAC, in the form of PostgreSQL's `json_populate_record`."""
    signed = AuditEntry.signed(**entry)
    digits = signed.recorded_mac and rf"\x{signed.recorded_mac.hex()}"
    return entry | {"recorded_key_id": signed.recorded_key_id, "recorded_mac": digits}


def _generated(key: Row, invitation: Row, shared: Row) -> CandidateRow:
    """A key just generated, as `CandidateList` would read it."""
    names = ("id", "key", "candidate_email", "candidate_name", "external_id", "metadata")
    columns: Row = {name: key.get(name) for name in names}
    columns |= {"invite_state": invitation.get("state"), "invite_attempts": 0}
    return CandidateRow(**columns, **shared, invite_last_error=invitation.get("last_error"))
