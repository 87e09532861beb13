"""Which faults happen, and when: the same seed gives the same plan."""

import random
from typing import NamedTuple

KILLS = ("kill web process", "kill web master", "kill worker")
STOPS = ("stop web", "stop worker")
OUTAGES = ("restart database", "crash database", "kill postmaster")

# A web process is what requests meet; the others take longer to come back.
WEIGHTS = {"kill web process": 3, "kill worker": 2}
FURTHER_MOST = 2
ANSWERS_BEFORE = (15, 60)


class Fault(NamedTuple):
    """What happens once that many further answers have come, and a little later still."""

    name: str
    after_answers: int
    moment_ms: int


def rounds(seed: int, count: int, has_server: bool) -> list[list[Fault]]:
    """The faults of each round. The first is a kill -9, up to two of any sort follow it.

    has_server -- whether there is a PostgreSQL that can be restarted
    """
    choices = random.Random(f"plan {seed} {has_server}")
    return [_round(choices, has_server) for _ in range(count)]


def _round(choices: random.Random, has_server: bool) -> list[Fault]:
    all_sorts = KILLS + STOPS + (OUTAGES if has_server else ())
    further = [_fault(choices, all_sorts) for _ in range(choices.randint(0, FURTHER_MOST))]
    return [_fault(choices, KILLS), *further]


def _fault(choices: random.Random, names: tuple[str, ...]) -> Fault:
    (name,) = choices.choices(names, [WEIGHTS.get(name, 1) for name in names])
    return Fault(name, choices.randint(*ANSWERS_BEFORE), choices.randint(0, 30))


def said(faults: list[Fault]) -> str:
    return "; ".join(f"{fault.name} after {fault.after_answers} answers" for fault in faults)
