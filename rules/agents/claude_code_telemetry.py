"""Log records of Claude Code as events."""

import re
from collections.abc import Callable, Iterator
from typing import Any

from rules.agents import claude_code_calls
from rules.agents.dialect import Outcome
from rules.agents.event_data import preview
from rules.agents.log_events import LogEvent, agent_error, permission_decision
from rules.agents.values import named, object_in
from rules.events.recorded_events import RecordedEvent

# Sources of responses to the person. All others are subagents, titles and similar calls.
_MAIN = frozenset({"sdk", "repl_main_thread"})
_REJECTED_BY_PERSON = frozenset({"user_reject", "user_abort"})
# The end of a truncated string in a tool's input.
_TRUNCATED = re.compile(r"\.\.\.\[\d+ chars\]\Z")


def _prompt(event: LogEvent) -> Iterator[RecordedEvent]:
    """A prompt. A built-in slash command is not one: it has a name."""
    text = event.text("prompt")
    if text and event.text("command_name") is None:
        yield RecordedEvent("prompt", {"text": text}, event.identity)


def _is_main(event: LogEvent) -> bool:
    source = event.text("query_source")
    return source is None or source in _MAIN


def _usage(event: LogEvent) -> Iterator[RecordedEvent]:
    """A response's usage. Its text is in another record, so it becomes another event, without usage."""
    is_main = _is_main(event)
    data = named(
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
        yield RecordedEvent("ai_response", named(**data), event.text("request_id") or event.identity, index=1)


def _error(event: LogEvent) -> Iterator[RecordedEvent]:
    yield agent_error(event, event.text("error"), event.integer("status_code"))


def _decision(event: LogEvent) -> Iterator[RecordedEvent]:
    """The call, and the decision of the person or a rule about it."""
    tool_use_id, name = event.text("tool_use_id"), event.text("tool_name")
    if not tool_use_id or not name:
        return
    arguments = object_in(event.text("tool_parameters"))
    shown = preview(arguments) if arguments else None
    intent = named(toolName=name, inputPreview=shown, toolUseId=tool_use_id)
    yield RecordedEvent("tool_intent", intent, tool_use_id)
    decision, source = event.text("decision"), event.text("source") or ""
    is_person = source.startswith("user_")
    if decision == "reject" and source in _REJECTED_BY_PERSON:
        yield _rejection(name, arguments, tool_use_id)
    elif decision == "reject" or is_person:
        yield permission_decision(decision, source, name, tool_use_id, is_person=is_person)


def _rejection(name: str, arguments: dict[str, Any], tool_use_id: str) -> RecordedEvent:
    """The person rejected a call, which therefore has no result."""
    if name == "ExitPlanMode":
        data = {"responsePreview": "rejected", "toolUseId": tool_use_id}
        return RecordedEvent("plan_decision", data, tool_use_id)
    cut = arguments.get("full_command")
    data = named(cutToolInput=cut if isinstance(cut, str) else None)
    data |= {"variant": "tool_use", "subtype": "action", "cutTool": name, "toolUseId": tool_use_id}
    return RecordedEvent("interrupt", data, tool_use_id)


def _result(event: LogEvent) -> Iterator[RecordedEvent]:
    tool_use_id, name = event.text("tool_use_id"), event.text("tool_name")
    if not tool_use_id or not name:
        return
    outcomes = [_command(event)] if name == "Bash" else _outcomes(event, tool_use_id, name)
    for index, (kind, data) in enumerate(outcomes):
        data = named(**data, durationMs=event.integer("duration_ms"), toolUseId=tool_use_id)
        yield RecordedEvent(kind, data, tool_use_id, index)


def _command(event: LogEvent) -> tuple[str, dict[str, Any]]:
    """A command without an exit code: a success is not always 0, and only successes would distort the fail rate."""
    parameters, arguments = object_in(event.text("tool_parameters")), object_in(event.text("tool_input"))
    command = parameters.get("full_command", arguments.get("command"))
    text = command if isinstance(command, str) else None
    return "command", {"command": text, "ok": event.is_true("success")}


def _outcomes(event: LogEvent, tool_use_id: str, name: str) -> list[tuple[str, dict[str, Any]]]:
    """The call's outcomes. For a changed file only the path is certain: the record truncates texts and has no base."""
    arguments = object_in(event.text("tool_input"))
    complete = {
        key: value
        for key, value in arguments.items()
        if not (isinstance(value, str) and _TRUNCATED.search(value))
    }
    is_error = not event.is_true("success")
    outcome = Outcome(tool_use_id, name, complete, event.text("error") or "", is_error)
    outcomes = claude_code_calls.by_table(outcome)
    if len(complete) == len(arguments):
        return outcomes
    return [(kind, data | {"isPartial": True}) for kind, data in outcomes]


def _mode(event: LogEvent) -> Iterator[RecordedEvent]:
    data = named(
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
