"""A candidate's way: consent, session, events, and the numbers that come of them."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import peewee
import yaml

from errors import (
    AlreadyRedeemed,
    ConsentRequired,
    Erased,
    KeyExpired,
    KeyNotFound,
    NotFinished,
    NotRedeemed,
    SessionClosed,
    TimeIsOver,
    Unauthenticated,
)
from models import batches
from models.assessments import Assessment, CandidateKey
from models.audit import SERVICE, AuditEntry
from models.base import (
    BytesField,
    GoesWithSession,
    Model,
    Query,
    TimestampField,
    by_one_statement,
    clock,
    db,
    locked,
)
from models.compiled import Compiled, Parameter
from models.delivery import Delivery
from models.feed import FeedEvent
from models.orgs import Organization
from models.rollups import CohortRollup
from rules import candidate_keys, envelopes, event_chain, metrics, retention, session_clock, summaries

# Judging a signature takes time by the length of the text; ingest has to answer at once.
JUDGED_AT_ONCE_BYTES = 256 * 1024
PRICES = Path(__file__).parent.parent / "data" / "pricing.yaml"


@cache
def prices() -> Any:
    """The models' dated prices (data/pricing.yaml)."""
    return yaml.safe_load(PRICES.read_text())


def presented_key(text: str) -> CandidateKey:
    """The key that stands in a body or a query (R30).

    Raises KeyNotFound where it is unknown, revoked or of a deleted assessment, and KeyExpired where it expired
    before it was redeemed.
    """
    key = candidate_keys.normalise(text)
    found = CandidateKey.alive().where(CandidateKey.key == key).get_or_none() if key else None
    if found is None:
        raise KeyNotFound()
    if found.expires_at <= clock.now() and not Session.select().where(Session.key == found).exists():
        raise KeyExpired()
    return found


class Arrival(NamedTuple):
    """An event as it came in: parsed, its instant in nanoseconds, and the text itself."""

    envelope: dict[str, Any]
    time_ns: int
    text: str


class Consent(Model):
    """That a candidate agreed; version and hash are None where the client showed a text of its own (R28)."""

    key = peewee.ForeignKeyField(CandidateKey)
    disclosure_version = peewee.TextField(null=True)
    disclosure_hash = peewee.TextField(null=True)

    class Meta:
        table_name = "consents"

    @classmethod
    def given(cls, key: CandidateKey, disclosure_hash: str | None) -> bool:
        """Whether the candidate agreed to just this text."""
        same = cls.disclosure_hash == disclosure_hash if disclosure_hash else cls.disclosure_hash.is_null()
        return cls.select().where(cls.key == key, same).exists()

    @classmethod
    def of_person(cls, key: CandidateKey, session: Any) -> Query:
        return cls.select().where(cls.key == key)

    @classmethod
    def give(cls, key: CandidateKey, version: str | None, disclosure_hash: str | None) -> None:
        """Record the agreement; recording it again changes nothing."""
        with db.atomic():
            _take_turn(key)
            if not cls.given(key, disclosure_hash):
                cls.create(key=key, disclosure_version=version, disclosure_hash=disclosure_hash)


def _take_turn(key: CandidateKey) -> None:
    query = CandidateKey.select(CandidateKey.id).where(
        CandidateKey.id == key.id, CandidateKey.revoked_at.is_null()
    )
    if locked(query).get_or_none() is None:
        raise KeyNotFound()


class Session(Model):
    """One candidate's work on an assessment, from redeem to close, with the metrics derived from its events.

    `closes_at` is the limit's close (None without a limit), `closed_at` the close once somebody noticed it.
    Ratios are billionths, times milliseconds (metrics.md).
    """

    organization_id: Any
    assessment_id: Any
    organization = peewee.ForeignKeyField(Organization, index=False)
    assessment = peewee.ForeignKeyField(Assessment)
    key_id: Any
    key = peewee.ForeignKeyField(CandidateKey, unique=True)
    closes_at = TimestampField(null=True)
    closed_at = TimestampField(null=True)
    closed_by = peewee.TextField(null=True)
    completed_at = TimestampField(null=True)
    hired_at = TimestampField(null=True)
    redeem_allowed = peewee.BooleanField(default=False)
    tests_passed_count = peewee.IntegerField(null=True)
    tests_failed_count = peewee.IntegerField(null=True)
    tests_skipped_count = peewee.IntegerField(null=True)
    tests_note = peewee.TextField(null=True)
    metrics_due = peewee.BooleanField(default=False)
    derivation_version = peewee.IntegerField(null=True)
    event_count = peewee.IntegerField(null=True)
    duration_ms = peewee.BigIntegerField(null=True)
    prompt_count = peewee.BigIntegerField(null=True)
    command_fail_rate = peewee.BigIntegerField(null=True)
    verify_intensity = peewee.BigIntegerField(null=True)
    manual_edit_ratio = peewee.BigIntegerField(null=True)
    first_change_latency_ms = peewee.BigIntegerField(null=True)
    tests_passed = peewee.BooleanField(null=True)
    further_metrics = peewee.JSONField(null=True)
    sealed_count = peewee.IntegerField(default=0)
    seal_head = BytesField(null=True)

    class Meta:
        table_name = "sessions"
        indexes = ((("organization", "created_at", "id"), False),)

    # Who may see it

    @classmethod
    def visible_to(cls, caller: Any) -> Query:
        """The organization's, save those of deleted assessments; a candidate sees the own one only (R3)."""
        query = cls.select(cls, CandidateKey, Assessment, Organization).join(CandidateKey)
        query = query.switch(cls).join(Assessment).switch(cls).join(Organization)
        query = query.where(Assessment.deleted_at.is_null())
        if isinstance(caller, CandidateKey):
            return query.where(cls.key == caller.id)
        return query.where(cls.organization == caller.organization_id)

    @classmethod
    def of_key(cls, key: CandidateKey) -> "Session":
        """The session of a redeemed key; NotRedeemed where there is none (R29)."""
        session = cls.get_or_none(cls.key == key)
        if session is None:
            raise NotRedeemed()
        return session

    @classmethod
    def named_by(cls, key: CandidateKey) -> "Session":
        """The session of a key that has authenticated, with nothing but its ids, for what looks at the row anew;
        NotRedeemed where there is none (R29)."""
        if key.own_session_id is None:
            raise NotRedeemed()
        return cls(__no_default__=True, id=cls.id.python_value(key.own_session_id), key=key.id)

    # Redeem

    @classmethod
    def redeem(cls, key_text: str, public_key: str | None = None) -> "Session":
        """Begin the session of a key, or find it again for a candidate whose client lost the answer (R31).

        Raises KeyNotFound, KeyExpired (R30), ConsentRequired (R28) and AlreadyRedeemed.
        """
        with db.atomic():
            key = presented_key(key_text)
            _take_turn(key)
            # Once more: until its turn came the key may have got another expiry or more time.
            key = presented_key(key_text)
            session = cls.get_or_none(cls.key == key)
            if session is None:
                session = cls._begin(key)
            else:
                session._redeem_again()
            SigningKey.keep(session, public_key)
        session.key, session.assessment = key, key.assessment
        return session

    @classmethod
    def _begin(cls, key: CandidateKey) -> "Session":
        if not Consent.select().where(Consent.key == key).exists():
            raise ConsentRequired()
        # Held, so that it cannot change between what this candidate is told and the session that keeps it as it is.
        key.assessment = key.assessment.hold("FOR SHARE")
        now = clock.now()
        session = cls.create(
            organization=key.organization_id,
            assessment=key.assessment_id,
            key=key,
            created_at=now,
            closes_at=cls._limit_of(key, now),
        )
        session._tell("session.started", "active")
        return session

    @staticmethod
    def _limit_of(key: CandidateKey, redeemed_at: datetime) -> datetime | None:
        limit, extra = key.assessment.time_limit_minutes, timedelta(minutes=key.added_minutes)
        return session_clock.closes_at(redeemed_at, limit, extra)

    def move_limit(self, key: CandidateKey) -> None:
        """Let the limit follow the key's accommodation, inside of a transaction.

        Raises SessionClosed, and TimeIsOver where the new limit has passed already.
        """
        session = self._held()
        session._settle()
        if session.closed_at is not None:
            raise SessionClosed()
        closes_at = self._limit_of(key, session.created_at)
        # Work that was recorded elsewhere has no limit, whatever its assessment has.
        if session.closes_at is None or closes_at is None:
            return
        if closes_at <= clock.now():
            raise TimeIsOver()
        session._set(closes_at=closes_at)

    def _redeem_again(self) -> None:
        if self.closed_as_of(clock.now()):
            raise AlreadyRedeemed("This session has ended.")
        if not Event.select().where(Event.session == self).exists():
            return
        if not self.redeem_allowed:
            raise AlreadyRedeemed()
        Session.update(redeem_allowed=False).where(Session.id == self.id).execute()

    def allow_redeem(self) -> None:
        """Let the candidate redeem once more although work has begun: a broken laptop (R31)."""
        with db.atomic():
            session = self._held()
            if session.closed_as_of(clock.now()):
                raise SessionClosed()
            Session.update(redeem_allowed=True).where(Session.id == self.id).execute()

    def require_person(self) -> None:
        """Erased where the candidate's data was erased; until the transaction's end it cannot be."""
        self._held()
        if self._is_erased():
            raise Erased()

    def _is_erased(self) -> bool:
        erased = CandidateKey.erased_at.is_null(False)
        return CandidateKey.select().where(CandidateKey.id == self.key_id, erased).exists()

    def lift_time_limit(self) -> None:
        """Let it run without a limit: work that was recorded elsewhere took the time that it took."""
        self._set(closes_at=None)

    @property
    def redeemed_at(self) -> datetime:
        return self.created_at

    # Events

    def append(self, *arrivals: Arrival) -> list[str]:
        """Store events, all or none: each is `created`, `late` (stored, counts in nothing) or `skipped` (its id is
        there already).

        Raises SessionClosed more than 24 hours after the close (R18), and Unauthenticated where the session's key is
        revoked, since who brings one event may be remembered only (access/auth.py). Which it is, is decided under a
        lock against the close; single events of an open session share it, and do not wait for each other.
        """
        # Before the lock, since to judge signatures takes time.
        is_signed = any(event_chain.is_signed(arrival.envelope) for arrival in arrivals)
        keys = SigningKey.of(self) if is_signed else []
        rows = [Event.row(self, arrival, keys) for arrival in arrivals]
        if len(rows) == 1 and self._store_if_open(rows[0]):
            return ["created"]
        # They are many, or the one is not new, or the session has closed: then the row itself may have to be marked,
        # and a shared lock cannot grow into an exclusive one without deadlocks.
        with db.atomic():
            session = self._held_by_its_key()
            now = clock.now()
            return self._store(rows, now, session_clock.window(now, session.closed_as_of(now)))

    def _store_if_open(self, row: dict[str, Any]) -> bool:
        """Whether it was stored. Lock, look and insert are one statement."""
        with by_one_statement():
            return _STORE_IF_OPEN.returns_any(**row, session_id=self.id, received_at=clock.now(), late=False)

    def _store(self, rows: list[dict[str, Any]], now: datetime, window: str) -> list[str]:
        # An erasure closes first, so that only after a close there is a need to look.
        if window == "over" or (window != "open" and self._is_erased()):
            raise SessionClosed()
        arrived = {"received_at": now, "late": window == "late"}
        insert = (
            Event.insert_many([row | arrived for row in rows]).on_conflict_ignore().returning(Event.event_id)
        )
        fresh = {row.event_id for row in insert.execute()}
        if fresh and window == "flush":
            Session.update(metrics_due=True).where(Session.id == self.id).execute()
        stored = "late" if window == "late" else "created"
        return [stored if _take(row["event_id"], fresh) else "skipped" for row in rows]

    def counts(self) -> dict[str, int]:
        """`event_count` and `late_event_count`, of the events as they are now, or of those that were once derived."""
        query = Event.select(Event.late, peewee.fn.COUNT(Event.seq)).where(Event.session == self)
        rows: Any = query.group_by(Event.late).tuples()
        found: dict[bool, int] = dict(rows)
        counted = found.get(False, 0) or (self.event_count or 0)
        return {"event_count": counted, "late_event_count": found.get(True, 0)}

    # Close

    def closed_as_of(self, now: datetime) -> datetime | None:
        return session_clock.close_as_of(now, self.closed_at, self.closes_at)

    def complete(self) -> datetime:
        """The candidate is done: close the session and derive its metrics. Returns what the answer calls
        `completedAt`.

        A repeated complete changes nothing. A first one after the limit's close still makes the session
        `completed` for ten minutes; later, or after a reviewer's close, only the answer carries a moment (R18).
        """
        with db.atomic():
            session = self._held()
            session._settle()
            now = clock.now()
            if session.closed_at is None:
                session._close(now, "candidate", completed_at=now)
            elif session.completed_at is None and session._takes_completion(now):
                session._set(completed_at=now)
                session._tell("session.completed", "completed")
            return session.completed_at or session.closed_at

    def _takes_completion(self, now: datetime) -> bool:
        return self.closed_by == "limit" and session_clock.window(now, self.closed_at) == "flush"

    def close(self) -> None:
        """A reviewer closes an abandoned session; it reads `expired`. Closing a closed one changes nothing."""
        with db.atomic():
            session = self._held()
            session._settle()
            if session.closed_at is None:
                session._close(clock.now(), "reviewer")

    def mark_hired(self, hired: bool) -> None:
        """Mark the candidate as hired, or take it back; NotFinished before the session's end (R17)."""
        with db.atomic():
            session = self._held()
            session._settle()
            if session.closed_at is None:
                raise NotFinished()
            if hired and session.hired_at is None:
                session._tell("candidate.hired", "hired")
            session._set(hired_at=clock.now() if hired else None)

    def submit_test_result(self, passed: int, failed: int, skipped: int | None, note: str | None) -> None:
        """Keep the result of tests that somebody else ran; it goes before what the events tell (metrics.md)."""
        with db.atomic():
            self.require_person()
            session = self._held()
            session._set(
                tests_passed_count=passed,
                tests_failed_count=failed,
                tests_skipped_count=skipped,
                tests_note=note,
                metrics_due=True,
            )
            session._settle()

    # Retention and erasure

    @property
    def ended_at(self) -> datetime | None:
        """When it closed or will; without a limit when nobody could go on with it."""
        return self.closed_at or self.closes_at or self.key.revoked_at or self.assessment.deleted_at

    @classmethod
    def of_person(cls, key: CandidateKey, session: "Session | None") -> Query:
        return cls.select().where(cls.key == key)

    @classmethod
    def erase_of(cls, key: CandidateKey, session: "Session | None") -> int:
        """Take away what was written about the candidate, and what the candidate's computer named."""
        if session is None:
            return 0
        further = session.further_metrics and retention.without_names(session.further_metrics)
        session._set(tests_note=None, further_metrics=further)
        return 1

    # The numbers

    @classmethod
    def unsettled(cls, now: datetime) -> Any:
        """Sessions whose limit has passed, or whose metrics are due again: each half from its own partial index."""
        columns = (cls.id, cls.assessment, cls.organization)
        due = cls.select(*columns).where(cls.closed_at.is_null(), cls.closes_at <= now)
        stale = cls.select(*columns).where(cls.metrics_due, cls.closed_at.is_null(False))
        return due.union_all(stale)

    @classmethod
    def settle_all(cls, **whose: Model) -> int:
        """Settle each session that needs it, each in its own transaction, of one `assessment` or `organization` where
        it is named; returns how many.

        Whose they are is asked here, since few wait at any moment: SQLite, asked for those of an assessment, would
        look through all of its sessions.
        """
        waiting = [
            session
            for session in cls.unsettled(clock.now())
            if all(getattr(session, f"{name}_id") == row.id for name, row in whose.items())
        ]
        for session in sorted(waiting, key=lambda session: session.id):
            session.settle()
        return len(waiting)

    def settle(self) -> None:
        """Close the session if its limit has passed; derive its metrics if they are due (R17, R18)."""
        with db.atomic():
            self._held()._settle()

    def _settle(self) -> None:
        if self.closed_at is None and self.closed_as_of(clock.now()):
            self._close(self.closes_at, "limit")
            AuditEntry.note(
                self.organization_id, "closeAtLimit", SERVICE, subject_kind="session", subject_id=self.id
            )
        elif self.closed_at is not None and self.metrics_due:
            self._derive()

    def _close(self, moment: datetime, by: str, completed_at: datetime | None = None) -> None:
        self._set(closed_at=moment, closed_by=by, completed_at=completed_at)
        self._derive()
        status = "completed" if completed_at else "expired"
        self._tell(f"session.{status}", status)

    def _derive(self) -> None:
        """Derive the metrics, here and nowhere else, and let the cohort follow in the same transaction."""
        # By its first derivation, at the close, it joins the cohort.
        before = None if self.derivation_version is None else self._counted()
        self._set(metrics_due=False, **self._derived())
        CohortRollup.replace_session(self.assessment_id, before, self._counted())

    def _derived(self) -> dict[str, Any]:
        found = metrics.derive(Event.timeline(self), self._test_result(), prices())
        if found.event_count == 0 and self.event_count:
            # The events were erased or are past their retention: the session keeps its numbers.
            return self._tests_alone(found)
        values = asdict(found)
        columns = {name: values.pop(name) for name in (*METRIC_COLUMNS, "event_count")}
        return columns | {"derivation_version": values.pop("version"), "further_metrics": values}

    def _counted(self) -> dict[str, Any]:
        """What the cohort counts of the session."""
        return {name: getattr(self, name) for name in COHORT_COLUMNS}

    def submitted_tests(self) -> dict[str, Any] | None:
        """The submitted result, as it came in."""
        if self.tests_passed_count is None:
            return None
        counts = {name: getattr(self, f"tests_{name}_count") for name in ("passed", "failed", "skipped")}
        return counts | {"note": self.tests_note}

    def _test_result(self) -> tuple[int, int] | None:
        if self.tests_passed_count is None or self.tests_failed_count is None:
            return None
        return self.tests_passed_count, self.tests_failed_count

    def _tests_alone(self, found: metrics.Metrics) -> dict[str, Any]:
        return {} if self._test_result() is None else {"tests_passed": found.tests_passed}

    def shown_seal(self, events: int) -> dict[str, Any]:
        """Where the seal stands, with how many events there are beside how many it closes."""
        head = self.seal_head.hex() if self.seal_head is not None else None
        return {"head": head, "count": self.sealed_count, "is_whole": self.sealed_count == events}

    def shown_metrics(self) -> dict[str, Any] | None:
        """The metrics under the names of metrics.md; None while the session is open."""
        if self.derivation_version is None:
            return None
        row = {name: getattr(self, name) for name in METRIC_COLUMNS}
        return metrics.shown(row | self.further_metrics) | {"derivationVersion": self.derivation_version}

    def rederive(self) -> dict[str, tuple[Any, Any]]:
        """Derive the metrics of a closed session again; returns what changed, as (before, after) by its shown name.

        A session whose events are gone keeps its numbers.
        """
        with db.atomic():
            session = self._held()
            session._settle()
            before = session.shown_metrics() or {}
            session._derive()
            after = session.shown_metrics() or {}
        changed = {name for name in before | after if before.get(name) != after.get(name)}
        return {name: (before.get(name), after.get(name)) for name in sorted(changed)}

    # Helpers

    @property
    def ids(self) -> dict[str, Any]:
        """Whose session it is, as events to the outside name it."""
        return {"sessionId": self.id, "candidateId": self.key_id, "assessmentId": self.assessment_id}

    def _tell(self, kind: str, status: str) -> None:
        FeedEvent.publish(self.organization_id, kind, self.ids | {"status": status})

    def take_turn(self) -> "Session":
        """The row as it is now, held until the transaction ends."""
        return self._held()

    def _held_by_its_key(self) -> "Session":
        session = locked(Session.select().where(Session.id == self.id, _key_is_present())).get_or_none()
        if session is None:
            raise Unauthenticated()
        return session

    def _held(self, strength: str = "FOR NO KEY UPDATE") -> "Session":
        return locked(Session.select().where(Session.id == self.id), strength).get()

    def _set(self, **values: Any) -> None:
        Session.update(**values).where(Session.id == self.id).execute()
        for name, value in values.items():
            setattr(self, name, value)


# What settle_all looks for, so that it never walks over the sessions that are done.
Session.add_index(Session.index(Session.closes_at, where=Session.closed_at.is_null(), name="sessions_open"))
Session.add_index(Session.index(Session.id, where=Session.metrics_due, name="sessions_metrics_due"))


def _take(event_id: str, fresh: set[str]) -> bool:
    """Whether this is the first of its id: of two in one request the second is there already."""
    is_first = event_id in fresh
    fresh.discard(event_id)
    return is_first


METRIC_COLUMNS = (
    "duration_ms",
    "prompt_count",
    "command_fail_rate",
    "verify_intensity",
    "manual_edit_ratio",
    "first_change_latency_ms",
    "tests_passed",
)
COHORT_COLUMNS = (*METRIC_COLUMNS, "derivation_version")


class SigningKey(Model, GoesWithSession):
    """A public key of a session. The client makes a new pair at each try of a start, so all of them are kept."""

    session = peewee.ForeignKeyField(Session, index=False)
    public_key = peewee.TextField()

    class Meta:
        table_name = "signing_keys"
        indexes = ((("session", "public_key"), True),)

    @classmethod
    def of(cls, session: Session) -> list[str]:
        """The public keys of a session, the latest first."""
        rows: Any = cls.select(cls.public_key).where(cls.session == session).order_by(cls.id.desc()).tuples()
        return [public_key for (public_key,) in rows]

    @classmethod
    def keep(cls, session: Session, public_key: str | None) -> None:
        if public_key:
            cls.insert(session=session, public_key=public_key).on_conflict_ignore().execute()


class Event(peewee.Model, GoesWithSession):
    """One event as it came, with what is asked for often in columns beside it.

    The envelope is kept as text, since its signature covers how numbers are spelt and members are ordered. `seq`
    is the order of arrival, `size` the envelope's in bytes; `subject` and `note` are its summary. The widest column
    comes last, so that the others are read without it.
    """

    session_id: Any
    seq = peewee.BigAutoField()
    session = peewee.ForeignKeyField(Session, index=False)
    event_id = peewee.TextField()
    kind = peewee.TextField()
    source = peewee.TextField(null=True)
    actor = peewee.TextField(null=True)
    attribution = peewee.TextField(null=True)
    time_ns = peewee.BigIntegerField()
    received_at = TimestampField()
    late = peewee.BooleanField()
    subject = peewee.TextField(null=True)
    note = peewee.TextField(null=True)
    size = peewee.IntegerField()
    verdict = peewee.TextField(null=True)
    envelope = peewee.TextField()

    class Meta:
        database = db
        table_name = "events"
        legacy_table_names = False
        indexes = (
            (("session", "event_id"), True),
            (("session", "seq"), False),
            (("session", "time_ns", "seq"), False),
            (("session", "kind", "time_ns", "seq"), False),
        )

    @classmethod
    def row(cls, session: Session, arrival: Arrival, keys: list[str]) -> dict[str, Any]:
        """What is stored of an arrival, save when it came. The signature of a very large one is left to the worker to
        judge."""
        text, size = arrival.text, len(arrival.text.encode())
        verdict: str | None = event_chain.UNSIGNED
        if event_chain.is_signed(arrival.envelope):
            verdict = event_chain.verify(text, keys) if size <= JUDGED_AT_ONCE_BYTES else None
        place = {"session": session, "event_id": arrival.envelope["id"], "time_ns": arrival.time_ns}
        facts = {"size": size, "verdict": verdict, "envelope": text}
        summary = summaries.summary_of(arrival.envelope)._asdict()
        return place | envelopes.columns(arrival.envelope) | summary | facts

    @classmethod
    def judge_waiting(cls) -> int:
        """Judge the signatures that were left for later; returns how many."""
        waiting = cls.select(cls.seq, cls.session, cls.envelope).where(cls.verdict.is_null())
        count = 0
        for seq, session_id, envelope in batches.rows(waiting, cls.seq, cls.size):
            verdict = event_chain.verify(envelope, SigningKey.of(session_id))
            count += cls.update(verdict=verdict).where(cls.seq == seq).execute()
        return count

    @classmethod
    def timeline(cls, session: Session) -> Iterator[tuple[int, dict[str, Any]]]:
        """(nanoseconds, envelope) of the events that count."""
        counting = cls.select(cls.seq, cls.time_ns, cls.envelope).where(cls.session == session, ~cls.late)
        for _, time_ns, envelope in batches.rows(counting, cls.seq, cls.size):
            yield time_ns, json.loads(envelope)


def _key_is_present() -> Any:
    """Whether the session's key is neither revoked nor of a deleted assessment."""
    revoked_at = CandidateKey.select(CandidateKey.revoked_at).where(CandidateKey.id == Session.key)
    is_valid = peewee.Expression(revoked_at, peewee.OP.IS, None)
    return is_valid & Assessment.is_present(Session.assessment)


def _store_if_open() -> Any:
    """Insert an event, given by its columns, if its session is open and its key good; the seq if it was stored."""
    names = [name for name in Event._meta.sorted_field_names if name not in ("seq", "session")]
    fields = [getattr(Event, name) for name in names]
    now = Parameter("received_at", Event.received_at)
    is_open = Session.closed_at.is_null() & (Session.closes_at.is_null() | (Session.closes_at > now))
    values = [Parameter(name, field) for name, field in zip(names, fields, strict=True)]
    query = Session.select(Session.id, *values)
    query = query.where(Session.id == Parameter("session_id", Session.id), is_open, _key_is_present())
    query = locked(query, "FOR SHARE")
    return Event.insert_from(query, [Event.session, *fields]).on_conflict_ignore().returning(Event.seq)


_STORE_IF_OPEN = Compiled(_store_if_open)
# What judge_waiting looks for.
Event.add_index(Event.index(Event.seq, where=Event.verdict.is_null(), name="events_not_judged"))


def key_status(now: datetime | Parameter) -> peewee.Case:
    """Where a candidate stands, computed here and nowhere else, so that lists are right without a background job
    (R17)."""
    return peewee.Case(
        None,
        (
            (Session.hired_at.is_null(False), "hired"),
            (Session.completed_at.is_null(False), "completed"),
            (Session.closed_at.is_null(False) | (Session.closes_at <= now), "expired"),
            (Session.id.is_null(False), "active"),
            (CandidateKey.expires_at <= now, "expired"),
        ),
        "pending",
    )


def key_records(now: datetime | Parameter) -> Query:
    """Candidate keys as the API shows them, with their session's state and their latest invitation (R16)."""
    query = CandidateKey.select(
        CandidateKey,
        key_status(now).alias("status"),
        Session.id.alias("session_id"),
        Session.created_at.alias("redeemed_at"),
        Session.completed_at,
        Assessment.title.alias("assessment_title"),
        Delivery.state.alias("invite_state"),
        Delivery.attempts.alias("invite_attempts"),
        Delivery.last_error.alias("invite_last_error"),
        Delivery.sent_at.alias("invite_sent_at"),
    )
    query = query.join(Assessment).switch(CandidateKey).join(Session, peewee.JOIN.LEFT_OUTER)
    query = query.switch(CandidateKey).join(
        Delivery, peewee.JOIN.LEFT_OUTER, on=(Delivery.id == CandidateKey.invitation_id)
    )
    return query.where(CandidateKey.revoked_at.is_null(), Assessment.deleted_at.is_null()).dicts()
