"""Compare a stored event with its envelope and its arrival MAC (docs/integrity.md#findings)."""

import itertools
import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from typing import Any, NamedTuple

from rules.events import duplicates, envelopes
from rules.events.recorded_events import CHANNELS
from rules.integrity import event_signatures
from rules.ledger.arrivals import AcceptedEvent, get_key_id
from rules.ledger.keys import Keys
from rules.timestamps import format_timestamp, parse_timestamp_ns, timestamp_from_ns

# The editor extension resends an event for up to an hour (contract 6), and a clock can be an hour off.
ARRIVAL_TOLERANCE = timedelta(hours=2)

# The editor extension's kinds, which are unsigned (contract 5.7). Only signing clients send other kinds.
EDITOR_KINDS = frozenset(
    {"session_start", "editor_focus", "editor_edit", "editor_idle", "command", "file_create", "file_delete"}
)


# The columns of an event that are compared with its MAC and its envelope.
COLUMNS = (
    *("event_id", "kind", "source", "actor", "attribution", "time_ns", "received_at", "late", "size"),
    *("verdict", "arrival_mac", "channel", "agent_session", "joins", "envelope"),
)


class Context(NamedTuple):
    """The values with which a session's events are compared.

    has_signing_key -- whether the client registered a public key
    has_channels -- whether the client's events replace those of a channel
    """

    candidate_key: str
    has_signing_key: bool
    has_channels: bool
    keys: Keys


def inspect(row: Mapping[str, Any], context: Context, is_listed: bool) -> Iterator[str]:
    """Yield the codes of the findings about one stored event.

    is_listed -- whether the ledger lists the event with this MAC
    """
    try:
        envelope = json.loads(row["envelope"])
        differs = not isinstance(envelope, dict) or _has_other_columns(row, envelope)
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
        envelope, differs = {}, True
    arrival = _arrival(row, context, is_listed)
    if arrival:
        yield arrival
    # A changed event is one finding.
    if differs and arrival not in ("event_changed", "column_changed"):
        yield "column_changed"
    # The service's own channels do not sign, and have the service's time.
    is_checked = (context.has_signing_key or context.has_channels) and row["channel"] is None
    if is_checked and isinstance(envelope, dict):
        yield from _claims(row, envelope, context.has_signing_key)


def _has_other_columns(row: Mapping[str, Any], envelope: dict[str, Any]) -> bool:
    channel = row["channel"]
    expected = {
        **envelopes.columns(envelope, channel),
        **duplicates.columns(None if channel is None else envelope),
        "event_id": envelope["id"],
        "time_ns": parse_timestamp_ns(envelope["ts"]),
        "size": len(row["envelope"].encode()),
    }
    if channel is not None and channel != envelopes.field(envelope, "source", "channel"):
        return True
    is_unsigned = row["verdict"] == event_signatures.UNSIGNED
    return is_unsigned == event_signatures.is_signed(envelope) or any(
        row[name] != value for name, value in expected.items()
    )


def _arrival(row: Mapping[str, Any], context: Context, is_listed: bool) -> str | None:
    """Return the code of the finding about the event's MAC, if any."""
    if get_key_id(row["arrival_mac"]) and get_key_id(row["arrival_mac"]) not in context.keys:
        return "seal_key_unknown" if is_listed else "event_inserted"
    if has_arrived(row, context.candidate_key, context.keys):
        return None
    channels = [row["channel"], None, *CHANNELS]
    variants = itertools.product([True, False], event_signatures.VERDICTS, channels)
    if _matches_any(row, context.candidate_key, context.keys, variants):
        return "column_changed"
    return "event_changed" if is_listed else "event_inserted"


def has_arrived(row: Mapping[str, Any], candidate_key: str, keys: Keys) -> bool:
    """Return whether the MAC matches the event as it is stored."""
    # The worker verifies a large event later.
    variants = [(row["late"], verdict, row["channel"]) for verdict in (row["verdict"], None)]
    return _matches_any(row, candidate_key, keys, variants)


def _matches_any(
    row: Mapping[str, Any],
    candidate_key: str,
    keys: Keys,
    variants: Iterable[tuple[bool, str | None, str | None]],
) -> bool:
    """Return whether the MAC matches the event with one of these combinations of `late`, verdict and channel."""
    accepted = AcceptedEvent.of(
        row["envelope"],
        candidate_key=candidate_key,
        received_at=format_timestamp(row["received_at"]),
        late=False,
        verdict=None,
    )
    return any(
        accepted._replace(late=late, verdict=verdict, channel=channel).matches(row["arrival_mac"], keys)
        for late, verdict, channel in variants
    )


def _claims(row: Mapping[str, Any], envelope: dict[str, Any], has_signing_key: bool) -> Iterator[str]:
    """Yield the codes of findings about a client's claims. The editor extension comes with a signing client."""
    is_from_editor = envelopes.is_from_editor(envelope) and envelope.get("kind") in EDITOR_KINDS
    if row["verdict"] == event_signatures.UNSIGNED and not (is_from_editor and has_signing_key):
        yield "unsigned_event"
    # A late event does not count, so its time does not matter.
    if not row["late"] and abs(timestamp_from_ns(row["time_ns"]) - row["received_at"]) > ARRIVAL_TOLERANCE:
        yield "time_far_from_arrival"
