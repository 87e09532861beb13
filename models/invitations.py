"""An invitation's whole life: what reviewers change about keys and assessments, and who is reminded.

Each verb holds the key's row, as redeem does, so that an expiry and a redeem never pass each other.
"""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import peewee

from errors import (
    AlreadyBegun,
    DuplicateCandidates,
    KeyIsExpired,
    KeyNotExpired,
    KeyRedeemed,
    NoAddress,
    NotFinished,
    NotFound,
    SessionEnded,
    invalid,
)
from models.assessments import Assessment, CandidateKey, Rubric
from models.base import Query, clock, db, locked, new_id
from models.delivery import Delivery
from models.orgs import ApiToken
from models.sessions import Session, key_records

LONGEST_EXPIRY = timedelta(days=365)
# What candidates are shown, and how the API spells it.
SHOWN = {
    "title": "title",
    "role": "role",
    "task_brief": "taskBrief",
    "repo_url": "repoUrl",
    "time_limit_minutes": "timeLimitMinutes",
    "brief": "brief",
    "setup_instructions": "setupInstructions",
    "allowed_tools": "allowedTools",
    "token_budget_nano_usd": "tokenBudgetUsd",
}
# What says where in the repository the work begins, and means nothing in another one.
PLACE_IN_REPOSITORY = ("repo_commit", "repo_subdir", "setup_instructions")
BOUNCED = "The address was reported: mails to it come back."
ROWS_AT_A_TIME = 500


# Assessments


def change_assessment(assessment: Assessment, reviewer: ApiToken, values: dict[str, Any]) -> None:
    """Change an assessment; what candidates are shown only while no key of it is redeemed.

    Raises AlreadyBegun, naming what cannot change any more, and Invalid for an unknown rubric or for a reminder that
    would be due before the invitation.
    """
    with db.atomic():
        if "rubric_id" in values:
            # As Assessment.open: no rubric vanishes under an assessment that takes it.
            assessment.organization.take_turn()
            Assessment.referred(Rubric, "rubricId", values["rubric_id"], reviewer)
        held = assessment.hold()
        changed = {name: value for name, value in values.items() if getattr(held, name) != value}
        _require_unseen(held, changed)
        _require_reminder_fits(held, changed)
        if "repo_url" in changed:
            changed = dict.fromkeys(PLACE_IN_REPOSITORY) | changed
        if changed:
            changed["updated_at"] = clock.now()
            Assessment.update(changed).where(Assessment.id == held.id).execute()


def _require_unseen(assessment: Assessment, changed: dict[str, Any]) -> None:
    names = [SHOWN[name] for name in changed if name in SHOWN]
    if names and Session.select().where(Session.assessment == assessment).exists():
        raise AlreadyBegun(
            entries=[{"path": [name], "message": "A candidate was shown it."} for name in names]
        )


def _require_reminder_fits(assessment: Assessment, changed: dict[str, Any]) -> None:
    reminder = changed.get("reminder_days_before", assessment.reminder_days_before)
    if reminder is not None and reminder >= changed.get("expires_in_days", assessment.expires_in_days):
        raise invalid("reminderDaysBefore", "Must be less than expiresInDays.")


# Keys


def held_to_issue(on_duplicate: str) -> Callable[[Any], Query]:
    """How an assessment is looked up to issue keys to it: by many at once, or where addresses are compared by one at
    a time."""
    return Assessment.shared_by if on_duplicate == "allow" else Assessment.held_by


def issue_keys(
    assessment: Assessment, candidates: list[dict[str, Any]], org_name: str | None, on_duplicate: str
) -> list[dict[str, Any]]:
    """Issue keys to an assessment that is held, with a word on addresses that have an open key for it already.

    on_duplicate -- `allow` issues another key, `return` answers the open one in its place, `refuse` raises
        DuplicateCandidates with the entries

    Returns the keys as key_records does, in the order of the candidates.
    """
    if on_duplicate == "allow":
        return assessment.issue_records(candidates, org_name)
    found = _open_keys(assessment, [address for each in candidates if (address := _address(each))])
    if on_duplicate == "refuse":
        _refuse_duplicates(candidates, found)
    return _issue_missing(assessment, candidates, org_name, found)


def _address(candidate: dict[str, Any]) -> str | None:
    return candidate["email"] and candidate["email"].casefold()


def _open_keys(assessment: Assessment, addresses: list[str]) -> dict[str, Any]:
    """The ids of keys that can be worked with, by their addresses; of several the latest. They are held, so that no
    erasure comes between reading a name and keeping it in an answer (models/idempotency.py)."""
    query = CandidateKey.select(CandidateKey.address, CandidateKey.id)
    query = query.join(Session, peewee.JOIN.LEFT_OUTER).where(
        CandidateKey.assessment == assessment,
        CandidateKey.address.in_(addresses),
        CandidateKey.revoked_at.is_null(),
        _is_open(clock.now()),
    )
    rows: Any = locked(query.order_by(CandidateKey.id), "FOR SHARE", of=CandidateKey).tuples()
    return dict(iter(rows))


def _is_open(now: datetime) -> Any:
    not_begun = Session.id.is_null() & (CandidateKey.expires_at > now)
    limit = Session.closes_at.is_null() | (Session.closes_at > now)
    return not_begun | (Session.id.is_null(False) & Session.closed_at.is_null() & limit)


def _refuse_duplicates(candidates: list[dict[str, Any]], found: dict[str, Any]) -> None:
    entries, seen = [], set[str]()
    for number, address in enumerate(map(_address, candidates)):
        message = f"It has the open key {found[address]}." if address in found else "It stands twice."
        if address in found or address in seen:
            entries.append({"path": ["candidateEmails", number], "message": message})
        if address:
            seen.add(address)
    if entries:
        raise DuplicateCandidates(entries=entries)


def _issue_missing(
    assessment: Assessment, candidates: list[dict[str, Any]], org_name: str | None, found: dict[str, Any]
) -> list[dict[str, Any]]:
    """Issue keys for those without one, once for each address, as it stands first; all records, in the order of the
    candidates."""
    missing: dict[Any, dict[str, Any]] = {}
    for number, each in enumerate(candidates):
        missing.setdefault(_address(each) or number, each)
    missing = {who: each for who, each in missing.items() if who not in found}
    issued = assessment.issue_records(list(missing.values()), org_name)
    records = _records_by_address(found) | dict(zip(missing, issued, strict=True))
    return [records[_address(each) or number] for number, each in enumerate(candidates)]


def _records_by_address(found: dict[str, Any]) -> dict[Any, dict[str, Any]]:
    rows = key_records(clock.now()).where(CandidateKey.id.in_(list(found.values()))) if found else []
    return {row["address"]: row for row in rows}


def change_candidate(key: CandidateKey, values: dict[str, Any]) -> None:
    """Change what is known of a candidate, all of it or nothing; `hired` besides.

    Raises NotFinished as Session.mark_hired. A message that waits goes to the new address.
    """
    with db.atomic():
        held = _held(key)
        if "hired" in values:
            _mark_hired(held, values["hired"])
        changed: dict[str, Any] = {}
        changed |= {name: values[name] for name in ("external_id", "metadata") if name in values}
        if "candidate_name" in values or "candidate_email" in values:
            changed |= _person(held, values)
        if changed:
            CandidateKey.update(changed).where(CandidateKey.id == held.id).execute()


def _person(key: CandidateKey, values: dict[str, Any]) -> dict[str, Any]:
    name = values.get("candidate_name", key.candidate_name)
    email = values.get("candidate_email", key.candidate_email)
    return CandidateKey.person(name, email) | {"bounced": key.bounced and email == key.candidate_email}


def _mark_hired(key: CandidateKey, hired: bool) -> None:
    session = _session(key)
    if session is None:
        raise NotFinished()
    session.mark_hired(hired)


def invite(key: CandidateKey) -> None:
    """Send the invitation again, as a new message; one that still waits is canceled.

    Raises NoAddress, KeyIsExpired, and SessionEnded where there is nothing left to be invited to.
    """
    with db.atomic():
        held = _held(key)
        _require_open(held)
        if held.candidate_email is None:
            raise NoAddress()
        org_name = _latest_org_name(held)
        Delivery.replace_waiting(held)
        delivery_id = new_id()
        Delivery.enqueue_invitations(held.organization, [(delivery_id, held.id)], org_name)
        _set(held, invitation_id=delivery_id, bounced=False)


def _require_open(key: CandidateKey) -> None:
    now, session = clock.now(), _session(key)
    if session is None and key.expires_at <= now:
        raise KeyIsExpired()
    if session is not None and session.closed_as_of(now):
        raise SessionEnded()


def _latest_org_name(key: CandidateKey) -> str:
    """The name in which the candidate was invited before."""
    latest = Delivery.get_or_none(Delivery.id == key.invitation_id)
    return (latest and latest.data.get("orgName")) or key.organization.shown_name


def extend(key: CandidateKey, days: int | None = None, expires_at: datetime | None = None) -> None:
    """Give a key that has not expired another expiry: a moment, or days after the present one.

    Raises KeyRedeemed, KeyIsExpired, and Invalid for a moment that has passed or is more than a year away.
    """
    with db.atomic():
        held = _held(key)
        _require_not_redeemed(held)
        if held.expires_at <= clock.now():
            raise KeyIsExpired()
        _expire(held, days, expires_at, counted_from=held.expires_at)


def reopen(key: CandidateKey, days: int | None = None, expires_at: datetime | None = None) -> None:
    """Give a key that expired before it was redeemed a new expiry; without one the assessment's days from now.

    Raises KeyRedeemed, KeyNotExpired, and Invalid as extend.
    """
    with db.atomic():
        held = _held(key)
        _require_not_redeemed(held)
        if held.expires_at > clock.now():
            raise KeyNotExpired()
        if expires_at is None:
            days = days or held.assessment.expires_in_days
        _expire(held, days, expires_at, counted_from=clock.now())


def _require_not_redeemed(key: CandidateKey) -> None:
    if _session(key) is not None:
        raise KeyRedeemed()


def _expire(key: CandidateKey, days: int | None, expires_at: datetime | None, counted_from: datetime) -> None:
    now = clock.now()
    moment = expires_at or counted_from + timedelta(days=days or 0)
    if not now < moment <= now + LONGEST_EXPIRY:
        member = "expiresAt" if expires_at else "days"
        raise invalid(member, "The expiry must be in the future, and at most 365 days from now.")
    _set(key, expires_at=moment, reminded_at=None)


def accommodate(key: CandidateKey, extra_minutes: int | None, multiplier_thousandths: int | None) -> None:
    """Give a candidate more time, before the work or during it; two Nones take it back.

    The deadline of an open session moves with it. Raises SessionClosed and TimeIsOver.
    """
    with db.atomic():
        held = _held(key)
        _set(held, extra_minutes=extra_minutes, time_multiplier_thousandths=multiplier_thousandths)
        session = _session(held)
        if session is not None:
            session.move_limit(held)


def _held(key: CandidateKey) -> CandidateKey:
    """The key as it is now, held until the transaction ends; NotFound where it was revoked meanwhile."""
    locked(CandidateKey.select(CandidateKey.id).where(CandidateKey.id == key.id)).execute()
    found = CandidateKey.alive().where(CandidateKey.id == key.id).get_or_none()
    if found is None:
        raise NotFound()
    return found


def _session(key: CandidateKey) -> Session | None:
    return Session.get_or_none(Session.key == key)


def _set(key: CandidateKey, **values: Any) -> None:
    CandidateKey.update(values).where(CandidateKey.id == key.id).execute()
    for name, value in values.items():
        setattr(key, name, value)


# Bounces


def mark_bounced(address: str) -> list[CandidateKey]:
    """Note that mails to an address come back: nobody is reminded there, and its latest invitations count as failed.

    Returns the keys that have it.
    """
    with db.atomic():
        keys = list(CandidateKey.select().where(CandidateKey.address == address.strip().casefold()))
        CandidateKey.update(bounced=True).where(CandidateKey.id.in_([key.id for key in keys])).execute()
        Delivery.mark_bounced([key.invitation_id for key in keys if key.invitation_id], BOUNCED)
    return keys


# Reminders


def enqueue_reminders() -> int:
    """Queue a reminder to everybody who has not begun and whose key expires within the assessment's days; returns how
    many. Several workers at once queue one each."""
    queued = 0
    for key in _to_remind(clock.now()):
        with db.atomic():
            unreminded = (CandidateKey.id == key.id) & CandidateKey.reminded_at.is_null()
            if CandidateKey.update(reminded_at=clock.now()).where(unreminded).execute():
                Delivery.enqueue_reminder(key.organization, key.id)
                queued += 1
    return queued


def _to_remind(now: datetime) -> Iterator[CandidateKey]:
    days = Assessment.alive().select(Assessment.reminder_days_before).distinct()
    days = days.where(Assessment.reminder_days_before.is_null(False))
    for (number,) in list(days.tuples()):
        yield from list(_expiring(now, number))


def _expiring(now: datetime, days: int) -> Query:
    query = CandidateKey.alive().join_from(CandidateKey, Session, peewee.JOIN.LEFT_OUTER)
    return query.where(
        Assessment.reminder_days_before == days,
        CandidateKey.reminded_at.is_null(),
        CandidateKey.expires_at > now,
        CandidateKey.expires_at <= now + timedelta(days=days),
        CandidateKey.candidate_email.is_null(False),
        ~CandidateKey.bounced,
        Session.id.is_null(),
    ).limit(ROWS_AT_A_TIME)
