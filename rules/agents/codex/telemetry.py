"""Read Codex's log records as events."""

from collections.abc import Callable, Iterator
from typing import Any

from rules.agents.codex.tools import TOOLS, running_call
from rules.agents.codex.user_messages import is_side_call
from rules.agents.event_data import parse_arguments, preview
from rules.agents.files.known_files import Workspace
from rules.agents.log_records import LogEvent, agent_error, permission_decision
from rules.agents.tools import Outcome
from rules.agents.values import without_none
from rules.events.envelopes import INT64, field, integer
from rules.events.recorded_events import RecordedEvent

# Ignored: each call that the script makes has a separate record.
_CODE_MODE = "exec"


def _start(event: LogEvent) -> Iterator[RecordedEvent]:
    data = without_none(
        ideSessionId=event.text("conversation.id"),
        cliVersion=event.text("app.version"),
        model=event.text("model"),
        approvalPolicy=event.text("approval_policy"),
        sandboxPolicy=event.text("sandbox_policy"),
    )
    yield RecordedEvent("session_start", data, event.identity)


def _prompt(event: LogEvent) -> Iterator[RecordedEvent]:
    text = event.text("prompt")
    if text and not is_side_call(text):
        yield RecordedEvent("prompt", {"text": text}, event.identity)


def _usage(event: LogEvent) -> Iterator[RecordedEvent]:
    """Yield a response's usage from the last record of its stream. The reported input includes cached tokens."""
    tokens, cached = event.integer("input_token_count"), event.integer("cached_token_count")
    written = event.integer("cache_write_token_count")
    if event.text("event.kind") != "response.completed" or tokens is None:
        return
    data = without_none(
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
    """Yield the call, and the user's or a rule's decision on it."""
    call_id, name = event.text("call_id"), event.text("tool_name")
    if not call_id or not name or name == _CODE_MODE:
        return
    yield _intent(name, None, call_id)
    decision, is_user = event.text("decision") or "", event.text("source") == "User"
    if not decision.startswith("approved") and is_user:
        data = {"variant": "tool_use", "subtype": "action", "cutTool": name, "toolUseId": call_id}
        yield RecordedEvent("interrupt", data, call_id)
    elif not decision.startswith("approved") or is_user:
        yield permission_decision(decision, event.text("source"), name, call_id, is_user=is_user)


def _result(event: LogEvent) -> Iterator[RecordedEvent]:
    """Yield the call and its outcome. A decision record may have reported the call already."""
    call_id, name = event.text("call_id"), event.text("tool_name")
    if not call_id or not name or name == _CODE_MODE:
        return
    arguments, output = event.text("arguments"), event.text("output") or ""
    yield _intent(name, arguments, call_id)
    duration = without_none(durationMs=event.integer("duration_ms"))
    common = without_none(isOutputTruncated=event.is_true("output_truncated") or None)
    if event.text("mcp_server"):
        data = {"tool": name, "argsPreview": preview(arguments), "toolUseId": call_id}
        yield RecordedEvent("mcp_call", common | duration | data, call_id)
        return
    parsed = parse_arguments(arguments or "")
    workspace = Workspace(earlier=lambda: _running_calls(event, parsed))
    outcome = Outcome(call_id, name, parsed, output, not event.is_true("success"), workspace)
    for index, (kind, data) in enumerate(TOOLS.read(outcome)):
        # The end of a running command has the id of the call that started it.
        is_whole_call = data.keys().isdisjoint({"processId", "toolUseId"})
        data = {"toolUseId": call_id} | data | common | (duration if is_whole_call else {})
        yield RecordedEvent(kind, data, call_id, index)


def _running_calls(event: LogEvent, arguments: Any) -> Iterator[Outcome]:
    """Yield the call that started the command for which a write_stdin call waits."""
    process_id = integer(field(arguments, "session_id"), INT64)
    started = None if process_id is None else event.find_running(process_id)
    if started:
        yield running_call(started)


def _intent(name: str, arguments: str | None, call_id: str) -> RecordedEvent:
    input_preview = preview(arguments) if arguments else None
    data = without_none(toolName=name, inputPreview=input_preview, toolUseId=call_id)
    return RecordedEvent("tool_intent", data, call_id)


READERS: dict[str, Callable[[LogEvent], Iterator[RecordedEvent]]] = {
    "conversation_starts": _start,
    "user_prompt": _prompt,
    "sse_event": _usage,
    "api_request": _error,
    "tool_decision": _decision,
    "tool_result": _result,
}
