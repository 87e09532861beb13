"""Translate OpenAI's requests to Anthropic's Messages."""

from collections.abc import Callable, Sequence
from typing import Any

from rules.agents.model_apis.turns import IMAGE
from rules.events.envelopes import field, text

JsonObject = dict[str, Any]
_TEXT_TYPES = frozenset({"text", "input_text", "output_text", "refusal"})


class TranslatedMessages(Sequence[Any]):
    """A conversation's messages, translated lazily. Messages that could not be parsed are their text."""

    def __init__(self, elements: Sequence[Any], translate: Callable[[Any], JsonObject]):
        self._elements = elements
        self._translate = translate

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        element = self._elements[index]
        return element if isinstance(element, str) else self._translate(element)

    def __len__(self) -> int:
        return len(self._elements)


def messages_body(
    messages: Sequence[JsonObject], instructions: Any, has_tools: bool, max_tokens: Any
) -> dict[str, Any]:
    """Build a Messages request body with the fields that are read."""
    return {
        "system": instructions,
        "messages": messages,
        "tools": [{"type": "custom"}] if has_tools else [],
        "max_tokens": max_tokens,
    }


def content_blocks(content: Any) -> list[JsonObject]:
    """Convert a message's content, a string or a list of parts, to blocks."""
    parts = content if isinstance(content, list) else [{"type": "text", "text": content}]
    return [block for part in parts if (block := _block(part)) is not None]


def _block(part: Any) -> JsonObject | None:
    if isinstance(part, str):
        return {"type": "text", "text": part}
    kind = text(field(part, "type"))
    if kind in _TEXT_TYPES:
        content = text(field(part, "text")) or text(field(part, "refusal"))
        return {"type": "text", "text": content} if content else None
    return {"type": "text", "text": IMAGE} if "image" in (kind or "") else None
