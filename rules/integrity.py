"""Irregularities in a session's record, as facts with explanations; no score."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain as concatenate

from rules.seals import Break
from rules.signature_chain import SignatureChain, SignedLink

MAX_EVENT_IDS = 100
MAX_FACTS_PER_CODE = 100


@dataclass(frozen=True)
class Fact:
    """An irregularity; `event_ids` has at most MAX_EVENT_IDS of `count`."""

    code: str
    event_ids: list[str]
    count: int
    explanation: str


@dataclass(frozen=True)
class Group:
    """Events with the same irregularity; `event_ids` has at most MAX_EVENT_IDS of `count`."""

    code: str
    event_ids: list[str]
    count: int


_SEAL_CODES = {"changed": "event_changed", "missing": "event_missing", "head": "seal_broken"}
_EXPLANATIONS = {
    "event_changed": "The stored event differs from the one that the server accepted and sealed.",
    "event_missing": "An event that the server accepted and sealed is missing.",
    "seal_broken": "The events do not end in the session's seal: the last events were removed or replaced.",
    "signature_invalid": "None of the session's keys made this signature for this content. The event was changed "
    "after signing, or signed with a key that was never registered.",
    "chain_restart": "The client restarted its chain: it was started again, or on another computer.",
    "chain_gap": "The previous event is missing. It was lost in transit, since clients send each event once, or "
    "removed.",
    "chain_fork": "Several events follow the same one: two computers, or restored local files.",
    "signature_repeated": "Several events have the same signature.",
    "chain_circle": "The events form a cycle. No client produces this.",
    "clock_jump": "The candidate's clock went backwards between two events.",
    "session_full": "The session reached its limit of stored events or bytes. The service refused further events; they "
    "are missing from the record.",
}
ERASED = Fact(
    "erased", [], 0, "The candidate's data was erased: the events, and the seals that covered them."
)


def facts(breaks: Iterable[tuple[Break, str | None]], groups: Iterable[Group]) -> list[Fact]:
    """All irregularities, most serious first.

    breaks -- the seal's breaks, each with the event's id if it is known
    groups -- other irregularities, in order
    """
    facts = [_seal_fact(broken, event_id) for broken, event_id in breaks]
    return facts + [
        Fact(group.code, group.event_ids, group.count, _EXPLANATIONS[group.code])
        for group in groups
        if group.count
    ]


def _seal_fact(broken: Break, event_id: str | None) -> Fact:
    code = _SEAL_CODES[broken.reason]
    return Fact(code, [event_id] if event_id else [], broken.events, _EXPLANATIONS[code])


def chain_groups(chain: SignatureChain) -> Iterator[tuple[str, Sequence[SignedLink]]]:
    """The irregularities of a chain, by their codes; those beyond MAX_FACTS_PER_CODE are one group."""
    yield "chain_restart", chain.starts[1:]  # every chain has a first start
    yield "chain_gap", chain.gaps
    yield from (("chain_fork", group) for group in _merge_last(chain.forks))
    yield from (("signature_repeated", group) for group in _merge_last(chain.repeats))
    yield "chain_circle", chain.cycles
    yield from (("clock_jump", pair) for pair in _merge_last(chain.clock_jumps))


def _merge_last(groups: Sequence[Sequence[SignedLink]]) -> list[Sequence[SignedLink]]:
    first, rest = groups[: MAX_FACTS_PER_CODE - 1], groups[MAX_FACTS_PER_CODE - 1 :]
    return [*first, list(concatenate(*rest))] if rest else list(first)
