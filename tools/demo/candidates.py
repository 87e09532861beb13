"""Twelve simulated candidates: the same at every run, except for times and ids."""

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
    "orders/store.py", "orders/api.py", "orders/totals.py", "tests/test_store.py", "tests/test_totals.py",
)  # fmt: skip
PROMPTS = (
    "Where is an order's total computed?",
    "Write a test that fails for an order with two discounts.",
    "The total is still off by a cent. Round once, at the end.",
    "Move the query out of the view.",
    "What happens if two requests change the same order?",
    "Explain this change before you make it.",
    "Undo that, and keep the function small.",
)
COMMANDS = ("git status", "git diff --stat", "ls orders", "grep -rn discount orders", "python -m orders.api")
TESTS = ("pytest -q", "python -m pytest tests/test_totals.py", "make test")
LINTERS = ("ruff check .", "mypy orders")
DECISIONS = ("Round once, at the end", "Lock the order's row", "Keep the public names")


class Habits(NamedTuple):
    """Working habits; the last three are probabilities."""

    rounds: int
    pace_seconds: float
    edits_manually: float
    verifies: float
    succeeds: float


class Candidate(NamedTuple):
    """A candidate to invite; `events` are in order of their times, without a session."""

    name: str
    email: str
    events: list[dict[str, Any]]


def make_candidates(end: datetime) -> list[Candidate]:
    """Make the twelve candidates, who all finish at `end`."""
    rng = random.Random(SEED)
    return [Candidate(name, f"{name.split()[0].lower()}@example.com", _timeline(rng, end)) for name in NAMES]


def _timeline(rng: random.Random, end: datetime) -> list[dict[str, Any]]:
    habits = Habits(
        rounds=rng.randint(4, 9),
        pace_seconds=rng.uniform(15, 60),
        edits_manually=rng.uniform(0.1, 0.7),
        verifies=rng.uniform(0.3, 0.9),
        succeeds=rng.uniform(0.4, 0.9),
    )
    steps = list(_steps(rng, habits))
    pauses = [timedelta(seconds=rng.expovariate(1 / habits.pace_seconds)) for _ in steps]
    time = end - sum(pauses, timedelta())
    events = []
    for step, pause in zip(steps, pauses, strict=True):
        time += pause
        ts = time.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        events.append({"id": str(uuid.uuid4()), "ts": ts, "v": 1, **step})
    return events


def _steps(rng: random.Random, habits: Habits) -> Iterator[dict[str, Any]]:
    """Yield rounds of prompting, editing and checking, up to the final test run."""
    yield _event("session_start", "cli", "system", {"editorCapture": {"status": "declined"}})
    for _ in range(habits.rounds):
        yield from _prompt(rng)
        for _ in range(rng.randint(1, 3)):
            yield from _edit(rng, habits)
        yield _command(rng.choice(COMMANDS), failed=rng.random() < 0.05)
        if rng.random() < habits.verifies:
            yield _command(rng.choice(LINTERS + TESTS), failed=rng.random() > habits.succeeds)
    if rng.random() < 0.5:
        yield _decision(rng.choice(DECISIONS))
    yield _command("pytest", failed=rng.random() > habits.succeeds)


def _prompt(rng: random.Random) -> Iterator[dict[str, Any]]:
    yield _event("prompt", "claude-code", "human", {"text": rng.choice(PROMPTS)})
    path = rng.choice(FILES)
    yield _event("tool_intent", "claude-code", "ai", {"toolName": "Read", "inputPreview": path})
    yield _event("file_read", "claude-code", "ai", {"path": path, "numLines": rng.randint(20, 200)})
    usage = {"inputTokens": rng.randint(2000, 9000), "outputTokens": rng.randint(100, 900)}
    response = {"model": "claude-sonnet-4-5", "usageScope": "request", "lastAssistantMessage": "Done."}
    yield _event("ai_response", "claude-code", "ai", response | usage)


def _edit(rng: random.Random, habits: Habits) -> Iterator[dict[str, Any]]:
    lines = {"linesAdded": rng.randint(1, 30), "linesRemoved": rng.randint(0, 10)}
    data = {"path": rng.choice(FILES), "diff": "", **lines}
    if rng.random() < habits.edits_manually:
        attribution = rng.choice(("likely_human", "ai_revised_by_human"))
        yield _event("file_diff", "cli", "human", data | {"_gitPoll": True}, attribution)
        return
    yield _event("tool_intent", "claude-code", "ai", {"toolName": "Edit", "inputPreview": data["path"]})
    yield _event("file_diff", "claude-code", "ai", data, "likely_ai")


def _command(command: str, failed: bool) -> dict[str, Any]:
    data = {"command": command, "exitCode": int(failed), "durationMs": 2000, "stdout": "", "stderr": ""}
    return _event("command", "terminal", "human", data | {"human": True})


def _decision(title: str) -> dict[str, Any]:
    data = {"title": title, "rationale": "It is the smallest correct change.", "impactScore": 3}
    return _event("decision_event", "cli", "human", data)


def _event(
    kind: str, source: str, actor: str, data: dict[str, Any], attribution: str | None = None
) -> dict[str, Any]:
    attribution = attribution or {"human": "likely_human", "ai": "likely_ai"}.get(actor)
    event = {"kind": kind, "source": source, "actor": {"type": actor}, "data": data}
    return event | ({"provenance": {"attribution": attribution}} if attribution else {})
