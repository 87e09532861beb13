"""Findings about a session's recording, with explanations but no score."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain as concatenate

from rules.integrity.signature_chain import SignatureChain

MAX_EVENT_IDS = 100
MAX_FINDINGS_PER_CODE = 100

# Findings that rule out recomputing the metrics.
EVENT_CODES = frozenset({"event_missing", "seal_broken", "event_changed", "event_inserted", "column_changed"})
# Findings that can change a session's results: stored data was altered, or work is missing from the recording.
CHANGES_RESULTS = EVENT_CODES | {"metrics_changed", "session_changed", "data_changed", "call_not_recorded"}
# The most serious first. Each names the harmless causes before the others.
_EXPLANATIONS = {
    "event_changed": "The stored event differs from the one that the service recorded: the database was repaired, or "
    "the event was changed in it.",
    "event_missing": "An event that the service recorded is missing: the database was repaired, or the event was "
    "deleted from it.",
    "seal_broken": "A ledger entry does not have the service's signature: the database was repaired, or the entry was "
    "changed in it.",
    "event_inserted": "The service did not record the event in its stored form: the database was repaired, or the "
    "event was inserted or changed in it.",
    "column_changed": "A column of the event differs from its envelope or from the recorded value: the database was "
    "repaired, or the column was changed in it.",
    "metrics_changed": "The stored metrics differ from the recorded ones, or from the ones that the events give: the "
    "database was repaired, or they were changed in it.",
    "session_changed": "The session, its candidate key, hiring decision or extra time, a consent, a public key or the "
    "receipt of an erasure differs from what the service recorded: the database was repaired, or the data was changed "
    "there.",
    "data_changed": "A score, a completed scoring, a choice to see scores, an assignment, a submission, the final diff "
    "or a model call differs from what the service recorded: the database was repaired, or the data was changed, "
    "inserted or deleted there.",
    "seal_missing": "A ledger entry is missing: the worker has not run for an hour, or the entry was deleted.",
    "seal_key_unknown": "A ledger entry or event cannot be verified: an old key is missing from LEDGER_KEYS, "
    "or the key never belonged to the service.",
    "unsigned_event": "The session's client signs its events, or the service recorded the session itself, but this "
    "event of a client is not signed: another version of the client sent it, or it was made up. The metrics count only "
    "the client's events.",
    "time_far_from_arrival": "The event's time is more than two hours from its arrival: the connection was "
    "interrupted, the computer's clock was wrong, or the time was made up.",
    "duration_too_long": "The first and the last event are further apart than the session's start and close: the "
    "computer's clock was wrong or changed, or the times were made up.",
    "signature_invalid": "None of the session's keys made this signature: the client's key was never registered, or "
    "the event was changed after signing.",
    "chain_restart": "The client started a new chain: it was restarted, or started on another computer.",
    "chain_gap": "The previous event is missing: it was lost in transit, because clients send each event only once, "
    "or it was removed.",
    "chain_fork": "Several events follow the same event: the client ran on two computers, or its local files were "
    "restored.",
    "signature_repeated": "Several events have the same signature: the client has an error, or an event was copied.",
    "chain_circle": "The events' signatures form a loop, which no known client produces: the client has an error, or "
    "the events were made up.",
    "clock_jump": "The computer's clock went back between two events: it was synchronized, or set back.",
    "hooks_missing": "An agent session used the model proxy but sent no hooks, although the same agent had sent hooks "
    "before: usually because it was started in another folder, otherwise because its hooks were switched off. The "
    "first event of each such agent session is listed.",
    "call_not_proxied": "The model proxy did not see a call that hooks or telemetry report: usually because the agent "
    "used the candidate's own account, otherwise because the service was interrupted during the call, or the event was "
    "made up.",
    "history_rewritten": "A request's history contains a message or call of the model that is in no response that the "
    "model proxy recorded: usually because the conversation started elsewhere, such as with the candidate's own "
    "account, or the tool changed the message, otherwise because the service was interrupted during the call, or it "
    "was made up.",
    "result_differs": "Two channels or agent sessions report different commands or exit codes for one call: the tool "
    "reports them differently, or a report was changed on the candidate's computer.",
    "usage_differs": "Telemetry and the model provider report different token counts for a response: the tool counts "
    "them differently, or the report was changed.",
    "prompt_not_reported": "The model proxy saw this prompt, but the candidate's client did not report it: the event "
    "was lost, another tool sent the prompt, or the client's recording is incomplete.",
    "call_not_recorded": "The response to a model call was forwarded, but not all of the call's events were stored. "
    "Either storing them failed, the session was full, parallel calls sent different results of one tool use, or too "
    "many arrived at the same time: the conversation's next call records the texts that it repeats. Or the service did "
    "not record the call, and no client reported an agent's work within two minutes: its events were lost, it was not "
    "running, or no agent made the call.",
    "session_full": "The session reached its limit of stored events or bytes. Later events were rejected and are "
    "missing from the recording.",
    "submission_unreadable": "The latest git bundle or zip archive cannot be read: it is incomplete, damaged, "
    "encrypted or too large. It is kept. An earlier submission counts if it is readable.",
    "base_unverified": "The assessment names no start commit, or the submission does not contain it or uses another. "
    "The final diff's base is the commit that the candidate's computer reported; without one, there is no final diff.",
    "erased": "The candidate's data was erased.",
}
CODES = tuple(_EXPLANATIONS)


@dataclass
class Finding:
    """A finding; `event_ids` lists at most MAX_EVENT_IDS of the `count` events."""

    code: str
    event_ids: list[str] = field(default_factory=list)
    count: int = 0
    columns: list[str] = field(default_factory=list)
    details: str = ""

    @property
    def explanation(self) -> str:
        """The finding's possible causes, the changed columns, and its details."""
        changed = f" Changed: {', '.join(map(_field_name, self.columns))}." if self.columns else ""
        return _EXPLANATIONS[self.code] + changed + self.details


def _field_name(column: str) -> str:
    first, *others = column.split("_")
    return first + "".join(map(str.capitalize, others))


class Findings:
    """Collects findings by code."""

    def __init__(self) -> None:
        self._by_code: dict[str, list[Finding]] = {}

    def has_any(self, codes: Iterable[str]) -> bool:
        return not self._by_code.keys().isdisjoint(codes)

    def _last(self, code: str) -> Finding:
        return self._by_code.setdefault(code, [Finding(code)])[-1]

    def add(self, code: str, event_id: str | None = None, events: int | None = None) -> None:
        """Add `events` (default: 1 with an `event_id`, else 0) to a finding's count, and the id to its ids."""
        finding = self._last(code)
        finding.count += events if events is not None else int(event_id is not None)
        if event_id is not None and len(finding.event_ids) < MAX_EVENT_IDS:
            finding.event_ids.append(event_id)

    def add_columns(self, code: str, names: Iterable[str]) -> None:
        """Add changed columns to a finding."""
        columns = self._last(code).columns
        columns += [name for name in names if name not in columns]

    def sorted_by_severity(self) -> list[Finding]:
        return [finding for code in CODES for finding in self._by_code.get(code, ())]


def chain_groups(chain: SignatureChain) -> Iterator[tuple[str, Sequence[int]]]:
    """Yield the code and the arrival numbers of each finding about a chain.

    Beyond MAX_FINDINGS_PER_CODE findings of a code, the last one has the remaining events.
    """
    anomalies: dict[str, list[Sequence[int]]] = {
        "chain_restart": [chain.starts[1:]],  # the first start is not a restart
        "chain_gap": [chain.gaps],
        "chain_fork": chain.forks,
        "signature_repeated": chain.repeats,
        "chain_circle": [chain.cycles],
        "clock_jump": chain.clock_jumps,
    }
    for code, groups in anomalies.items():
        yield from ((code, group) for group in groups[: MAX_FINDINGS_PER_CODE - 1])
        yield code, list(concatenate(*groups[MAX_FINDINGS_PER_CODE - 1 :]))
