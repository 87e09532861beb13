"""Codex's user messages: the user's input, and text injected by the CLI (verified with 0.169.0)."""

import re
from collections.abc import Sequence

from rules.agents.model_apis.turns import IMAGE
from rules.agents.values import Event

# Prefix of the text that represents an encrypted summary.
COMPACTED = "<compaction>"
_SUMMARY = (
    "Another language model started to solve this problem and produced a summary of its thinking process"
)
_COMPACT = "You are performing a CONTEXT CHECKPOINT COMPACTION."
_TITLE = (
    "Generate a concise, single-line task title of at most 36 characters and under five words where possible."
)
_REQUEST = "## My request for Codex:"
_IDE_CONTEXT = "# Context from my IDE setup:"
_INTERRUPT = "<turn_aborted>"
_IMAGE_TAG = re.compile(r"</?image\b[^>]{0,1000}>")
# Codex wraps injected text in tags. Their names contain an underscore or are listed here.
_INJECTED = re.compile(r"<(\w{1,40}_\w{1,40}|skill|tools|goal|memory)(?:\s[^>]{0,1000})?>")
_INSTRUCTIONS = "# AGENTS.md instructions"
# Earlier versions add them as user messages.
_WARNINGS = (
    "Warning: apply_patch was requested via ",
    "Warning: The maximum number of unified exec processes",
    "Warning: Your account was flagged for potentially high-risk",
)
_SHELL = "<user_shell_command>"
_SHELL_RESULT = re.compile(
    r"\n</command>\n<result>\nExit code: (-?[0-9]{1,9})\n(?:Duration: [0-9.]{1,20} seconds\n)?Output:\n"
)


def user_events(texts: Sequence[str]) -> list[Event]:
    """Return the user's input between two responses, in order.

    Input before a summary was recorded before the conversation was compacted.
    """
    summaries = [number for number, text in enumerate(texts) if is_summary(text)]
    events: list[Event] = []
    for text in texts[summaries[-1] + 1 if summaries else 0 :]:
        event = _read(text)
        if event is None:
            continue
        kind, data = event
        if (
            kind == "prompt"
            and events
            and events[-1][0] == "prompt"
            and events[-1][1]["text"].endswith(IMAGE)
        ):
            _, image = events.pop()
            data = {"text": f"{image['text']}\n{data['text']}"}
        events.append((kind, data))
    return events


def is_summary(text: str) -> bool:
    return text.startswith((_SUMMARY, COMPACTED))


def is_side_call(text: str) -> bool:
    return text.startswith((_COMPACT, _TITLE))


def _read(text: str) -> Event | None:
    text = text.strip()
    if text.startswith(_SHELL):
        return _shell_command(text)
    if text.startswith(_INTERRUPT):
        return "interrupt", {"variant": "generation", "subtype": "generation"}
    if _is_injected(text):
        return None
    if text.startswith(_IDE_CONTEXT):
        text = text.partition(_REQUEST)[2].strip()
    return ("prompt", {"text": text}) if text else None


def _shell_command(text: str) -> Event | None:
    """Return a command that the user ran, including its output."""
    result = _SHELL_RESULT.search(text)
    if result is None:
        return None
    command = text[: result.start()].removeprefix(_SHELL).strip().removeprefix("<command>\n")
    output = text[result.end() :].removesuffix("</user_shell_command>").strip().removesuffix("</result>")
    return "command", {
        "command": command,
        "exitCode": int(result[1]),
        "stdout": output.strip("\n"),
        "human": True,
    }


def _is_injected(text: str) -> bool:
    tag = _INJECTED.match(text)
    return (
        is_side_call(text)
        or text.startswith((_INSTRUCTIONS, *_WARNINGS))
        or _IMAGE_TAG.fullmatch(text) is not None
        or (tag is not None and text.endswith(f"</{tag[1]}>"))
    )
