"""Check a model request, and remove the provider's hosted tools that the assessment does not allow (R42)."""

import re
from collections.abc import Iterator
from operator import attrgetter
from typing import Any, NamedTuple

from proxy.endpoints import Endpoint
from proxy.errors import (
    BackgroundRejected,
    HostedToolRejected,
    RemoteInputRejected,
    StoredStateRejected,
    SurchargeRejected,
)
from proxy.json_text import Value, document
from proxy.request_body import RequestBody
from rules.events.envelopes import label
from rules.hosted_tools import rejected_tool
from rules.metrics.usage import MAX_OUTPUT_TOKENS
from web.json import NOT_AN_OBJECT, NotJson

_MAX_OUTPUT_MEMBERS = {
    "messages": ("max_tokens",),
    "responses": ("max_output_tokens",),
    "chat_completions": ("max_completion_tokens", "max_tokens"),
}
# References to data that the provider stores. All candidates share one account, so it may be another candidate's.
_STORED_STATE = {
    "messages": ("container",),
    "responses": ("previous_response_id", "conversation"),
    "chat_completions": (),
}
_OPENAI_TIERS = (None, "auto", "default", "flex")
# The values of these fields that cost no more than the listed prices.
_STANDARD_VALUES: dict[str, dict[str, tuple]] = {
    "messages": {
        "service_tier": (None, "auto", "standard_only"),
        "speed": (None, "standard"),
        "inference_geo": (None, "global"),
    },
    "responses": {"service_tier": _OPENAI_TIERS},
    "chat_completions": {"service_tier": _OPENAI_TIERS, "modalities": (None, ["text"]), "audio": (None,)},
}
# The fields with the conversation and the instructions.
_INPUT = {"messages": ("messages", "system"), "responses": ("input",), "chat_completions": ("messages",)}
# Fields with content. Files are at most this deep: in a block of a document that a tool has returned.
_CONTENT, MAX_CONTENT_LEVELS = {"content", "output", "source", "file"}, 5
# What a request can ask for at most, if `n` cannot be read.
MAX_CHOICES = 128
# These models search the web with every call.
_SEARCH_MODEL = re.compile(r"-search(-|$)", re.IGNORECASE)


class ModelRequest(NamedTuple):
    """The limits of a call, as its request states them.

    fields, elements -- of the body, and of its fields with the conversation
    """

    model: str | None
    body_bytes: int
    max_output_tokens: int
    is_stream: bool
    fields: dict[str, Value]
    elements: dict[str, list[Value]]


class Tool(NamedTuple):
    """A tool that is not forwarded: the hosted tool (rules/hosted_tools.py), and its name in the request."""

    hosted: str
    name: str | None


class ToolFilter:
    """Collects the tools of a request that are not forwarded, and the parts to cut out of the body."""

    def __init__(self, provider: str, allowed: list[str]):
        self._provider = provider
        self._allowed = allowed
        self.removed: list[Tool] = []
        self.cuts: list[Value] = []
        self.has_others = False

    def add(self, tools: Value, *, is_nested: bool = False) -> None:
        """Filter a list of tools. Codex nests tools in namespaces."""
        elements, removed = tools.elements(), set()
        for number, tool in enumerate(elements):
            fields = tool.fields()
            if hosted := rejected_tool(self._provider, _parsed(fields, "type"), self._allowed):
                removed.add(number)
                self.removed.append(Tool(hosted, label(_parsed(fields, "name"))))
            elif "tools" not in fields:
                self.has_others = True
            elif is_nested:
                raise NotJson("The tools in the body are nested too deeply.")
            else:
                self.add(fields["tools"], is_nested=True)
        self.cuts += _cuts(elements, removed)

    def reject_if_required(self, choice: Any) -> None:
        """Reject a call that needs a removed tool: `tool_choice` requires it, or there is no other tool."""
        for each in _choices(choice):
            hosted = self._removed_choice(each)
            if hosted is not None:
                raise HostedToolRejected(hosted)
        if not self.has_others:
            raise HostedToolRejected(self.removed[0].hosted)

    def _removed_choice(self, choice: dict[str, Any]) -> str | None:
        if self._provider == "openai":
            return rejected_tool("openai", choice.get("type"), self._allowed)
        return next((tool.hosted for tool in self.removed if tool.name == choice.get("name")), None)


def read_request(endpoint: Endpoint, body: RequestBody, allowed: list[str]) -> ModelRequest:
    """Check the request, and cut hosted tools that are not allowed out of the body, which is its only change.

    Raises NotJson, TooManyValues, BackgroundRejected, StoredStateRejected, SurchargeRejected, RemoteInputRejected or
    HostedToolRejected.

    allowed -- names in rules/hosted_tools.py
    """
    dialect, top = endpoint.dialect, _fields(body)
    _reject_unsupported(dialect, top, allowed)
    tools = ToolFilter(endpoint.provider, allowed)
    if "tools" in top:
        tools.add(top["tools"])
    elements = {name: top[name].elements() for name in _INPUT[dialect] if name in top}
    for name, items in elements.items():
        _read_input(items or [top[name]], tools, dialect)
    model, max_output_tokens = label(_parsed(top, "model")), _max_output_tokens(dialect, top)
    if dialect == "chat_completions":
        _reject_search(model, top, allowed)
    is_stream = _parsed(top, "stream") is True
    if tools.removed:
        tools.reject_if_required(_parsed(top, "tool_choice"))
        body.cut(sorted(tools.cuts, key=attrgetter("start")))
    return ModelRequest(model, body.size, max_output_tokens, is_stream, top, elements)


def _fields(body: RequestBody) -> dict[str, Value]:
    if not body.size:
        raise NotJson()
    whole = document(body.text())
    if not whole.starts_with(b"{"):
        raise NotJson(NOT_AN_OBJECT)
    return whole.fields()


def _parsed(fields: dict[str, Value], name: str) -> Any:
    return fields[name].parse() if name in fields else None


def _max_output_tokens(dialect: str, top: dict[str, Value]) -> int:
    """The maximum of each choice, times their number."""
    numbers = [_parsed(top, name) for name in _MAX_OUTPUT_MEMBERS[dialect]]
    maximum = max((n for n in numbers if type(n) is int and n >= 0), default=MAX_OUTPUT_TOKENS)
    choices = _parsed(top, "n") if dialect == "chat_completions" else None
    if choices is None:
        return maximum
    is_valid = type(choices) is int and 1 <= choices <= MAX_CHOICES
    return maximum * (choices if is_valid else MAX_CHOICES)


def _reject_search(model: str | None, top: dict[str, Value], allowed: list[str]) -> None:
    """Reject a web search that a field or the model asks for instead of a tool. Raises HostedToolRejected."""
    searches = _is_set(top.get("web_search_options")) or (model and _SEARCH_MODEL.search(model))
    if searches and "web_search" not in allowed:
        raise HostedToolRejected("web_search")


def _reject_unsupported(dialect: str, top: dict[str, Value], allowed: list[str]) -> None:
    if _is_set(top.get("background")):
        raise BackgroundRejected()
    has_template = "prompt" in top and top["prompt"].starts_with(b"{")
    if has_template or any(_is_set(top.get(name)) for name in _STORED_STATE[dialect]):
        raise StoredStateRejected()
    for name, standard in _STANDARD_VALUES[dialect].items():
        if _parsed(top, name) not in standard:
            raise SurchargeRejected(name)
    if _is_set(top.get("mcp_servers")) and "mcp" not in allowed:
        raise HostedToolRejected("mcp")


def _is_set(value: Value | None) -> bool:
    return value is not None and value.text[value.start : value.end] not in (b"null", b"false", b"[]")


def _read_input(items: list[Value], tools: ToolFilter, dialect: str) -> None:
    """Check a conversation with Codex's tools. Raises StoredStateRejected or RemoteInputRejected."""
    for item in items:
        fields = item.fields()
        if dialect == "responses":
            kind, role = _parsed(fields, "type"), label(_parsed(fields, "role"))
            if kind == "item_reference" or (kind is None and "id" in fields and not role):
                raise StoredStateRejected()
            if "tools" in fields:
                tools.add(fields["tools"])
        if dialect == "chat_completions" and _is_set(fields.get("audio")):
            raise StoredStateRejected()
        _reject_files(fields)


def _reject_files(
    fields: dict[str, Value], levels: int = MAX_CONTENT_LEVELS, *, is_source: bool = False
) -> None:
    """Reject content that the provider stores or loads. Raises StoredStateRejected or RemoteInputRejected."""
    if _is_set(fields.get("file_id")):
        raise StoredStateRejected()
    if _is_set(fields.get("file_url")):
        raise RemoteInputRejected("file_url")
    if _is_set(fields.get("image_url")) and not _is_data_url(fields["image_url"]):
        raise RemoteInputRejected("image_url")
    if is_source and _is_set(fields.get("url")):
        raise RemoteInputRejected("source.url")
    for name in _CONTENT & fields.keys() if levels else ():
        for part in fields[name].elements() or [fields[name]]:
            _reject_files(part.fields(), levels - 1, is_source=name == "source")


def _is_data_url(image: Value) -> bool:
    """Return whether an image is in the request. Chat Completions wrap its URL in an object."""
    return image.fields().get("url", image).starts_with(b'"data:')


def _cuts(elements: list[Value], removed: set[int]) -> Iterator[Value]:
    """The parts to cut out of a list: each removed element with the comma before it, or after it at the start."""
    if removed and len(removed) == len(elements):
        yield Value(elements[0].text, elements[0].start, elements[-1].end)
        return
    is_start = True
    for number, element in enumerate(elements):
        is_start = is_start and number in removed
        if is_start:
            yield Value(element.text, element.start, elements[number + 1].start)
        elif number in removed:
            yield Value(element.text, elements[number - 1].end, element.end)


def _choices(choice: Any) -> list[dict[str, Any]]:
    """The tools that `tool_choice` names; none for "auto" and the like."""
    named = [choice]
    if isinstance(choice, dict) and choice.get("type") == "allowed_tools":
        named = choice["tools"] if isinstance(choice.get("tools"), list) else []
    return [each for each in named if isinstance(each, dict)]
