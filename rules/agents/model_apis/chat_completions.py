"""Read OpenAI Chat Completions calls as events, by translating them to Anthropic's Messages API."""

from collections.abc import Iterator, Mapping
from typing import Any

from rules.agents import event_data
from rules.agents.model_apis import anthropic_messages
from rules.agents.model_apis.anthropic_messages import Request
from rules.agents.model_apis.texts import Text
from rules.agents.model_apis.translation import JsonObject, TranslatedMessages, content_blocks, messages_body
from rules.agents.unknown_agent import sequence
from rules.events.envelopes import as_list, field, integer, text

_ROLES = {"user": "user", "assistant": "assistant", "tool": "user", "function": "user"}
# The last event of a stream. It is not JSON.
DONE = "[DONE]"
_TEXT = 0


def read_request(headers: Mapping[str, str], body: Mapping[str, Any]) -> Request:
    """Read a request lazily."""
    sent = sequence(body, "messages")
    messages = TranslatedMessages(sent, _message)
    has_tools = bool(sequence(body, "tools") or sequence(body, "functions"))
    max_tokens = body.get("max_completion_tokens", body.get("max_tokens"))
    translated = messages_body(messages, None, has_tools, max_tokens)
    return Request(headers, translated, body, "messages", sent)


class Response(anthropic_messages.Response):
    """Accumulates a response from a stream or a single document. Only its first choice can become events of calls."""

    def __init__(self) -> None:
        super().__init__()
        self._has_ended = False
        self._others: dict[tuple[int, str], list[Any]] = {}

    def add(self, part: Any) -> None:
        if part == DONE:
            self.is_complete = True
            return
        self._identify(part)
        for choice in as_list(field(part, "choices")):
            self._add_choice(choice)
        # If the request asks for usage, the last object of the stream includes it.
        self.is_complete = self.is_complete or (self._has_ended and field(part, "usage") is not None)

    def texts(self) -> Iterator[Text]:
        yield from super().texts()
        for (_, name), parts in self._others.items():
            is_text = all(isinstance(part, str) for part in parts)
            yield Text("assistant", name, "".join(parts) if is_text else parts)

    def _add_choice(self, choice: Any) -> None:
        """Add a choice. The service rejects requests for more than one."""
        number = integer(field(choice, "index")) or 0
        message = field(choice, "message")
        delta = field(choice, "delta") if message is None else message
        for name, value in delta.items() if isinstance(delta, dict) else ():
            if not number and name == "content" and isinstance(value, str):
                self._append(_TEXT, {"type": "text", "text": ""}, "text", value)
            elif not number and name == "tool_calls":
                self._add_calls(as_list(value))
            elif name != "role" and value:
                self._others.setdefault((number, name), []).append(value)
        self._has_ended = self._has_ended or text(field(choice, "finish_reason")) is not None
        self.is_complete = self.is_complete or message is not None

    def _add_calls(self, calls: list[Any]) -> None:
        for call in calls:
            index = integer(field(call, "index"))
            self._add_call(self._infer_index(call) if index is None else index, call)

    def _infer_index(self, call: Any) -> int:
        """Infer a call's missing index: a part with an id starts the next call."""
        last = max(self._blocks, default=_TEXT)
        return last if text(field(call, "id")) else max(last - 1, 0)

    def _add_call(self, index: int, call: Any) -> None:
        call_id, content = text(field(call, "id")), _call_content(call)
        name = text(field(content, "name")) or ""
        block: JsonObject = {"type": "tool_use", "id": call_id, "name": name, "input": {}}
        self._append(index + 1, block, "partial_json", field(content, "arguments"))
        self._append(index + 1, block, "input", field(content, "input"))

    def _append(self, index: int, block: JsonObject, name: str, part: Any) -> None:
        """Append a part to a block, creating the block if needed."""
        if block["type"] == "tool_use" or part:
            self._blocks.setdefault(index, block)
        if isinstance(part, str) and part:
            self._parts.setdefault((index, name), []).append(part)


def _message(message: Any) -> JsonObject:
    role = text(field(message, "role")) or ""
    content = content_blocks(field(message, "content"))
    if role == "tool":
        content = [{"type": "tool_result", "tool_use_id": field(message, "tool_call_id"), "content": content}]
    elif role == "assistant":
        content += _calls(message)
    return {"role": _ROLES.get(role, "system"), "content": content}


def _calls(message: Any) -> Iterator[JsonObject]:
    for call in as_list(field(message, "tool_calls")):
        content = _call_content(call)
        arguments = text(field(content, "input"))
        if arguments is None:
            arguments = event_data.parse_arguments(text(field(content, "arguments")) or "")
        name = text(field(content, "name")) or ""
        yield {"type": "tool_use", "id": field(call, "id"), "name": name, "input": arguments}


def _call_content(call: Any) -> Any:
    """Return the name and the input of a function's or a custom tool's call."""
    return field(call, "function") or field(call, "custom")
