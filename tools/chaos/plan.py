"""Plan faults. The same seed produces the same plan."""

import random
from typing import NamedTuple

KILLS = ("kill web process", "kill web master", "kill worker")
STOPS = ("stop web", "stop worker")
OUTAGES = ("restart database", "crash database", "kill postmaster")

# All other faults have weight 1, because recovery takes longer.
WEIGHTS = {"kill web process": 3, "kill worker": 2}
MAX_ADDITIONAL_FAULTS = 2


class Fault(NamedTuple):
    """A fault to inject after a number of responses and a short delay."""

    name: str
    after_responses: int
    delay_ms: int


def rounds(seed: int, count: int, has_server: bool) -> list[list[Fault]]:
    """Plan each round's faults: a kill -9, then up to two of any kind.

    has_server -- whether there is a PostgreSQL to restart
    """
    rng = random.Random(f"plan {seed} {has_server}")
    names = KILLS + STOPS + (OUTAGES if has_server else ())
    plan = []
    for _ in range(count):
        additional = [_choose_fault(rng, names) for _ in range(rng.randint(0, MAX_ADDITIONAL_FAULTS))]
        plan.append([_choose_fault(rng, KILLS), *additional])
    return plan


def _choose_fault(rng: random.Random, names: tuple[str, ...]) -> Fault:
    (name,) = rng.choices(names, [WEIGHTS.get(name, 1) for name in names])
    return Fault(name, rng.randint(15, 60), rng.randint(0, 30))


def describe(faults: list[Fault]) -> str:
    return "; ".join(f"{fault.name} after {fault.after_responses} responses" for fault in faults)
