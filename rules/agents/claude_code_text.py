"""Claude Code's user messages: the person's input, and texts added by the program.

Measured with 2.1.197 and 2.1.332.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from rules.agents.event_data import shortened
from rules.agents.known_files import Lost, Shown, Touch, read_numbered_lines
from rules.agents.messages_turns import IMAGE

Said = tuple[str, dict[str, Any]]  # an event's kind and data

# Texts that the program writes into the conversation.
_TAGS = (
    "agent-message|channel|cross-session-message|fork-boilerplate|ide_diagnostics|ide_opened_file|ide_selection|"
    "local-command-stderr|local-command-stdout|mcp-resource-update|post-tool-use-hook|task-notification|"
    "teammate-message|tick|user-memory-input|user-prompt-submit-hook"
)
_ADDED_TAG = re.compile(rf"<(?:{_TAGS})[ >]")
_ADDED_SPANS = (
    ("<system-reminder>", "</system-reminder>"),
    ("<local-command-caveat>", "</local-command-caveat>"),
)
_ADDED_START = (
    "[SYSTEM NOTIFICATION - NOT USER INPUT]",
    "[MESSAGE FROM NON-USER SOURCE - NOT USER INPUT]",
    "Stop hook feedback:",
    "[Image: ",
    "[Image source: ",
)
_ADDED_TEXTS = frozenset({IMAGE, "Continue from where you left off.", "(no content)", "Tool loaded."})
_SUMMARY = "This session is being continued from a previous conversation"
# The last message of calls that the program makes for its own purposes, after the person's conversation.
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
_QUEUED = (
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


class _Reader(NamedTuple):
    """The reader of texts with this start; `read` returns None if the text is something else."""

    start: str
    read: Callable[[str], list[Said] | None]


def said(texts: Sequence[str]) -> list[Said]:
    """The person's input in the texts between two responses, in order."""
    events: list[Said] = []
    is_expansion = False
    for text in texts:
        some, starts_expansion = _read_text(text)
        if not (is_expansion and any(kind == "prompt" for kind, _ in some)):
            _append(events, some)
        is_expansion = starts_expansion
    return _with_images(events, sum(text == IMAGE for text in texts))


def _with_images(events: list[Said], count: int) -> list[Said]:
    """Count images in the last prompt; without one, they become a prompt."""
    prompts = [data for kind, data in events if kind == "prompt"]
    if count and prompts:
        prompts[-1]["images"] = count
    return [*events, ("prompt", {"text": IMAGE, "images": count})] if count and not prompts else events


def _append(events: list[Said], some: list[Said]) -> None:
    """Add events; the output of a command completes it."""
    for kind, data in some:
        if kind != "output":
            events.append((kind, data))
        elif events and events[-1][0] == "command":
            events[-1][1].update(data)


def _read_text(text: str) -> tuple[list[Said], bool]:
    """The events of one text, and whether the next text is the prompt of a slash command."""
    queued = said_while_working(text)
    for opening, closing in _ADDED_SPANS:
        text = _without_spans(text, opening, closing)
    text = text.strip()
    if queued or not text or is_added(text):
        return queued, False
    if text.startswith(("<command-message>", "<command-name>")):
        return _slash_command(text), text.startswith("<command-message>")
    for reader in _READERS:
        if text.startswith(reader.start) and (events := reader.read(text)) is not None:
            return events, False
    return [("prompt", {"text": text})], False


def said_while_working(text: str) -> list[Said]:
    """The prompt in a text that the program added because the agent was working when the person sent it."""
    opening, closing = _QUEUED
    start = 0 if text.removeprefix("<system-reminder>\n").startswith(opening) else text.find(f"\n{opening}")
    prompt = _between(text[start:], opening, closing) if start >= 0 else None
    return [("prompt", {"text": prompt.strip()})] if prompt else []


def _between(text: str, opening: str, closing: str) -> str | None:
    """The text between the first opening and the next closing; None without both."""
    start = text.find(opening)
    end = text.find(closing, start + len(opening)) if start >= 0 else -1
    return text[start + len(opening) : end] if end >= 0 else None


def _without_spans(text: str, opening: str, closing: str) -> str:
    """The text outside of spans, which can be nested."""
    text = text.strip()
    if text.startswith(opening) and text.endswith(closing):
        return ""  # A file in the text can contain these tags, too.
    kept, depth, position = [], 0, 0
    for match in re.finditer(f"{opening}|{closing}", text):
        if not depth:
            kept.append(text[position : match.start()])
        depth = max(0, depth + (1 if match[0] == opening else -1))
        position = match.end()
    return "".join(kept) + (opening if depth else "") + text[position:]


def is_added(text: str) -> bool:
    """Return whether the program wrote the text."""
    return (
        text in _ADDED_TEXTS
        or is_summary(text)
        or is_side_call(text)
        or text.startswith(_ADDED_START)
        or _ADDED_TAG.match(text) is not None
        or text.startswith(tuple(opening for opening, _ in _ADDED_SPANS))
    )


def is_summary(text: str) -> bool:
    """Return whether a text is the summary with which a compacted conversation starts."""
    return text.startswith(_SUMMARY)


def is_side_call(text: str) -> bool:
    """Return whether the program makes the request for its own purposes, such as a summary or a suggestion."""
    return text.startswith(_SIDE_CALLS)


def is_placeholder(response: str) -> bool:
    """Return whether the program inserted the response: a conversation was resumed where one was missing."""
    return response.strip() == "No response requested."


def _slash_command(text: str) -> list[Said]:
    name = _between(text, "<command-name>", "</command-name>")
    arguments = _between(text, "<command-args>", "</command-args>") or ""
    command = f"/{(name or '').strip().removeprefix('/')} {arguments.strip()}".rstrip()
    shown = shortened(command, MAX_COMMAND_CHARACTERS)
    data = {"toolName": "SlashCommand", "inputPreview": shown, "human": True}
    return [("tool_intent", data)] if name else []


def _bash_input(text: str) -> list[Said] | None:
    command = _between(text, "<bash-input>", "</bash-input>")
    return (
        None if command is None else [("command", {"command": command, "human": True, **_bash_fields(text)})]
    )


def _bash_output(text: str) -> list[Said] | None:
    return [("output", _bash_fields(text))]


def _bash_fields(text: str) -> dict[str, Any]:
    tags = {"stdout": "bash-stdout", "stderr": "bash-stderr", "exitCode": "bash-exit-code"}
    found = {name: _between(text, f"<{tag}>", f"</{tag}>") for name, tag in tags.items()}
    fields: dict[str, Any] = {name: value for name, value in found.items() if value is not None}
    code = fields.pop("exitCode", "").strip()
    return fields | ({"exitCode": int(code)} if re.fullmatch(r"-?[0-9]{1,9}", code) else {})


def _interrupt(text: str) -> list[Said] | None:
    match = _INTERRUPT.fullmatch(text)
    if match is None:
        return None
    variant = "tool_use" if match[1] else "generation"
    return [("interrupt", {"variant": variant, "subtype": "action" if match[1] else "generation"})]


_READERS = (
    _Reader("<bash-input>", _bash_input),
    _Reader("<bash-stdout>", _bash_output),
    _Reader("<bash-stderr>", _bash_output),
    _Reader("[Request interrupted by user", _interrupt),
)


def touches(text: str) -> Iterator[Touch]:
    """The contents of files in a text that the program added: files that the person named or changed."""
    for match in _READ_CALL.finditer(text):
        content = read_numbered_lines(text[match.end() :], is_cut=match[2] != "}")
        if content is not None:
            path = re.sub(r"\\(.)", r"\1", match[1])
            yield Shown(path, content)
    for match in _MODIFIED.finditer(text):
        yield Lost(match[1])
        content = read_numbered_lines(text[match.end() :], is_cut=True)
        if content is not None:
            yield Shown(match[1], content)
