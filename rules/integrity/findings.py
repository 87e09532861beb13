"""Findings about a session's recording, with explanations but no score."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain as concatenate

from rules.integrity.seals import Break
from rules.integrity.signature_chain import SignatureChain

MAX_EVENT_IDS = 100
MAX_FINDINGS_PER_CODE = 100


@dataclass(frozen=True)
class Finding:
    """A finding; `event_ids` lists at most MAX_EVENT_IDS of the `count` events."""

    code: str
    event_ids: list[str]
    count: int
    explanation: str


@dataclass(frozen=True)
class Group:
    """Events with the same finding; `event_ids` lists at most MAX_EVENT_IDS of the `count` events."""

    code: str
    event_ids: list[str]
    count: int


_SEAL_CODES = {"changed": "event_changed", "missing": "event_missing", "head": "seal_broken"}
# END_CODES: findings about the end of the events. EVENT_CODES: findings that rule out recomputing the metrics.
END_CODES = frozenset({"event_missing", "tail_truncated", "seal_broken"})
EVENT_CODES = END_CODES | {"event_changed", "event_inserted", "column_changed"}
_EXPLANATIONS = {
    "event_changed": "The stored event differs from the one that the server accepted and sealed.",
    "event_missing": "An event that the server accepted and sealed is missing.",
    "seal_broken": "The events do not end in the session's seal: the last events were removed or replaced.",
    "event_inserted": "The service did not store this event in this form: it was inserted or altered in the database "
    "before it was sealed.",
    "tail_truncated": "Events at the end are missing, together with their seals.",
    "value_malformed": "The database has values of another type, which the service did not write and reads as "
    "empty.",
    "column_changed": "A column of the event differs from its envelope. The envelope counts.",
    "metrics_changed": "The metrics differ from those that the service sealed or derived from the events.",
    "session_changed": "The session's times, status, submitted tests, owner, public keys or erasure differ from those "
    "that the service sealed.",
    "seal_missing": "A final seal is missing or was replaced, or the worker has not run for an hour.",
    "seal_key_unknown": "Signed with a key that is not in SEAL_KEYS, so it cannot be verified.",
    "unsigned_event": "The session's client signs its events, but not this one. Only the editor extension does not "
    "sign.",
    "time_far_from_arrival": "The event's time is more than two hours from its arrival: the clock was wrong, the "
    "connection was interrupted, or the time was invented.",
    "duration_too_long": "The first and the last event are further apart than the start and the close of the session.",
    "signature_invalid": "None of the session's keys made this signature for this content. The event was changed "
    "after signing, or signed with a key that was never registered.",
    "chain_restart": "The client restarted its chain: it was started again, or on another computer.",
    "chain_gap": "The previous event is missing. It was lost in transit, since clients send each event once, or "
    "removed.",
    "chain_fork": "Several events follow the same one: two computers, or restored local files.",
    "signature_repeated": "Several events have the same signature.",
    "chain_circle": "The events form a cycle. No client produces this.",
    "clock_jump": "The candidate's clock was set back between two events.",
    "hooks_missing": "An agent session used the model proxy but sent no hooks, although hooks of the same agent had "
    "come before: they were switched off, or the agent was started elsewhere. The first event of each such agent "
    "session is listed.",
    "call_not_proxied": "Hooks or telemetry report a call that the model proxy has not stored: the agent used another "
    "model, the event was invented, or the service was killed during the call.",
    "call_from_history": "The model proxy did not see the model make this call. It was in the history of a later "
    "request: the service was stopped during the call, the conversation started elsewhere, or the call was invented.",
    "result_differs": "Two channels report different commands or exit codes of one call. Hooks and telemetry come from "
    "the candidate's computer, and so do the results in the proxy's requests.",
    "usage_differs": "Telemetry reports other token counts for a response than the model provider did.",
    "prompt_not_reported": "The model proxy saw this prompt, but the candidate's client did not report it: another "
    "tool sent it, the event was lost, or the client's recording is incomplete.",
    "call_not_recorded": "The response to a model call was forwarded, but not all of the call's events were stored: "
    "storing them failed, or there were too many at once. The conversation's next call restores what it repeats.",
    "session_full": "The session reached its limit of stored events or bytes. Further events were rejected and are "
    "missing from the recording.",
    "submission_unreadable": "The submitted git bundle cannot be read: it is damaged, incomplete or larger than the "
    "limits. It is kept, and there is no final diff.",
    "base_unverified": "The submitted git bundle does not contain the commit that the assessment starts from, or the "
    "assessment names none. The final diff may use another base, or be empty.",
}
CODES = (*_EXPLANATIONS, "erased")
ERASED = Finding(
    "erased", [], 0, "The candidate's data was erased: the events, and the seals that covered them."
)


class Findings:
    """Collects findings by code."""

    def __init__(self) -> None:
        self._by_code: dict[str, list[Finding]] = {}
        self._columns: dict[str, list[str]] = {}

    def has_any(self, codes: Iterable[str]) -> bool:
        return not self._by_code.keys().isdisjoint(codes)

    def add(self, code: str, event_id: str | None = None, events: int | None = None) -> None:
        """Add `events` (default: 1 with an `event_id`, else 0) to a finding's count, and the id to its ids."""
        count = events if events is not None else int(event_id is not None)
        ids = [event_id] if event_id is not None else []
        (finding,) = self._by_code.get(code) or [Finding(code, [], 0, _EXPLANATIONS[code])]
        ids = finding.event_ids + ids[: MAX_EVENT_IDS - len(finding.event_ids)]
        self._by_code[code] = [Finding(code, ids, finding.count + count, finding.explanation)]

    def add_break(self, broken: Break, event_id: str | None) -> None:
        """Add a separate finding for a break in the seals; beyond MAX_EVENT_IDS per code, extend the last one."""
        code = _SEAL_CODES[broken.reason]
        same_code = self._by_code.setdefault(code, [])
        ids, count = [event_id] if event_id else [], broken.events
        if len(same_code) == MAX_EVENT_IDS:
            ids, count = same_code[-1].event_ids, same_code.pop().count + count
        same_code.append(Finding(code, ids, count, _EXPLANATIONS[code]))

    def add_columns(self, code: str, names: Iterable[str]) -> None:
        """Add session columns to a finding; its explanation lists their names."""
        columns = self._columns.setdefault(code, [])
        columns += [name for name in names if name not in columns]
        listed = ", ".join(map(_field_name, columns))
        self._by_code[code] = [Finding(code, [], 0, f"{_EXPLANATIONS[code]} Changed: {listed}.")]

    def in_order(self) -> list[Finding]:
        """The findings, most serious first."""
        return [finding for code in _EXPLANATIONS for finding in self._by_code.get(code, ())]


def _field_name(column: str) -> str:
    first, *others = column.split("_")
    return first + "".join(map(str.capitalize, others))


def in_order(findings: Findings, groups: Iterable[Group]) -> list[Finding]:
    """All findings, most serious first.

    findings -- from models/ledger/integrity.py
    groups -- further findings, in order
    """
    return findings.in_order() + [
        Finding(group.code, group.event_ids, group.count, _EXPLANATIONS[group.code])
        for group in groups
        if group.count
    ]


def chain_groups(chain: SignatureChain) -> Iterator[tuple[str, Sequence[int]]]:
    """Findings about a chain, by code; the last of MAX_FINDINGS_PER_CODE groups contains the rest.

    Events are identified by their arrival numbers.
    """
    yield "chain_restart", chain.starts[1:]  # the first start is not a restart
    yield "chain_gap", chain.gaps
    yield from (("chain_fork", group) for group in _merge_last(chain.forks))
    yield from (("signature_repeated", group) for group in _merge_last(chain.repeats))
    yield "chain_circle", chain.cycles
    yield from (("clock_jump", pair) for pair in _merge_last(chain.clock_jumps))


def _merge_last(groups: Sequence[Sequence[int]]) -> list[Sequence[int]]:
    first, rest = groups[: MAX_FINDINGS_PER_CODE - 1], groups[MAX_FINDINGS_PER_CODE - 1 :]
    return [*first, list(concatenate(*rest))] if rest else list(first)
