"""Recent activity in a sentence, which becomes the context of a decision (contract 3.14)."""

from typing import Any

MOST_NAMED = 5
LONGEST_NAME = 80


def sentence(minutes: int, activity: dict[str, Any]) -> str:
    """Of `prompt_count`, `files_changed` and `commands`, those that are there."""
    prompts, files, commands = activity["prompt_count"], activity["files_changed"], activity["commands"]
    parts = [
        _counted(prompts, "prompt"),
        _counted(len(files), "changed file") + _named(files),
        _counted(len(commands), "command") + _named(commands),
    ]
    happened = [part for part, count in zip(parts, (prompts, files, commands), strict=True) if count]
    period = f"In the last {minutes} minutes" if minutes > 1 else "In the last minute"
    return f"{period}: {'; '.join(happened) or 'nothing recorded'}."


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _named(names: list[str]) -> str:
    """The latest of them."""
    shown = [name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…" for name in names]
    more = ", …" if len(names) > MOST_NAMED else ""
    return f" ({', '.join(reversed(shown[-MOST_NAMED:]))}{more})"
