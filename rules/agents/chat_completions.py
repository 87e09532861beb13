"""OpenAI's Chat Completions API, read as Anthropic's Messages, and thereby as events."""

from collections.abc import Iterator, Mapping
from typing import Any

from rules.agents import anthropic_messages, event_data
from rules.agents.anthropic_messages import Request
from rules.agents.known_agents import sequence
from rules.agents.translated import Block, Message, TranslatedMessages, content_blocks, messages_body
from rules.events.envelopes import integer, member, text

_ROLES = {"user": "user", "assistant": "assistant", "tool": "user", "function": "user"}
# The data of a stream's last event, which is not JSON.
DONE = "[DONE]"
_TEXT = 0


def read_request(headers: Mapping[str, str], body: Mapping[str, Any]) -> Request:
    """Read a request lazily.

    headers -- their names in lower case
    body -- as parsed; its arrays can parse their elements when they are read
    """
    messages = TranslatedMessages(sequence(body, "messages"), _message)
    has_tools = bool(sequence(body, "tools") or sequence(body, "functions"))
    max_tokens = body.get("max_completion_tokens", body.get("max_tokens"))
    return Request(headers, messages_body(messages, None, has_tools, max_tokens))


class Response(anthropic_messages.Response):
    """Collects the first choice of a response: its stream, or its document."""

    def __init__(self) -> None:
        super().__init__()
        self._has_ended = False

    def add(self, part: Any) -> None:
        if part == DONE:
            self._is_complete = True
            return
        self._identify(part)
        for choice in _items(member(part, "choices")):
            if member(choice, "index") in (0, None):
                self._add_choice(choice)
        # After its end a choice is complete; the stream's last object has the usage, if the request wants it.
        self._is_complete = self._is_complete or (self._has_ended and member(part, "usage") is not None)

    def _add_choice(self, choice: Any) -> None:
        message = member(choice, "message")
        delta = member(choice, "delta") if message is None else message
        self._append(_TEXT, {"type": "text", "text": ""}, "text", member(delta, "content"))
        for call in _items(member(delta, "tool_calls")):
            index = integer(member(call, "index"))
            self._add_call(self._number_of(call) if index is None else index, call)
        self._has_ended = self._has_ended or text(member(choice, "finish_reason")) is not None
        self._is_complete = self._is_complete or message is not None

    def _number_of(self, call: Any) -> int:
        """The number of a call that has none: a part with an id starts the next one."""
        last = max(self._blocks, default=_TEXT)
        return last if text(member(call, "id")) else max(last - 1, 0)

    def _add_call(self, number: int, call: Any) -> None:
        call_id, name = text(member(call, "id")), text(member(call, "function", "name"))
        block: Block = {"type": "tool_use", "id": call_id, "name": name or "", "input": {}}
        self._append(number + 1, block, "partial_json", member(call, "function", "arguments"))

    def _append(self, index: int, block: Block, name: str, part: Any) -> None:
        """Add a part to a block, which its first part starts."""
        if block["type"] == "tool_use" or part:
            self._blocks.setdefault(index, block)
        if isinstance(part, str) and part:
            self._parts.setdefault((index, name), []).append(part)


def _message(message: Any) -> Message:
    role = text(member(message, "role")) or ""
    content = content_blocks(member(message, "content"))
    if role == "tool":
        content = [
            {"type": "tool_result", "tool_use_id": member(message, "tool_call_id"), "content": content}
        ]
    elif role == "assistant":
        content += _calls(message)
    return {"role": _ROLES.get(role, "system"), "content": content}


def _calls(message: Any) -> Iterator[Block]:
    for call in _items(member(message, "tool_calls")):
        function = member(call, "function")
        arguments = event_data.parsed_arguments(text(member(function, "arguments")) or "")
        name = text(member(function, "name")) or ""
        yield {"type": "tool_use", "id": member(call, "id"), "name": name, "input": arguments}


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
