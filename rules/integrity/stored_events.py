"""Compare a stored event with its envelope and its arrival MAC (docs/integrity.md#findings)."""

import itertools
import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from rules.events import duplicates, envelopes
from rules.events.recorded_events import CHANNELS
from rules.integrity import event_signatures
from rules.integrity.arrivals import AcceptedEvent, get_key_id
from rules.integrity.seal_keys import Keys
from rules.session_close import FLUSH_WINDOW
from rules.timestamps import format_timestamp, parse_timestamp_ns, timestamp_from_ns

# The editor extension resends an event for up to an hour (contract 6), and a clock can be an hour off.
ARRIVAL_TOLERANCE = timedelta(hours=2)

# The editor extension's kinds, which are unsigned (contract 5.7). Only signing clients send other kinds.
EDITOR_KINDS = frozenset(
    {"session_start", "editor_focus", "editor_edit", "editor_idle", "command", "file_create", "file_delete"}
)


class Context(NamedTuple):
    """The values with which a session's events are compared.

    has_signing_key -- whether the client registered a public key
    requires_mac -- whether the service signs every event on arrival
    """

    candidate_key: str
    closed_at: datetime | None
    has_signing_key: bool
    requires_mac: bool
    keys: Keys


def inspect(row: Mapping[str, Any], context: Context) -> Iterator[str]:
    """Yield the codes of the findings about a stored event.

    row -- its columns, and its seal's `key_id` if it is sealed
    """
    try:
        envelope = json.loads(row["envelope"])
        differs = not isinstance(envelope, dict) or _has_other_columns(row, envelope, context)
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
        envelope, differs = {}, True
    yield from {*_arrival(row, context)} | ({"column_changed"} if differs else set())
    # The service's own channels do not sign, and use the service's time.
    if context.has_signing_key and isinstance(envelope, dict) and row["channel"] is None:
        yield from _claims(row, envelope)


def _has_other_columns(row: Mapping[str, Any], envelope: dict[str, Any], context: Context) -> bool:
    channel = row["channel"]
    expected = {
        **envelopes.columns(envelope, channel),
        **duplicates.columns(None if channel is None else envelope),
        "event_id": envelope["id"],
        "time_ns": parse_timestamp_ns(envelope["ts"]),
        "size": len(row["envelope"].encode()),
    }
    if row["arrival_mac"] is None:
        # Otherwise, the MAC covers `late`, which cannot be recomputed if the clock was set back.
        closed_at = context.closed_at
        expected["late"] = closed_at is not None and row["received_at"] > closed_at + FLUSH_WINDOW
    if channel is not None and channel != envelopes.field(envelope, "source", "channel"):
        return True
    is_unsigned = row["verdict"] == event_signatures.UNSIGNED
    return is_unsigned == event_signatures.is_signed(envelope) or any(
        row[name] != value for name, value in expected.items()
    )


def _arrival(row: Mapping[str, Any], context: Context) -> Iterator[str]:
    """Yield the codes of findings about the event's arrival MAC."""
    is_sealed_without_key = "key_id" in row and row["key_id"] is None
    if row["arrival_mac"] is None:
        if context.requires_mac and not is_sealed_without_key:
            yield "event_inserted"
        return
    # The worker verifies large events later.
    if _has_arrived(row, context, [row["late"]], [row["verdict"], None], [row["channel"]]):
        return
    # If the key ids of both MAC and seal are unknown, a key is missing in SEAL_KEYS.
    is_sealed_with_unknown_key = row.get("key_id") is not None and row["key_id"] not in context.keys
    if is_sealed_with_unknown_key and get_key_id(row["arrival_mac"]) not in context.keys:
        yield "seal_key_unknown"
    else:
        channels = [row["channel"], None, *CHANNELS]
        was_changed = _has_arrived(row, context, [True, False], event_signatures.VERDICTS, channels)
        yield "column_changed" if was_changed else "event_inserted"


def _has_arrived(
    row: Mapping[str, Any],
    context: Context,
    late: Iterable[bool],
    verdicts: Iterable[str | None],
    channels: Iterable[str | None],
) -> bool:
    """Return whether the MAC matches the event with a combination of these values."""
    accepted = AcceptedEvent.of(
        row["envelope"],
        candidate_key=context.candidate_key,
        received_at=format_timestamp(row["received_at"]),
        late=False,
        verdict=None,
    )
    for is_late, verdict, channel in itertools.product(late, verdicts, channels):
        variant = accepted._replace(late=is_late, verdict=verdict, channel=channel)
        if variant.matches(row["arrival_mac"], context.keys):
            return True
    return False


def _claims(row: Mapping[str, Any], envelope: dict[str, Any]) -> Iterator[str]:
    """Yield the codes of findings about a signing client's claims."""
    is_from_editor = envelopes.is_from_editor(envelope) and envelope.get("kind") in EDITOR_KINDS
    if row["verdict"] == event_signatures.UNSIGNED and not is_from_editor:
        yield "unsigned_event"
    # A late event does not count, so its time does not matter.
    if not row["late"] and abs(timestamp_from_ns(row["time_ns"]) - row["received_at"]) > ARRIVAL_TOLERANCE:
        yield "time_far_from_arrival"
