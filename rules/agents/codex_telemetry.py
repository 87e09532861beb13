"""Log records of Codex as events."""

from collections.abc import Callable, Iterator

from rules.agents import codex_calls
from rules.agents.event_data import preview
from rules.agents.log_events import LogEvent, agent_error, permission_decision
from rules.agents.values import named
from rules.events.recorded_events import RecordedEvent

# Its argument is a script. The calls that the script makes have their own records.
_CODE_MODE = "exec"


def _start(event: LogEvent) -> Iterator[RecordedEvent]:
    data = named(
        ideSessionId=event.text("conversation.id"),
        cliVersion=event.text("app.version"),
        model=event.text("model"),
        approvalPolicy=event.text("approval_policy"),
        sandboxPolicy=event.text("sandbox_policy"),
    )
    yield RecordedEvent("session_start", data, event.identity)


def _prompt(event: LogEvent) -> Iterator[RecordedEvent]:
    if text := event.text("prompt"):
        yield RecordedEvent("prompt", {"text": text}, event.identity)


def _usage(event: LogEvent) -> Iterator[RecordedEvent]:
    """A response's usage, from the one record of its stream that has it. Its input includes what the cache has."""
    tokens, cached = event.integer("input_token_count"), event.integer("cached_token_count")
    written = event.integer("cache_write_token_count")
    if event.text("event.kind") != "response.completed" or tokens is None:
        return
    data = named(
        model=event.text("model"),
        usageScope="request",
        inputTokens=max(tokens - (cached or 0) - (written or 0), 0),
        outputTokens=event.integer("output_token_count"),
        cacheReadTokens=cached,
        cacheWriteTokens=written,
        reasoningTokens=event.integer("reasoning_token_count"),
    )
    yield RecordedEvent("ai_response", data, event.identity)


def _error(event: LogEvent) -> Iterator[RecordedEvent]:
    status, error = event.integer("http.response.status_code"), event.text("error.message")
    if error or (status is not None and status >= 400):
        yield agent_error(event, error, status)


def _decision(event: LogEvent) -> Iterator[RecordedEvent]:
    """The call, and the decision of the person or a rule about it."""
    call_id, name = event.text("call_id"), event.text("tool_name")
    if not call_id or not name or name == _CODE_MODE:
        return
    yield _intent(name, None, call_id)
    decision, is_person = event.text("decision") or "", event.text("source") == "User"
    if not decision.startswith("approved") and is_person:
        data = {"variant": "tool_use", "subtype": "action", "cutTool": name, "toolUseId": call_id}
        yield RecordedEvent("interrupt", data, call_id)
    elif not decision.startswith("approved") or is_person:
        yield permission_decision(decision, event.text("source"), name, call_id, is_person=is_person)


def _result(event: LogEvent) -> Iterator[RecordedEvent]:
    """The call, unless its decision has announced it, and its outcome."""
    call_id, name = event.text("call_id"), event.text("tool_name")
    if not call_id or not name or name == _CODE_MODE:
        return
    arguments, output = event.text("arguments"), event.text("output")
    yield _intent(name, arguments, call_id)
    is_cut = event.is_true("output_truncated") or None
    common = named(durationMs=event.integer("duration_ms"), isOutputTruncated=is_cut, toolUseId=call_id)
    if event.text("mcp_server"):
        yield RecordedEvent("mcp_call", common | {"tool": name, "argsPreview": preview(arguments)}, call_id)
        return
    outcomes = codex_calls.record_outcomes(call_id, name, arguments, output or "", event.is_true("success"))
    for index, (kind, data) in enumerate(outcomes):
        yield RecordedEvent(kind, data | common, call_id, index)


def _intent(name: str, arguments: str | None, call_id: str) -> RecordedEvent:
    shown = preview(arguments) if arguments else None
    return RecordedEvent("tool_intent", named(toolName=name, inputPreview=shown, toolUseId=call_id), call_id)


READERS: dict[str, Callable[[LogEvent], Iterator[RecordedEvent]]] = {
    "conversation_starts": _start,
    "user_prompt": _prompt,
    "sse_event": _usage,
    "api_request": _error,
    "tool_decision": _decision,
    "tool_result": _result,
}
