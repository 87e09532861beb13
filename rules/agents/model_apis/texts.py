"""List the texts that a model received or generated: all strings of a request or response (R46)."""

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from typing import Any, NamedTuple

from rules.agents.event_data import parse_arguments, raw_text
from rules.agents.values import digest
from rules.events.envelopes import field, label, text
from rules.events.recorded_events import CONTEXT, RecordedEvent, read_truncation
from rules.plain_text import collapse_whitespace

# Parameters whose strings the model does not see, or that accept only the provider's names.
PARAMETERS = frozenset(
    {
        *("betas", "frequency_penalty", "function_call", "include", "inference_geo", "logit_bias"),
        *("logprobs", "max_completion_tokens", "max_output_tokens", "max_tokens", "max_tool_calls"),
        *("metadata", "modalities", "model", "n", "parallel_tool_calls", "presence_penalty"),
        *("prompt_cache_key", "prompt_cache_retention", "reasoning", "reasoning_effort"),
        *("safety_identifier", "seed", "service_tier", "speed", "store", "stream", "stream_options"),
        *("temperature", "thinking", "tool_choice", "top_k", "top_logprobs", "top_p", "truncation"),
        *("user", "verbosity"),
    }
)
# Fields with ids, and without text.
_NOT_TEXT = frozenset({"id", "call_id", "tool_call_id", "tool_use_id", "cache_control", "signature"})
# Fields with data that only the provider can read, by its signature.
_OPAQUE = frozenset({"encrypted_content", "encrypted_index"})
_IMAGES = frozenset({"image_url", "url"})
# Fields that contain blocks. The fields of all others, such as a call's arguments, are kept as they are.
_BLOCKS = frozenset({"citations", "content", "file", "function", "image_url", "output", "source", "summary"})
_MAX_DEPTH = 32
# Fields of a call that its `tool_intent` contains.
_INTENT = frozenset({"name", "namespace", "server_label", "input", "action", "operation", "queries", "code"})
_ROLES = frozenset({"user", "assistant", "system", "developer", "tool"})
_REMINDER = re.compile(r"(<system-reminder>.*?(?:</system-reminder>|\Z))", re.S)
# A shorter string is not cut from a longer text that contains it.
_MIN_CUT_CHARACTERS = 200
CALL, ARGUMENTS, TEXT = "tool_use", "arguments", "text"


class Text(NamedTuple):
    """A text, or a block that contains texts.

    role -- the role of the message, or `tool` for a tool's result
    type -- `text`, CALL, `reminder`, or the type of the block or parameter
    value -- a string or JSON
    call_id -- only for a call
    """

    role: str
    type: str
    value: Any
    call_id: str | None = None

    @property
    def key(self) -> str:
        """The hash of role and text. Whitespace and the order of fields can differ when a tool repeats the text."""
        content = self.value if isinstance(self.value, str) else " ".join(_leaves(self.value))
        return digest(self.role, collapse_whitespace(content))

    @property
    def keys(self) -> set[str]:
        return {self.key} if self.call_id is None else {self.key, digest("call", self.call_id)}

    @property
    def beyond_intent(self) -> "Text | None":
        """The fields of a call that its `tool_intent` does not contain, or None."""
        rest = {name: child for name, child in self.value.items() if name not in _INTENT}
        return self._replace(value=rest) if _has_text(rest) else None

    def event(self, content: str, new_keys: Set[str], *, is_history: bool = False) -> RecordedEvent:
        """Build the text's event. Agents can change the arguments of a known call.

        content -- the text, or the part of it that no other event contains
        new_keys -- the keys that are not stored yet
        """
        has_changed = self.call_id is not None and new_keys == {self.key}
        data: dict[str, Any] = {"role": self.role, "type": ARGUMENTS if has_changed else self.type}
        data |= {"text": content} | ({} if self.call_id is None else {"callId": self.call_id})
        return RecordedEvent(CONTEXT, data | ({"fromHistory": True} if is_history else {}), self.key)

    def without(self, strings: Sequence[str], has_time: Callable[[], bool] = lambda: True) -> str:
        """Return the text without the strings that other events contain.

        has_time -- once this returns False, the rest of the text is kept as it is
        """
        content = raw_text(self.value).strip()
        if any(content in string for string in strings):
            return ""
        for string in sorted(map(str.strip, strings), key=len, reverse=True):
            if len(string) >= _MIN_CUT_CHARACTERS and has_time():
                content = content.replace(string, "", 1)
        return content.strip()


def parameter_texts(body: Mapping[str, Any], conversation: str) -> Iterator[Text]:
    """Yield the texts of all parameters except the conversation."""
    for name in body:
        if name != conversation and name not in PARAMETERS:
            kind = TEXT if name in ("system", "instructions") else name.removesuffix("s")
            for element in _elements(body[name]):
                yield from part_texts("system", element, kind)


def message_texts(message: Any) -> Iterator[Text]:
    """Yield the texts of a message, or of an item in OpenAI's Responses API."""
    if not isinstance(message, dict):
        yield Text("unknown", "unreadable", raw_text(message))
        return
    kind = label(message.get("type")) or "message"
    role = _role(message, kind)
    if kind.endswith("_call"):
        yield _call(message)
        return
    content = "output" if kind.endswith("_output") else "content"
    if kind == "message" or content == "output":
        for part in _elements(message.get(content)):
            yield from part_texts(role, part, TEXT)
        for call in _elements(message.get("tool_calls")):
            yield _call(call)
        message = {name: message[name] for name in message.keys() - {content, "tool_calls"}}
    yield from part_texts(role, {**message, "role": None}, kind)


def _role(message: dict[str, Any], kind: str) -> str:
    role = label(message.get("role"))
    if role == "function" or kind.endswith("_output"):
        return "tool"
    if role in _ROLES:
        return role
    return "assistant" if kind == "reasoning" or kind.endswith("_call") else "unknown"


def part_texts(role: str, part: Any, kind: str) -> Iterator[Text]:
    """Yield the texts of a part of a message.

    kind -- the type of a part that does not name its type
    """
    if isinstance(part, str):
        yield from _split_reminders(role, part, kind)
        return
    if kind == TEXT:
        kind = label(field(part, "type")) or kind
    if kind.endswith("tool_use"):
        yield _call(part)
        return
    if kind == "tool_result" and isinstance(part, dict):
        for content in _elements(part.get("content")):
            yield from part_texts("tool", content, TEXT)
        role, part = "tool", {**part, "content": None}
    value = _copy_block(part)
    if isinstance(value, dict):
        value.pop("type", None)
        for name in ("text", "refusal"):
            if isinstance(value.get(name), str):
                yield from _split_reminders(role, value.pop(name), TEXT)
        if len(value) == 1 and all(isinstance(single, str) for single in value.values()):
            (value,) = value.values()
    if _has_text(value):
        yield Text(role, kind, value)


def _split_reminders(role: str, content: str, kind: str) -> Iterator[Text]:
    """Yield a text, and separately the reminders that a tool adds to it."""
    pieces = [content] if role == "assistant" else _REMINDER.split(content)
    for is_reminder, piece in ((False, "".join(pieces[::2])), *((True, piece) for piece in pieces[1::2])):
        if piece.strip():
            yield Text(role, "reminder" if is_reminder else kind, piece)


def _call(call: Any) -> Text:
    """Return a call. A tool can format the JSON of its arguments differently when it sends it again."""
    call_id = next((name for key in ("call_id", "id") if (name := text(field(call, key)))), None)
    value = _copy_block(call)
    if not isinstance(value, dict):
        return Text("assistant", CALL, value, call_id)
    for wrapper in ("function", "custom"):
        if isinstance(content := value.get(wrapper), dict):
            value = value | {wrapper: None} | content
    if isinstance(arguments := value.pop("arguments", None), str):
        arguments = _flatten_deep(parse_arguments(arguments))
    fields = {"name": None, "input": arguments} | value
    parts = {name: child for name, child in fields.items() if child and name not in ("type", "status")}
    return Text("assistant", CALL, parts, call_id)


def _elements(value: Any) -> Sequence[Any]:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return value
    return [] if value is None else [value]


def _copy_block(value: Any, depth: int = _MAX_DEPTH) -> Any:
    """Copy a block without ids and empty fields. Images are replaced by their hash and size."""
    if isinstance(value, list) and depth > 0:
        return [_copy_block(child, depth - 1) for child in value]
    if not isinstance(value, dict) or depth <= 0:
        return _flatten_deep(value)
    copy = {}
    for name, child in value.items():
        if name in _NOT_TEXT or child in (None, "", [], {}):
            continue
        if isinstance(child, str):
            copy[name] = _hash(child) if _is_opaque(name, child, value) else child
        else:
            copy[name] = _copy_block(child, depth - 1) if name in _BLOCKS else _flatten_deep(child)
    return copy


def _is_opaque(name: str, content: str, block: dict[str, Any]) -> bool:
    """Return whether a block's field is an image, or data that only the provider can read."""
    if name == "result":
        return block.get("type") == "image_generation_call"
    if name == "data":
        return block.get("type") == "redacted_thinking" or str(block.get("media_type")).startswith("image/")
    return name in _OPAQUE or (name in _IMAGES and content.startswith("data:image/"))


def _flatten_deep(value: Any, depth: int = _MAX_DEPTH) -> Any:
    """Copy a value. What is nested too deeply to serialize becomes one string."""
    if isinstance(value, dict | list) and not depth:
        return " ".join(_leaves(value))
    if isinstance(value, dict):
        return {name: _flatten_deep(child, depth - 1) for name, child in value.items()}
    if isinstance(value, list):
        return [_flatten_deep(child, depth - 1) for child in value]
    return value


def _hash(content: str) -> dict[str, Any]:
    if known := read_truncation(content):
        return dict(zip(("sha256", "bytes"), known, strict=True))
    encoded = content.encode("utf-8", "surrogatepass")
    return {"sha256": hashlib.sha256(encoded).hexdigest(), "bytes": len(encoded)}


def _has_text(value: Any) -> bool:
    """Return whether a block contains text, for example as names in a schema."""
    if isinstance(value, dict):
        children = (child for name, child in value.items() if name != "type")
        return any((isinstance(child, dict) and child) or _has_text(child) for child in children)
    if isinstance(value, list):
        return any(map(_has_text, value))
    return isinstance(value, str) and bool(value.strip())


def _leaves(value: Any) -> list[str]:
    """Return all strings of a value, and its numbers, in an order that does not depend on the order of fields."""
    leaves, rest = [], [value]
    while rest:
        value = rest.pop()
        if isinstance(value, dict):
            for name in sorted(value):
                rest += [value[name], name]
        elif isinstance(value, list):
            rest += value
        else:
            leaves.append(value if isinstance(value, str) else json.dumps(value))
    return leaves
