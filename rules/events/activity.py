"""Summarize recent activity as context for a design decision (contract 3.14)."""

from typing import Any

from rules.plain_text import pluralize, truncate

MAX_NAMES = 5
MAX_NAME_CHARACTERS = 80


def describe_activity(minutes: int, activity: dict[str, Any]) -> str:
    """Summarize `prompt_count`, `files_changed` and `commands` in one sentence, omitting empty ones."""
    prompts, files, commands = activity["prompt_count"], activity["files_changed"], activity["commands"]
    parts = [
        pluralize(prompts, "prompt") if prompts else "",
        pluralize(len(files), "changed file") + _latest(files) if files else "",
        pluralize(len(commands), "command") + _latest(commands) if commands else "",
    ]
    period = f"In the last {minutes} minutes" if minutes > 1 else "In the last minute"
    return f"{period}: {'; '.join(filter(None, parts)) or 'nothing recorded'}."


def _latest(names: list[str]) -> str:
    latest = [truncate(name, MAX_NAME_CHARACTERS) for name in reversed(names[-MAX_NAMES:])]
    return f" ({', '.join(latest)}{', …' if len(names) > MAX_NAMES else ''})"
