"""The turns of a conversation in Anthropic's Messages API."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any, NamedTuple

from rules.events.envelopes import field, text

# The last two run at the provider; their results are in the response itself.
_CALL_TYPES = frozenset({"tool_use", "server_tool_use", "mcp_tool_use"})
IMAGE = "[image]"


class Call(NamedTuple):
    """A tool call in a response."""

    id: str
    name: str
    arguments: Any

    @classmethod
    def read(cls, block: Any) -> "Call | None":
        """The call in a content block; None if the block is something else."""
        call_id, name = text(field(block, "id")), text(field(block, "name"))
        if text(field(block, "type")) not in _CALL_TYPES or not call_id or name is None:
            return None
        return cls(call_id, name, field(block, "input"))


class Result(NamedTuple):
    """The result of a tool call, as the model sees it."""

    text: str
    is_error: bool | None


class Turn:
    """A response, with the results and texts that follow it. The first turn of a conversation has no response.

    number -- turns are counted from the latest
    """

    def __init__(self, number: int, messages: Sequence[Any]):
        self.number = number
        self._blocks = [(text(field(each, "role")), block) for each in messages for block in _blocks(each)]
        self.is_opening = not any(field(each, "role") == "assistant" for each in messages)

    @cached_property
    def response(self) -> str:
        """The text of the response."""
        return "".join(block_text(block) for role, block in self._blocks if role == "assistant")

    @cached_property
    def calls(self) -> list[Call]:
        calls = (Call.read(block) for role, block in self._blocks if role == "assistant")
        return [call for call in calls if call is not None]

    @cached_property
    def results(self) -> dict[str, Result]:
        """The results by the id of their call."""
        return {
            call_id: _result(block)
            for _, block in self._blocks
            if (call_id := text(field(block, "tool_use_id")))
            and str(field(block, "type")).endswith("tool_result")
        }

    @cached_property
    def texts(self) -> list[str]:
        """The texts of the user's messages after the response."""
        texts = (block_text(block) or _image(block) for role, block in self._blocks if role == "user")
        return [each for each in texts if each]

    @cached_property
    def system_texts(self) -> list[str]:
        """The texts of the system's messages after the response."""
        return [each for role, block in self._blocks if role == "system" and (each := block_text(block))]

    @cached_property
    def added_texts(self) -> list[str]:
        """All texts after the response."""
        return [each for role, block in self._blocks if role != "assistant" and (each := block_text(block))]


def turns_of(messages: Sequence[Any]) -> Iterator[Turn]:
    """The turns of a conversation, latest first. Messages are read lazily."""
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
    content = field(message, "content")
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return content if isinstance(content, list) else []


def _result(block: Any) -> Result:
    content, is_error = field(block, "content"), field(block, "is_error")
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
    texts = [block_text(each) or _image(each) for each in blocks] if isinstance(blocks, list) else []
    return Result("\n".join(each for each in texts if each), is_error if isinstance(is_error, bool) else None)


def _image(block: Any) -> str:
    return IMAGE if text(field(block, "type")) in ("image", "document") else ""
