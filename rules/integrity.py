"""What stands out in a session's record, in words: facts with explanations, no score."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from rules.chain_order import Chain
from rules.seals import Break

MOST_NAMED = 100


@dataclass(frozen=True)
class Fact:
    """Something that stands out: a stable code, the events concerned (at most MOST_NAMED), how many, and why."""

    code: str
    event_ids: list[str]
    count: int
    explanation: str


_SEAL = {
    "changed": (
        "event_changed",
        "What stands in the database is not what the server sealed when it had accepted it.",
    ),
    "missing": (
        "event_missing",
        "An event that the server had accepted and sealed is not in the database any more.",
    ),
    "head": (
        "seal_broken",
        "The events do not end in the seal that the session carries: its end was removed or replaced.",
    ),
}
_CHAIN = {
    "starts": ("chain_restart", "The client began its chain anew: a second start, or another computer."),
    "gaps": (
        "chain_gap",
        "The event that this one follows is not there. Clients send each event once, so one that was lost on its way "
        "leaves such a gap; so does one that was removed.",
    ),
    "forks": (
        "chain_fork",
        "Several events follow the same one: two computers, or local files that were put back.",
    ),
    "repeats": ("signature_repeated", "Several events carry one and the same signature."),
    "circles": ("chain_circle", "Events follow one another in a circle, which no client makes."),
    "clock_jumps": (
        "clock_jump",
        "The candidate's clock went back between an event and the one that follows it.",
    ),
}
_INVALID = (
    "signature_invalid",
    "None of the session's keys made this signature for this content: it was changed after it was signed, or signed "
    "with a key that the service was never told.",
)


ERASED = Fact(
    "erased", [], 0, "The candidate's data was erased; the seals went with the events that they closed."
)


def facts(breaks: Iterable[tuple[Break, str | None]], chain: Chain, invalid: Iterable[str]) -> list[Fact]:
    """All that stands out, what weighs most first.

    breaks -- where the seal does not fit, each with the event's id if it is known
    invalid -- ids of the events whose signature is not valid
    """
    return [*_broken_seals(breaks), *_named(_INVALID, list(invalid)), *_broken_chain(chain)]


def _broken_seals(breaks: Iterable[tuple[Break, str | None]]) -> Iterator[Fact]:
    for each, event_id in breaks:
        code, explanation = _SEAL[each.reason]
        yield Fact(code, [event_id] if event_id else [], each.events, explanation)


def _broken_chain(chain: Chain) -> Iterator[Fact]:
    # The first start is how every chain begins.
    yield from _named(_CHAIN["starts"], [link.id for link in chain.starts[1:]])
    yield from _named(_CHAIN["gaps"], [link.id for link in chain.gaps])
    for group in chain.forks:
        yield from _named(_CHAIN["forks"], [link.id for link in group])
    for group in chain.repeats:
        yield from _named(_CHAIN["repeats"], [link.id for link in group])
    yield from _named(_CHAIN["circles"], [link.id for link in chain.circles])
    for pair in chain.clock_jumps:
        yield from _named(_CHAIN["clock_jumps"], [link.id for link in pair])


def _named(what: tuple[str, str], event_ids: list[Any]) -> Iterator[Fact]:
    if event_ids:
        yield Fact(what[0], event_ids[:MOST_NAMED], len(event_ids), what[1])
