"""Read hooks of Claude Code, Codex and the workspace's opencode plugin as events. All send the same JSON objects.

Hooks include neither a time nor an id. An event's id is derived from the prompt, tool call or text (R36), or else from
the minute in which the hook was received. A hook registered in two settings files is therefore recorded once.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from rules.agents import opencode
from rules.agents.claude_code import calls as claude_code_calls
from rules.agents.claude_code.user_messages import is_prompt
from rules.agents.codex import calls as codex_calls
from rules.agents.event_data import preview
from rules.agents.values import digest, nonempty_string, without_none
from rules.events.recorded_events import EventSource, RecordedEvent

CHANNEL = "http-hook"
CLAUDE_CODE, CODEX, OPENCODE = "claude-code", "codex", "opencode"
_CALL_EVENTS = {
    CLAUDE_CODE: claude_code_calls.hook_events,
    CODEX: codex_calls.hook_events,
    OPENCODE: opencode.hook_events,
}


class Hook(NamedTuple):
    """A hook, and the minute in which it was received."""

    tool: str
    fields: Mapping[str, Any]
    minute: str

    def text(self, name: str) -> str | None:
        return nonempty_string(self.fields.get(name))

    @property
    def prompt(self) -> str:
        """The prompt's id, or Codex's turn id."""
        return self.text("prompt_id") or self.text("turn_id") or ""

    def identity(self, *parts: str | None) -> str:
        """Derive an id from the prompt's id and the given parts."""
        return digest(self.prompt, *(part or "" for part in parts))

    def event(self, kind: str, identity: str, **data: Any) -> RecordedEvent:
        """Build an event without fields that are None."""
        return RecordedEvent(kind, without_none(**data), identity, agent_id=self.text("agent_id"))


def read(
    tool: str, fields: Mapping[str, Any], now: datetime
) -> tuple[EventSource, list[RecordedEvent]] | None:
    """Return a hook's events; None if it has no agent session or is ignored.

    tool -- `claude-code`, `codex` or `opencode`
    """
    if fields.get("type") == "agent-turn-complete":
        fields = _as_stop(fields)
    hook = Hook(tool, fields, f"{now:%Y-%m-%dT%H:%M}")
    session = hook.text("session_id")
    reader = _READERS.get(hook.text("hook_event_name") or "")
    if not session or reader is None:
        return None
    return EventSource(CHANNEL, tool, None, session), list(reader(hook))


def _as_stop(notice: Mapping[str, Any]) -> dict[str, Any]:
    """Convert Codex's `notify` argument to a Stop hook, so that both have the same event id."""
    return {
        "hook_event_name": "Stop",
        "session_id": notice.get("thread-id"),
        "turn_id": notice.get("turn-id"),
        "last_assistant_message": notice.get("last-assistant-message"),
    }


def _session_start(hook: Hook) -> Iterator[RecordedEvent]:
    source = hook.text("source")
    data = {"source": source, "model": hook.text("model"), "cwd": hook.text("cwd")}
    yield hook.event(
        "session_start", hook.identity(source, hook.minute), ideSessionId=hook.text("session_id"), **data
    )


def _session_end(hook: Hook) -> Iterator[RecordedEvent]:
    yield hook.event("session_end", hook.identity(hook.minute), reason=hook.text("reason"))


def _prompt(hook: Hook) -> Iterator[RecordedEvent]:
    text = hook.text("prompt")
    # Claude Code also submits prompts of its own, such as the notification that a task in the background has ended.
    is_injected = hook.tool == "claude-code" and not is_prompt(text or "")
    if text and not is_injected:
        yield hook.event(
            "prompt", hook.identity(text), text=text, permissionMode=hook.text("permission_mode")
        )


def _intent(hook: Hook) -> Iterator[RecordedEvent]:
    tool_use_id, name = hook.text("tool_use_id"), hook.text("tool_name")
    if tool_use_id and name:
        data = {"toolName": name, "inputPreview": preview(hook.fields.get("tool_input"))}
        yield hook.event("tool_intent", tool_use_id, **data, toolUseId=tool_use_id)


def _permission_request(hook: Hook) -> Iterator[RecordedEvent]:
    """Yield a permission request, which does not include the call's id."""
    name, arguments = hook.text("tool_name"), hook.fields.get("tool_input")
    identity = hook.identity(name, json.dumps(arguments, sort_keys=True))
    yield hook.event("permission_request", identity, toolName=name, inputPreview=preview(arguments))


def _denial(hook: Hook) -> Iterator[RecordedEvent]:
    """Yield a rule's denial of a call. There is no hook for a user's rejection."""
    tool_use_id, name = hook.text("tool_use_id"), hook.text("tool_name")
    if tool_use_id and name:
        decision = {"decision": "reject", "source": hook.text("reason"), "toolName": name}
        yield hook.event("permission_decision", tool_use_id, toolUseId=tool_use_id, **decision)


def _outcome(hook: Hook) -> Iterator[RecordedEvent]:
    tool_use_id, name = hook.text("tool_use_id"), hook.text("tool_name")
    if not tool_use_id or not name:
        return
    events = _CALL_EVENTS[hook.tool](tool_use_id, name, hook.fields)
    for index, (kind, data) in enumerate(events):
        data = {"toolUseId": tool_use_id} | without_none(**data)
        yield RecordedEvent(kind, data, tool_use_id, index, hook.text("agent_id"))


def _stop(hook: Hook) -> Iterator[RecordedEvent]:
    if text := hook.text("last_assistant_message"):
        yield hook.event(
            "ai_response", hook.identity(text), lastAssistantMessage=text, model=hook.text("model")
        )


def _failure(hook: Hook) -> Iterator[RecordedEvent]:
    error, text = hook.text("error"), hook.text("last_assistant_message")
    yield hook.event("agent_error", hook.identity(error, text, hook.minute), error=text or error)


def _subagent(hook: Hook) -> Iterator[RecordedEvent]:
    identity = hook.text("agent_id") or hook.identity(hook.minute)
    kind, summary = "subagent_start", None
    if hook.text("hook_event_name") == "SubagentStop":
        kind, summary = "subagent_stop", hook.text("last_assistant_message")
    yield hook.event(kind, identity, subagentType=hook.text("agent_type"), summary=summary)


def _compaction(hook: Hook) -> Iterator[RecordedEvent]:
    yield hook.event("context_compact", hook.identity(hook.minute), trigger=hook.text("trigger"))


def _interrupt(hook: Hook) -> Iterator[RecordedEvent]:
    yield hook.event("interrupt", hook.identity(hook.minute), variant="generation", subtype="generation")


# Ignored: PostToolBatch, TaskCreated, TaskCompleted and PostCompact repeat other hooks. MessageDisplay sends text while
# it is being streamed. All others are irrelevant.
_READERS: dict[str, Callable[[Hook], Iterator[RecordedEvent]]] = {
    "SessionStart": _session_start,
    "SessionEnd": _session_end,
    "UserPromptSubmit": _prompt,
    "PreToolUse": _intent,
    "PermissionRequest": _permission_request,
    "PermissionDenied": _denial,
    "PostToolUse": _outcome,
    "PostToolUseFailure": _outcome,
    "Stop": _stop,
    "StopFailure": _failure,
    "SubagentStart": _subagent,
    "SubagentStop": _subagent,
    "PreCompact": _compaction,
    "Interrupt": _interrupt,
}
