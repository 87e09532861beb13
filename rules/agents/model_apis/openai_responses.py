"""Read OpenAI's Responses API as events, by translating it to Anthropic's Messages."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rules.agents import event_data
from rules.agents.codex.user_messages import COMPACTED
from rules.agents.model_apis import anthropic_messages
from rules.agents.model_apis.anthropic_messages import Request
from rules.agents.model_apis.texts import Text, message_texts
from rules.agents.model_apis.translation import JsonObject, TranslatedMessages, content_blocks, messages_body
from rules.agents.unknown_agent import sequence
from rules.agents.values import digest
from rules.events.envelopes import as_list, field, integer, text

_ROLES = {"user": "user", "assistant": "assistant"}
_COMPACTIONS = frozenset({"compaction", "compaction_summary", "context_compaction"})
# Types of tools that the agent runs. The provider runs all others.
_CLIENT_TOOLS = frozenset(
    {"function", "custom", "namespace", "local_shell", "shell", "apply_patch", "tool_search"}
)
# Fields that can contain a call's input if `arguments` and `input` are missing.
_INPUTS = ("action", "operation", "queries", "code")
# One of the first items can define the tools instead of the request.
_OPENING_ITEMS = 3
# Offset between the block indexes of two items, larger than any item's block count.
_BLOCKS_PER_ITEM = 1000


def read_request(headers: Mapping[str, str], body: Mapping[str, Any]) -> Request:
    """Read a request lazily."""
    prompt = body.get("input")
    items = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else sequence(body, "input")
    messages = TranslatedMessages(items, _message)
    instructions, max_tokens = body.get("instructions"), body.get("max_output_tokens")
    translated = messages_body(messages, instructions, _has_tools(body, items), max_tokens)
    return Request(headers, translated, body, "input", items)


class Response(anthropic_messages.Response):
    """Accumulates a response from a stream or a single document."""

    def __init__(self) -> None:
        super().__init__()
        self._items: dict[int, Any] = {}
        self._deltas: dict[tuple[int | None, str], list[str]] = {}

    def add(self, part: Any) -> None:
        kind = text(field(part, "type"))
        if kind == "response.output_item.done":
            self._add_item(integer(field(part, "output_index")), field(part, "item"))
        elif kind is not None and kind.endswith(".delta"):
            self._add_delta_of(kind, integer(field(part, "output_index")), field(part, "delta"))
        elif kind in ("response.completed", "response.incomplete", "response.failed"):
            self._read_response(field(part, "response"))
        elif kind == "response.created":
            self._identify(field(part, "response"))
        elif field(part, "object") == "response":
            self._read_response(part)

    def texts(self) -> Iterator[Text]:
        for number in sorted(self._items):
            yield from message_texts(self._items[number])
        for (index, kind), parts in self._deltas.items():
            if index not in self._items:
                yield Text("assistant", kind.removeprefix("response.").removesuffix(".delta"), "".join(parts))

    def _add_item(self, index: int | None, item: Any) -> None:
        if index is None:  # Codex accepts items without an index.
            index = max(self._items, default=-1) + 1
        self._items[index] = item
        self._parts.pop((index * _BLOCKS_PER_ITEM, "text"), None)
        for number, block in enumerate(_message(item)["content"][:_BLOCKS_PER_ITEM]):
            self._start_block(index * _BLOCKS_PER_ITEM + number, block)

    def _add_delta_of(self, kind: str, index: int | None, delta: Any) -> None:
        """Append a part of an item, which the complete item replaces later."""
        if isinstance(delta, str):
            self._deltas.setdefault((index, kind), []).append(delta)
        if kind == "response.output_text.delta" and index is not None and isinstance(delta, str):
            self._blocks.setdefault(index * _BLOCKS_PER_ITEM, {"type": "text", "text": ""})
            self._parts.setdefault((index * _BLOCKS_PER_ITEM, "text"), []).append(delta)

    def _read_response(self, response: Any) -> None:
        self._identify(response)
        for index, item in enumerate(as_list(field(response, "output"))):
            self._add_item(index, item)
        self.is_complete = True


def _message(item: Any) -> JsonObject:
    """Translate an item. The message is empty for items other than text and calls."""
    kind = text(field(item, "type")) or "message"
    if kind == "message":
        role = _ROLES.get(str(field(item, "role")), "system")
        return {"role": role, "content": content_blocks(field(item, "content"))}
    if kind in _COMPACTIONS:
        summary = digest(text(field(item, "encrypted_content")) or "")
        return {"role": "user", "content": content_blocks(COMPACTED + summary)}
    if kind.endswith("_output"):
        return {"role": "user", "content": [_result(field(item, "call_id"), field(item, "output"))]}
    if kind == "reasoning":
        return {"role": "assistant", "content": []}
    if kind.endswith("_call"):
        return {"role": "assistant", "content": list(_call(kind, item))}
    return {"role": "system", "content": []}


def _result(call_id: Any, output: Any) -> JsonObject:
    return {"type": "tool_result", "tool_use_id": call_id, "content": content_blocks(output)}


def _call(kind: str, item: Any) -> Iterator[JsonObject]:
    """Yield a call, and the result it includes if the provider ran the tool."""
    call_id = text(field(item, "call_id"))
    yield {
        "type": "tool_use",
        "id": call_id or field(item, "id"),
        "name": _name(kind, item),
        "input": _input(item),
    }
    if call_id is None:
        yield _result(field(item, "id"), text(field(item, "output")) or "")


def _name(kind: str, item: Any) -> str:
    name, namespace = text(field(item, "name")), text(field(item, "namespace")) or ""
    if kind == "mcp_call":
        return f"mcp__{text(field(item, 'server_label')) or ''}__{name or ''}"
    if name and namespace.startswith("mcp__"):
        return f"{namespace.rstrip('_')}__{name}"
    return name or kind.removesuffix("_call")


def _input(item: Any) -> Any:
    arguments = field(item, "arguments")
    if isinstance(arguments, str):
        return event_data.parse_arguments(arguments)
    if arguments is None:
        arguments = field(item, "input")
    if arguments is None:
        return next(filter(None, (field(item, name) for name in _INPUTS)), {})
    return arguments


def _has_tools(body: Mapping[str, Any], items: Sequence[Any]) -> bool:
    """Return whether the request or one of its first items defines tools that the agent runs."""
    types = (text(field(tool, "type")) for tool in sequence(body, "tools"))
    return any(kind in _CLIENT_TOOLS for kind in types) or any(
        field(item, "type") == "additional_tools" for item in items[:_OPENING_ITEMS]
    )
