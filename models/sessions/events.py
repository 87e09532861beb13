"""Events as received, and the public keys that verify them."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any, NamedTuple

import peewee

from models import batches, sql
from models.base import ErasedWithSession, PersonalData, Query, Table, TimestampField
from models.fields import BigIntegerField, IntegerField, TextField
from models.ledger.protection import ProtectedModel
from models.sessions.session import Session
from models.task_failures import run_each
from rules.events import duplicates, envelopes, summaries
from rules.events.duplicates import ChannelEvent
from rules.events.recorded_events import CONTEXT
from rules.integrity import event_signatures
from rules.integrity.stored_events import has_arrived
from rules.ledger.arrivals import get_key_id
from rules.ledger.keys import Keys

# The worker verifies larger events, so that ingest responds quickly.
MAX_VERIFIED_BYTES = 256 * 1024
# Sources of the client's events that do not report an agent's work (contract 5.5).
CLIENT_SOURCES = ("terminal", "cli")
# A signature does not name its key, so each event is verified with all of them.
MAX_SIGNING_KEYS = 20


class ReceivedEvent(NamedTuple):
    """A received event: its JSON text, its size in bytes, and the columns derived from it.

    The parsed envelope is not kept, because it takes as much memory as the text.
    """

    text: str
    size: int
    columns: dict[str, Any]
    is_signed: bool
    has_long_signature: bool

    @classmethod
    def of(
        cls, envelope: dict[str, Any], time_ns: int, text: str, channel: str | None = None
    ) -> "ReceivedEvent":
        """Build the event and its columns.

        envelope -- the parsed text
        time_ns -- the event's `ts` in nanoseconds since 1970
        channel -- the service's channel that recorded the event (R36); None for the candidate's client
        """
        columns = {"event_id": envelope["id"], "time_ns": time_ns}
        columns |= envelopes.columns(envelope, channel) | summaries.summarize(envelope)._asdict()
        if channel is not None:
            columns |= {"channel": channel} | duplicates.columns(envelope)
        is_signed = channel is None and event_signatures.is_signed(envelope)
        has_long_signature = event_signatures.has_long_signature(envelope)
        return cls(text, len(text.encode()), columns, is_signed, has_long_signature)

    @property
    def event_id(self) -> str:
        return self.columns["event_id"]


class SigningKey(ProtectedModel, ErasedWithSession):
    """A session's public key. The client creates a new key pair at each start; earlier ones stay valid."""

    personal_data = PersonalData("signingKeys", "Public keys that your client signed with.")
    protected = ("session", "public_key", "created_at")
    parent = "session"
    session_link = ("session_id", "id")
    deleted_by_erasure = True

    session = peewee.ForeignKeyField(Session, index=False)
    public_key = TextField()

    class Meta:
        indexes = ((("session", "public_key"), True),)

    @classmethod
    def of(cls, session: Session) -> list[str]:
        """Return the session's public keys, latest first."""
        rows = cls.select(cls.public_key).where(cls.session == session).order_by(cls.id.desc())
        return [row.public_key for row in rows]

    @classmethod
    def add(cls, session: Session, public_key: str | None) -> None:
        """Add a public key; before the client's first event, keep only the latest MAX_SIGNING_KEYS.

        Later, each new key requires a reviewer's permission (R31). No key is deleted then: it can have signed events.
        """
        if public_key:
            if public_key not in cls.of(session):
                cls.create(session=session, public_key=public_key)
            if not Event.from_client(session).exists():
                newest_first = cls.select().where(cls.session == session).order_by(cls.id.desc())
                for oldest in list(newest_first.offset(MAX_SIGNING_KEYS)):
                    oldest.delete_protected()


class Event(Table, ErasedWithSession):
    """An event as received, with columns for lists and filters.

    The envelope is text, because its signature covers the spelling of numbers. It is the last column, so reading other
    columns skips it; `size` is its length in bytes. `seq` is the arrival number; `subject` and `note` are the summary.
    `arrival_mac` is its signature (rules/ledger/arrivals.py). `channel` is the service's channel that recorded the
    event, None for the candidate's client. Only channels' events have `agent_session`, the tool's session id, and
    `joins`, the keys of rules/events/duplicates.py.
    """

    personal_data = PersonalData(
        "events",
        "Events that your tools and your editor reported while you worked, or that the model proxy recorded: prompts, "
        "responses, commands, changes.",
        received_at="received_at",
    )

    seq = peewee.BigAutoField()
    session = peewee.ForeignKeyField(Session, index=False)
    event_id = TextField()
    kind = TextField()
    source = TextField(null=True)
    actor = TextField(null=True)
    attribution = TextField(null=True)
    time_ns = BigIntegerField()
    received_at = TimestampField()
    late = peewee.BooleanField()
    subject = TextField(null=True)
    note = TextField(null=True)
    size = IntegerField()
    verdict = TextField(null=True)
    arrival_mac = TextField(null=True)
    channel = TextField(null=True)
    agent_session = TextField(null=True)
    joins = TextField(null=True)
    envelope = TextField()

    class Meta:
        indexes = ((("session", "event_id"), True),)

    # The columns that `is_accepted` reads, and the size for reading in batches.
    SIGNED_COLUMNS = (
        *("event_id", "received_at", "late", "verdict"),
        *("channel", "arrival_mac", "size", "envelope"),
    )

    @staticmethod
    def is_accepted(row: Mapping[str, Any], candidate_key: str, keys: Keys) -> bool | None:
        """Return whether the service stored an event in this form; None if its key is unknown."""
        if get_key_id(row["arrival_mac"]) not in keys:
            return None if get_key_id(row["arrival_mac"]) else False
        return has_arrived(row, candidate_key, keys)

    @classmethod
    def row(cls, event: ReceivedEvent, public_keys: list[str]) -> dict[str, Any]:
        """Return the event's columns without session and arrival time; `verdict` is None if it is verified later."""
        if not event.is_signed:
            verdict = event_signatures.UNSIGNED
        elif event.has_long_signature:
            verdict = event_signatures.INVALID
        elif event.size > MAX_VERIFIED_BYTES:
            verdict = None
        else:
            verdict = event_signatures.verify(event.text, public_keys).verdict
        return event.columns | {"envelope": event.text, "size": event.size, "verdict": verdict}

    @classmethod
    def from_client(cls, session: Session) -> Query:
        return cls.select().where(cls.session == session, cls.channel.is_null())

    @classmethod
    def signed_by_client(cls, session: Session) -> Query:
        """Select the client's events with a valid signature. A public key alone proves no recording (R45)."""
        return cls.from_client(session).where(cls.verdict == event_signatures.VALID)

    @classmethod
    def agent_arrivals(cls, session: Session) -> list[datetime]:
        """Return when events about agents arrived, from the service's channels or signed by the client, in order."""
        is_signed = (cls.verdict == event_signatures.VALID) & cls.source.not_in(CLIENT_SOURCES)
        events = cls.select(cls.received_at).where(
            cls.session == session, cls.channel.is_null(False) | is_signed
        )
        return [row.received_at for row in events.order_by(cls.received_at)]

    @classmethod
    def is_context(cls) -> Any:
        """Return the condition for events that count in no metric (R46)."""
        return cls.channel.is_null(False) & (cls.kind == CONTEXT)

    @classmethod
    def verify_pending(cls) -> int:
        """Verify the signatures of large events. Returns how many."""
        pending: Any = cls.select(cls.seq).where(cls.verdict.is_null()).order_by(cls.seq).tuples()
        return run_each("verify", [seq for (seq,) in pending], cls._verify)

    @classmethod
    def _verify(cls, seq: int) -> int:
        row = cls.get_or_none(cls.seq == seq)
        if row is None:  # The candidate was erased.
            return 0
        verdict = event_signatures.verify(row.envelope, SigningKey.of(row.session_id)).verdict
        return cls.update(verdict=verdict).where(cls.seq == seq).execute()

    @classmethod
    def timeline(cls, session: Session) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield the time in nanoseconds and the envelope of each counted event, by time."""
        columns = (cls.seq, cls.time_ns, cls.kind, cls.late, cls.channel, cls.envelope)
        counted = CountedEvents(session)
        on_time = cls.select(*columns).where(cls.session == session, ~cls.late, ~cls.is_context())
        for row in batches.read_wide(on_time, [cls.time_ns, cls.seq], cls.size):
            envelope = row.pop("envelope")
            if counted.includes(row):
                yield row["time_ns"], json.loads(envelope)

    @classmethod
    def extent(cls, session: Session, last_seq: int | None = None) -> tuple[int, int]:
        """Return the number of events up to `last_seq`, and the `seq` of the last one (0 without events)."""
        events = cls.select(peewee.fn.COUNT(cls.seq), peewee.fn.COALESCE(peewee.fn.MAX(cls.seq), 0))
        events = events.where(cls.session == session)
        if last_seq is not None:
            events = events.where(cls.seq <= last_seq)
        rows: Any = events.tuples()
        return rows.get()

    @classmethod
    def envelopes(cls, seqs: list[int]) -> dict[int, str]:
        """Return envelopes by arrival number."""
        rows: Any = cls.select(cls.seq, cls.envelope).where(cls.seq.in_(seqs)).tuples()
        return dict(rows)

    @classmethod
    def read_in_order(cls, seqs: Sequence[int]) -> Iterator[dict[str, Any]]:
        """Yield `seq`, `verdict` and `envelope` of events in the order of `seqs`, without erased events.

        Reads a few envelopes at a time.
        """
        for start in range(0, len(seqs), batches.MAX_ROWS):
            page = list(seqs[start : start + batches.MAX_ROWS])
            sizes: Any = cls.select(cls.seq, cls.size).where(cls.seq.in_(page)).tuples()
            size_by_seq = dict(sizes)
            for batch in batches.split((seq for seq in page if seq in size_by_seq), size_by_seq.__getitem__):
                rows: Any = cls.select(cls.seq, cls.verdict, cls.envelope).where(cls.seq.in_(batch)).dicts()
                by_seq = {row["seq"]: row for row in rows}
                yield from (by_seq.pop(seq) for seq in batch if seq in by_seq)

    @classmethod
    def ids(cls, seqs: list[int]) -> dict[int, str]:
        """Return event ids by arrival number."""
        ids: dict[int, str] = {}
        for batch in batches.split(seqs, lambda seq: 0):
            rows: Any = cls.select(cls.seq, cls.event_id).where(cls.seq.in_(batch)).tuples()
            ids.update(rows)
        return ids

    @classmethod
    def repeated_ids(cls, session: Session) -> list[str]:
        """Return ids shared by several events, which is possible only if the unique index was dropped."""
        rows: Any = cls.select(cls.event_id).where(cls.session == session).group_by(cls.event_id)
        return [event_id for (event_id,) in rows.having(peewee.fn.COUNT(cls.seq) > 1).limit(100).tuples()]

    @classmethod
    def counts(cls, session: Session, counted: "CountedEvents | None" = None) -> dict[str, int]:
        """Return `event_count`, `duplicate_event_count` and `late_event_count`.

        Duplicates are events on time that do not count (R36). After an erasure, `event_count` is the stored metric.
        """
        counted = counted or CountedEvents(session)
        on_time = Counter(counted.on_time)
        event_count = on_time[None] or on_time.total() - len(counted.superseded)
        return {
            "event_count": event_count or session.event_count or 0,
            "duplicate_event_count": on_time.total() - event_count,
            "late_event_count": counted.late_count,
        }


class CountedEvents:
    """The session's events that count (R36): the client's, or each call once, from the best channel that recorded it.

    No query is needed for the client's events.
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    def includes(self, row: batches.Row) -> bool:
        """Return whether an event counts.

        row -- an event's columns `seq`, `kind`, `late` and `channel`
        """
        if row["late"] or row["channel"] is None:
            return not row["late"]
        if row["kind"] == CONTEXT or self.has_client:
            return False
        return row["seq"] not in self.superseded

    @cached_property
    def has_client(self) -> bool:
        """True if the client sent events in time. Events from all other channels are then duplicates."""
        return bool(self.on_time.get(None))

    @property
    def on_time(self) -> Mapping[str | None, int]:
        """Number of events on time, by channel."""
        return {channel: count for is_late, channel, count in self._totals if not is_late}

    @property
    def late_count(self) -> int:
        return sum(count for is_late, _, count in self._totals if is_late)

    @cached_property
    def _totals(self) -> list[tuple[bool, str | None, int]]:
        query = Event.select(Event.late, Event.channel, peewee.fn.COUNT(Event.seq))
        query = query.where(Event.session == self._session, ~Event.is_context())
        rows: Any = query.group_by(Event.late, Event.channel).tuples()
        return list(rows)

    @cached_property
    def superseded(self) -> set[int]:
        """Arrival numbers of channel events that do not count; empty if only the client's events count."""
        return set() if self.has_client else duplicates.find_superseded(self._channel_events)

    @cached_property
    def repeated(self) -> set[int]:
        """Arrival numbers of events superseded by their own channel, such as a command's start by its end."""
        by_channel = defaultdict(list)
        for event in self._channel_events:
            by_channel[event.channel].append(event)
        return set().union(*map(duplicates.find_superseded, by_channel.values()))

    @cached_property
    def _channel_events(self) -> list[ChannelEvent]:
        if not any(self.on_time):
            return []
        rows = sql.rows(sql.CHANNEL_EVENTS, session_id=self._session.id)
        return [ChannelEvent(*row) for row in rows]
