"""Twelve simulated candidates: made up, and the same at every run, times and ids aside."""

import random
import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, NamedTuple

SEED = 12
NAMES = (
    "Ada Okafor", "Bruno Lind", "Carmen Ruiz", "Dmitri Vale", "Elif Kaya", "Farid Nazari",
    "Grace Osei", "Hana Mori", "Ivo Petrov", "Jana Novak", "Kofi Mensah", "Lucia Ferri",
)  # fmt: skip
FILES = (
    "orders/store.py",
    "orders/api.py",
    "orders/totals.py",
    "tests/test_store.py",
    "tests/test_totals.py",
)
PROMPTS = (
    "Where is an order's total computed?",
    "Write a test that fails for an order with two discounts.",
    "The total is still off by a cent. Round once, at the end.",
    "Move the query out of the view.",
    "What happens if two requests change the same order?",
    "Explain this change before you make it.",
    "Undo that, and keep the function small.",
)
ERRANDS = ("git status", "git diff --stat", "ls orders", "grep -rn discount orders", "python -m orders.api")
TESTS = ("pytest -q", "python -m pytest tests/test_totals.py", "make test")
CHECKS = ("ruff check .", "mypy orders")
DECISIONS = ("Round once, at the end", "Lock the order's row", "Leave the public names as they are")


class Habits(NamedTuple):
    """How somebody works; shares and chances from 0 to 1."""

    rounds: int
    pace_seconds: float
    by_hand: float
    verifies: float
    succeeds: float


class Candidate(NamedTuple):
    """Somebody who will be invited; `events` are envelopes without a session, in the order of their times."""

    name: str
    email: str
    events: list[dict[str, Any]]


def make_candidates(end: datetime) -> list[Candidate]:
    """The twelve, each of whom finishes the work at `end`."""
    chance = random.Random(SEED)
    return [
        Candidate(name, f"{name.split()[0].lower()}@example.com", _timeline(chance, end)) for name in NAMES
    ]


def _timeline(chance: random.Random, end: datetime) -> list[dict[str, Any]]:
    habits = Habits(
        rounds=chance.randint(4, 9),
        pace_seconds=chance.uniform(15, 60),
        by_hand=chance.uniform(0.1, 0.7),
        verifies=chance.uniform(0.3, 0.9),
        succeeds=chance.uniform(0.4, 0.9),
    )
    work = list(_work(chance, habits))
    pauses = [timedelta(seconds=chance.expovariate(1 / habits.pace_seconds)) for _ in work]
    moment = end - sum(pauses, timedelta())
    events = []
    for step, pause in zip(work, pauses, strict=True):
        moment += pause
        ts = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        events.append({"id": str(uuid.uuid4()), "ts": ts, "v": 1, **step})
    return events


def _work(chance: random.Random, habits: Habits) -> Iterator[dict[str, Any]]:
    """From the client's start to the last tests, round after round of asking, changing and checking."""
    yield _event("session_start", "cli", "system", {"editorCapture": {"status": "declined"}})
    for _ in range(habits.rounds):
        yield from _ask(chance)
        for _ in range(chance.randint(1, 3)):
            yield from _change(chance, habits)
        yield _command(chance.choice(ERRANDS), failed=chance.random() < 0.05)
        if chance.random() < habits.verifies:
            yield _command(chance.choice(CHECKS + TESTS), failed=chance.random() > habits.succeeds)
    if chance.random() < 0.5:
        yield _decision(chance.choice(DECISIONS))
    yield _command("pytest", failed=chance.random() > habits.succeeds)


def _ask(chance: random.Random) -> Iterator[dict[str, Any]]:
    yield _event("prompt", "claude-code", "human", {"text": chance.choice(PROMPTS)})
    path = chance.choice(FILES)
    yield _event("tool_intent", "claude-code", "ai", {"toolName": "Read", "inputPreview": path})
    yield _event("file_read", "claude-code", "ai", {"path": path, "numLines": chance.randint(20, 200)})
    usage = {"inputTokens": chance.randint(2000, 9000), "outputTokens": chance.randint(100, 900)}
    answer = {"model": "claude-sonnet-4-5", "usageScope": "request", "lastAssistantMessage": "Done."}
    yield _event("ai_response", "claude-code", "ai", answer | usage)


def _change(chance: random.Random, habits: Habits) -> Iterator[dict[str, Any]]:
    lines = {"linesAdded": chance.randint(1, 30), "linesRemoved": chance.randint(0, 10)}
    data = {"path": chance.choice(FILES), "diff": "", **lines}
    if chance.random() < habits.by_hand:
        attribution = chance.choice(("likely_human", "ai_revised_by_human"))
        yield _event("file_diff", "cli", "human", data | {"_gitPoll": True}, attribution)
        return
    yield _event("tool_intent", "claude-code", "ai", {"toolName": "Edit", "inputPreview": data["path"]})
    yield _event("file_diff", "claude-code", "ai", data, "likely_ai")


def _command(command: str, failed: bool) -> dict[str, Any]:
    data = {"command": command, "exitCode": int(failed), "durationMs": 2000, "stdout": "", "stderr": ""}
    return _event("command", "terminal", "human", data | {"human": True})


def _decision(title: str) -> dict[str, Any]:
    data = {"title": title, "rationale": "It is the smallest change that is right.", "impactScore": 3}
    return _event("decision_event", "cli", "human", data)


def _event(
    kind: str, source: str, actor: str, data: dict[str, Any], attribution: str | None = None
) -> dict[str, Any]:
    attribution = attribution or {"human": "likely_human", "ai": "likely_ai"}.get(actor)
    event = {"kind": kind, "source": source, "actor": {"type": actor}, "data": data}
    return event | ({"provenance": {"attribution": attribution}} if attribution else {})
