"""Split a conversation in Anthropic's Messages API into turns."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any, NamedTuple

from rules.events.envelopes import as_list, field, text

# The provider runs the last two types and includes their results in the response.
_CALL_TYPES = frozenset({"tool_use", "server_tool_use", "mcp_tool_use"})
IMAGE = "[image]"


class Call(NamedTuple):
    """A tool call in a response."""

    id: str
    name: str
    arguments: Any

    @classmethod
    def read(cls, block: Any) -> "Call | None":
        """Read a call from a content block; None for other blocks."""
        call_id, name = text(field(block, "id")), text(field(block, "name"))
        if text(field(block, "type")) not in _CALL_TYPES or not call_id or name is None:
            return None
        return cls(call_id, name, field(block, "input"))


class Result(NamedTuple):
    """A tool call's result, as the model receives it."""

    text: str
    is_error: bool | None


class Turn:
    """A response, and the results and messages that follow it. A conversation's first turn has no response.

    number -- counted from the latest turn
    size -- number of messages
    """

    def __init__(self, number: int, messages: Sequence[Any]):
        self.number = number
        self.size = len(messages)
        self.has_input = any(_role(message) != "assistant" for message in messages)
        self._blocks = [(text(_role(message)), block) for message in messages for block in _blocks(message)]
        self.is_opening = not any(_role(message) == "assistant" for message in messages)

    @cached_property
    def response(self) -> str:
        """The response's text."""
        return "".join(block_text(block) for role, block in self._blocks if role == "assistant")

    @cached_property
    def calls(self) -> list[Call]:
        calls = (Call.read(block) for role, block in self._blocks if role == "assistant")
        return [call for call in calls if call is not None]

    @cached_property
    def results(self) -> dict[str, Result]:
        """The results by call id."""
        return {
            call_id: _result(block)
            for _, block in self._blocks
            if (call_id := text(field(block, "tool_use_id")))
            and str(field(block, "type")).endswith("tool_result")
        }

    @cached_property
    def texts(self) -> list[str]:
        """Text blocks of user messages after the response."""
        texts = (block_text(block) or _image(block) for role, block in self._blocks if role == "user")
        return [text for text in texts if text]

    @cached_property
    def system_texts(self) -> list[str]:
        """Text blocks of system messages after the response."""
        return [text for role, block in self._blocks if role == "system" and (text := block_text(block))]

    @cached_property
    def non_assistant_texts(self) -> list[str]:
        """All text blocks after the response."""
        return [text for role, block in self._blocks if role != "assistant" and (text := block_text(block))]

    @cached_property
    def unreadable(self) -> list[str]:
        """The text of messages and blocks that could not be parsed."""
        return [block for _, block in self._blocks if isinstance(block, str)]


def read_turns(messages: Sequence[Any]) -> Iterator[Turn]:
    """Yield a conversation's turns, latest first. Messages are read lazily."""
    number, end = 0, len(messages)
    current: list[Any] = []
    for position in range(end - 1, -1, -1):
        message = messages[position]
        if current and _role(current[-1]) == "assistant" and _role(message) != "assistant":
            yield Turn(number, current[::-1])
            number, current = number + 1, []
        current.append(message)
    if current:
        yield Turn(number, current[::-1])


def block_text(block: Any) -> str:
    return (text(field(block, "text")) or "") if field(block, "type") == "text" else ""


def _role(message: Any) -> Any:
    return field(message, "role")


def _blocks(message: Any) -> list[Any]:
    if isinstance(message, str):
        return [message]
    content = field(message, "content")
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return as_list(content)


def _result(block: Any) -> Result:
    is_error = field(block, "is_error")
    texts = [block_text(part) or _image(part) for part in _blocks(block)]
    return Result("\n".join(filter(None, texts)), is_error if isinstance(is_error, bool) else None)


def _image(block: Any) -> str:
    return IMAGE if text(field(block, "type")) in ("image", "document") else ""
