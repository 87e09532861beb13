"""Read Claude Code's log records as events."""

import re
from collections.abc import Callable, Iterator
from typing import Any

from rules.agents.claude_code.tools import SHELLS, TOOLS
from rules.agents.claude_code.user_messages import is_prompt
from rules.agents.event_data import preview
from rules.agents.log_records import LogEvent, agent_error, permission_decision
from rules.agents.tools import Outcome
from rules.agents.values import Event, parse_object, without_none
from rules.events.recorded_events import RecordedEvent

# Query sources of responses to the user. All others are subagents, titles and similar calls.
_MAIN_SOURCES = ("sdk", "repl_main_thread")
_REJECTED_BY_USER = frozenset({"user_reject", "user_abort"})
# Marks the end of a truncated string in a tool's input.
_TRUNCATED = re.compile(r"\.\.\.\[\d+ chars\]\Z")


def _prompt(event: LogEvent) -> Iterator[RecordedEvent]:
    text = event.text("prompt")
    # Not a built-in slash command, and not a prompt that the CLI submits by itself.
    if text and event.text("command_name") is None and is_prompt(text):
        yield RecordedEvent("prompt", {"text": text}, event.identity)


def _is_main(event: LogEvent) -> bool:
    source = event.text("query_source")
    # An output style is part of it: `repl_main_thread:outputStyle:Explanatory`.
    return source is None or source.partition(":")[0] in _MAIN_SOURCES


def _usage(event: LogEvent) -> Iterator[RecordedEvent]:
    """Yield a response's usage. Its text is in a separate record."""
    is_main = _is_main(event)
    data = without_none(
        model=event.text("model"),
        requestId=event.text("request_id"),
        usageScope="request",
        inputTokens=event.integer("input_tokens"),
        outputTokens=event.integer("output_tokens"),
        cacheReadTokens=event.integer("cache_read_tokens"),
        cacheWriteTokens=event.integer("cache_creation_tokens"),
        totalCost=event.number("cost_usd"),
        turnDurationMs=event.integer("duration_ms"),
        sidechain=None if is_main else True,
    )
    kind = "ai_response" if is_main else "subagent_usage"
    yield RecordedEvent(kind, data, event.text("request_id") or event.identity)


def _text(event: LogEvent) -> Iterator[RecordedEvent]:
    text = event.text("response")
    if text and _is_main(event):
        data = {
            "lastAssistantMessage": text,
            "model": event.text("model"),
            "requestId": event.text("request_id"),
        }
        yield RecordedEvent(
            "ai_response", without_none(**data), event.text("request_id") or event.identity, index=1
        )


def _error(event: LogEvent) -> Iterator[RecordedEvent]:
    yield agent_error(event, event.text("error"), event.integer("status_code"))


def _decision(event: LogEvent) -> Iterator[RecordedEvent]:
    """Yield the call, and the user's or a rule's decision on it."""
    tool_use_id, name = event.text("tool_use_id"), event.text("tool_name")
    if not tool_use_id or not name:
        return
    arguments = parse_object(event.text("tool_parameters"))
    input_preview = preview(arguments) if arguments else None
    intent = without_none(toolName=name, inputPreview=input_preview, toolUseId=tool_use_id)
    yield RecordedEvent("tool_intent", intent, tool_use_id)
    decision, source = event.text("decision"), event.text("source") or ""
    is_user = source.startswith("user_")
    if decision == "reject" and source in _REJECTED_BY_USER:
        yield _rejection(name, arguments, tool_use_id)
    elif decision == "reject" or is_user:
        yield permission_decision(decision, source, name, tool_use_id, is_user=is_user)


def _rejection(name: str, arguments: dict[str, Any], tool_use_id: str) -> RecordedEvent:
    """Return the event for a call that the user rejected. No result record follows."""
    if name == "ExitPlanMode":
        data = {"responsePreview": "rejected", "toolUseId": tool_use_id}
        return RecordedEvent("plan_decision", data, tool_use_id)
    command = arguments.get("full_command")
    data = without_none(cutToolInput=command if isinstance(command, str) else None)
    data |= {"variant": "tool_use", "subtype": "action", "cutTool": name, "toolUseId": tool_use_id}
    return RecordedEvent("interrupt", data, tool_use_id)


def _result(event: LogEvent) -> Iterator[RecordedEvent]:
    tool_use_id, name = event.text("tool_use_id"), event.text("tool_name")
    if not tool_use_id or not name:
        return
    events = [_command(event)] if name in SHELLS else _table_events(event, tool_use_id, name)
    for index, (kind, data) in enumerate(events):
        data = without_none(**data, durationMs=event.integer("duration_ms"), toolUseId=tool_use_id)
        yield RecordedEvent(kind, data, tool_use_id, index)


def _command(event: LogEvent) -> Event:
    """Return a command without an exit code.

    Success does not imply exit code 0, and recording exit codes only for successes would distort the failure rate.
    """
    parameters, arguments = (
        parse_object(event.text("tool_parameters")),
        parse_object(event.text("tool_input")),
    )
    command = parameters.get("full_command", arguments.get("command"))
    text = command if isinstance(command, str) else None
    return "command", {"command": text, "ok": event.is_true("success")}


def _table_events(event: LogEvent, tool_use_id: str, name: str) -> list[Event]:
    """Return a call's events, without truncated arguments."""
    arguments = parse_object(event.text("tool_input"))
    complete = {
        key: value
        for key, value in arguments.items()
        if not (isinstance(value, str) and _TRUNCATED.search(value))
    }
    is_error = not event.is_true("success")
    outcome = Outcome(tool_use_id, name, complete, event.text("error") or "", is_error)
    is_partial = {} if len(complete) == len(arguments) else {"isPartial": True}
    return [(kind, data | is_partial) for kind, data in TOOLS.read(outcome)]


def _mode(event: LogEvent) -> Iterator[RecordedEvent]:
    data = without_none(
        fromMode=event.text("from_mode"),
        toMode=event.text("to_mode"),
        trigger=event.text("trigger"),
        human=True,
    )
    yield RecordedEvent("mode_change", data, event.identity)


READERS: dict[str, Callable[[LogEvent], Iterator[RecordedEvent]]] = {
    "user_prompt": _prompt,
    "api_request": _usage,
    "assistant_response": _text,
    "api_error": _error,
    "tool_decision": _decision,
    "tool_result": _result,
    "permission_mode_changed": _mode,
}
