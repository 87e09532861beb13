"""Claude Code's user messages: the user's input, and text injected by the CLI.

Verified with 2.1.197 and 2.1.332.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from rules.agents.event_data import mask_and_truncate
from rules.agents.files.known_files import FileUpdate, Invalidation, Snapshot, read_numbered_lines
from rules.agents.model_apis.turns import IMAGE
from rules.agents.values import Event, without_none

# Text that the CLI injects into the conversation.
_TAGS = (
    "agent-message|channel|cross-session-message|fork-boilerplate|ide_diagnostics|ide_opened_file|ide_selection|"
    "local-command-stderr|local-command-stdout|mcp-resource-update|post-tool-use-hook|task-notification|"
    "teammate-message|tick|user-memory-input|user-prompt-submit-hook"
)
_INJECTED_TAG = re.compile(rf"<(?:{_TAGS})[ >]")
_INJECTED_SPANS = (
    ("<system-reminder>", "</system-reminder>"),
    ("<local-command-caveat>", "</local-command-caveat>"),
)
_INJECTED_START = (
    "[SYSTEM NOTIFICATION - NOT USER INPUT]",
    "[MESSAGE FROM NON-USER SOURCE - NOT USER INPUT]",
    "Stop hook feedback:",
    "[Image: ",
    "[Image source: ",
)
_INJECTED_TEXTS = frozenset({IMAGE, "Continue from where you left off.", "(no content)", "Tool loaded."})
_SUMMARY = "This session is being continued from a previous conversation"
# The last message of calls that the CLI makes for itself, such as a summary or a suggestion.
_SIDE_CALLS = (
    "CRITICAL: Respond with TEXT ONLY. Do NOT call any tools.",
    "[SUGGESTION MODE:",
    "The user stepped away and is coming back.",
    "Describe your most recent action in 3-5 words",
    "You are now acting as the memory extraction subagent",
    "# Dream: Memory Consolidation",
    "Generate a short kebab-case name",
)
_INTERRUPT = re.compile(r"\[Request interrupted by user( for tool use)?\]")
_QUEUED_PROMPT = (
    "The user sent a new message while you were working:\n",
    "\n\nIMPORTANT: After completing your current task",
)
_READ_CALL = re.compile(
    r'^Called the Read tool with the following input: \{"file_path":"((?:[^"\\\n]|\\.)*)"([^\n]*)\n'
    r"(?:</system-reminder>\s*<system-reminder>\n)?Result of calling the Read tool:\n",
    re.M,
)
_MODIFIED = re.compile(
    r"^Note: ([^\n]+?) was modified, either by the user or by a linter\.[^\n]*?(?:\(shown with line numbers\):\n|$)",
    re.M,
)

MAX_COMMAND_CHARACTERS = 500


def user_events(texts: Sequence[str]) -> list[Event]:
    """Return the user's input between two responses, in order."""
    events: list[Event] = []
    is_expansion = False
    for text in texts:
        text_events, starts_expansion = _read_text(text)
        if not (is_expansion and any(kind == "prompt" for kind, _ in text_events)):
            _append(events, text_events)
        is_expansion = starts_expansion
    image_count = sum(text == IMAGE for text in texts)
    prompts = [data for kind, data in events if kind == "prompt"]
    if image_count and prompts:
        prompts[-1]["images"] = image_count
    elif image_count:
        events.append(("prompt", {"text": IMAGE, "images": image_count}))
    return events


def is_prompt(text: str) -> bool:
    """Return whether a submitted text has something that the user wrote."""
    return any(kind == "prompt" for kind, _ in user_events([text]))


def _append(events: list[Event], text_events: list[Event]) -> None:
    """Append events. A command's output is merged into the command."""
    for kind, data in text_events:
        if kind != "output":
            events.append((kind, data))
        elif events and events[-1][0] == "command":
            events[-1][1].update(data)


def _read_text(text: str) -> tuple[list[Event], bool]:
    """Return a message's events, and whether the next message is a slash command's prompt."""
    queued = queued_prompts(text)
    for opening, closing in _INJECTED_SPANS:
        text = _without_spans(text, opening, closing)
    text = text.strip()
    if queued or not text or _is_injected(text):
        return queued, False
    if text.startswith(("<command-message>", "<command-name>")):
        return _slash_command(text), text.startswith("<command-message>")
    for start, read in _READERS:
        if text.startswith(start) and (events := read(text)) is not None:
            return events, False
    return [("prompt", {"text": text})], False


def queued_prompts(text: str) -> list[Event]:
    """Extract a prompt that the user sent while the agent was working."""
    opening, closing = _QUEUED_PROMPT
    start = 0 if text.removeprefix("<system-reminder>\n").startswith(opening) else text.find(f"\n{opening}")
    prompt = _between(text[start:], opening, closing) if start >= 0 else None
    return [("prompt", {"text": prompt.strip()})] if prompt else []


def _between(text: str, opening: str, closing: str) -> str | None:
    """Return the text between the first opening and the next closing; None if one is missing."""
    start = text.find(opening)
    end = text.find(closing, start + len(opening)) if start >= 0 else -1
    return text[start + len(opening) : end] if end >= 0 else None


def _without_spans(text: str, opening: str, closing: str) -> str:
    """Return the text without the spans between two tags, which can be nested."""
    text = text.strip()
    if text.startswith(opening) and text.endswith(closing):
        return ""  # The text can include a file that contains these tags.
    outside, depth, position = [], 0, 0
    for match in re.finditer(f"{opening}|{closing}", text):
        if not depth:
            outside.append(text[position : match.start()])
        depth = max(0, depth + (1 if match[0] == opening else -1))
        position = match.end()
    return "".join(outside) + (opening if depth else "") + text[position:]


def _is_injected(text: str) -> bool:
    """Return whether the CLI injected the text."""
    return (
        text in _INJECTED_TEXTS
        or is_summary(text)
        or is_side_call(text)
        or text.startswith(_INJECTED_START)
        or _INJECTED_TAG.match(text) is not None
        or text.startswith(tuple(opening for opening, _ in _INJECTED_SPANS))
    )


def is_summary(text: str) -> bool:
    return text.startswith(_SUMMARY)


def is_side_call(text: str) -> bool:
    return text.startswith(_SIDE_CALLS)


def _slash_command(text: str) -> list[Event]:
    name = _between(text, "<command-name>", "</command-name>")
    arguments = _between(text, "<command-args>", "</command-args>") or ""
    command = f"/{(name or '').strip().removeprefix('/')} {arguments.strip()}".rstrip()
    preview = mask_and_truncate(command, MAX_COMMAND_CHARACTERS)
    data = {"toolName": "SlashCommand", "inputPreview": preview, "human": True}
    return [("tool_intent", data)] if name else []


def _bash_input(text: str) -> list[Event] | None:
    command = _between(text, "<bash-input>", "</bash-input>")
    if command is None:
        return None
    return [("command", {"command": command, "human": True, **_bash_fields(text)})]


def _bash_output(text: str) -> list[Event] | None:
    return [("output", _bash_fields(text))]


def _bash_fields(text: str) -> dict[str, Any]:
    tags = {"stdout": "bash-stdout", "stderr": "bash-stderr", "exitCode": "bash-exit-code"}
    fields: dict[str, Any] = without_none(
        **{name: _between(text, f"<{tag}>", f"</{tag}>") for name, tag in tags.items()}
    )
    code = fields.pop("exitCode", "").strip()
    return fields | ({"exitCode": int(code)} if re.fullmatch(r"-?[0-9]{1,9}", code) else {})


def _interrupt(text: str) -> list[Event] | None:
    match = _INTERRUPT.fullmatch(text)
    if match is None:
        return None
    variant, subtype = ("tool_use", "action") if match[1] else ("generation", "generation")
    return [("interrupt", {"variant": variant, "subtype": subtype})]


# By prefix. A reader returns None if the text has a different format.
_READERS: tuple[tuple[str, Callable[[str], list[Event] | None]], ...] = (
    ("<bash-input>", _bash_input),
    ("<bash-stdout>", _bash_output),
    ("<bash-stderr>", _bash_output),
    ("[Request interrupted by user", _interrupt),
)


def file_updates(text: str) -> Iterator[FileUpdate]:
    """Yield updates for files that the user attached or changed."""
    for match in _READ_CALL.finditer(text):
        content = read_numbered_lines(text, match.end(), is_truncated=match[2] != "}")
        if content is not None:
            path = re.sub(r"\\(.)", r"\1", match[1])
            yield Snapshot(path, content)
    for match in _MODIFIED.finditer(text):
        yield Invalidation(match[1])
        content = read_numbered_lines(text, match.end(), is_truncated=True)
        if content is not None:
            yield Snapshot(match[1], content)
