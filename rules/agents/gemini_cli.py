"""Read Gemini CLI's log records as events."""

from collections.abc import Callable, Iterator

from rules.agents.event_data import preview
from rules.agents.log_records import LogEvent
from rules.agents.values import digest, nonempty_string, parse_integer, parse_object, without_none
from rules.events.recorded_events import RecordedEvent

_SHELL = "run_shell_command"


def _identity(event: LogEvent, *parts: str | None) -> str:
    """Identify a record by its time and content: it has neither a sequence number nor a call id."""
    return f"{event.identity}:{digest(*(part or '' for part in parts))}"


def _prompt(event: LogEvent) -> Iterator[RecordedEvent]:
    if text := event.text("prompt"):
        yield RecordedEvent("prompt", {"text": text}, _identity(event, text))


def _response(event: LogEvent) -> Iterator[RecordedEvent]:
    """Yield a response. The reported input includes cached tokens."""
    tokens, cached = event.integer("input_token_count"), event.integer("cached_content_token_count")
    data = without_none(
        lastAssistantMessage=event.text("response_text"),
        model=event.text("model"),
        usageScope="request",
        inputTokens=None if tokens is None else max(tokens - (cached or 0), 0),
        outputTokens=event.integer("output_token_count"),
        cacheReadTokens=cached,
        reasoningTokens=event.integer("thoughts_token_count"),
        turnDurationMs=event.integer("duration_ms"),
    )
    yield RecordedEvent("ai_response", data, _identity(event, event.text("prompt_id")))


def _call(event: LogEvent) -> Iterator[RecordedEvent]:
    name, text = event.text("function_name"), event.text("function_args")
    if not name:
        return
    arguments, identity = parse_object(text), _identity(event, name, text)
    yield RecordedEvent("tool_intent", {"toolName": name, "inputPreview": preview(arguments)}, identity)
    duration = without_none(durationMs=event.integer("duration_ms"))
    if name == _SHELL:
        # `success` is true even if the command failed.
        code = parse_integer(parse_object(event.text("metadata")).get("exitCode"))
        data = without_none(command=nonempty_string(arguments.get("command")), exitCode=code)
        yield RecordedEvent("command", data | duration, identity)
    else:
        data = {"toolName": name, "inputPreview": preview(arguments), "ok": event.is_true("success")}
        yield RecordedEvent("tool_use", data | duration, identity)


READERS: dict[str, Callable[[LogEvent], Iterator[RecordedEvent]]] = {
    "user_prompt": _prompt,
    "api_response": _response,
    "tool_call": _call,
}
