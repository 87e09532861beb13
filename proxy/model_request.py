"""Check a model request, and remove the provider's hosted tools that the assessment does not allow (R42)."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, NamedTuple

from proxy.endpoints import Endpoint
from proxy.errors import (
    BackgroundRejected,
    ChoicesRejected,
    HostedToolRejected,
    RemoteInputRejected,
    StoredStateRejected,
    SurchargeRejected,
)
from proxy.json_text import Value, document
from proxy.request_body import RequestBody
from rules.events.envelopes import label
from rules.hosted_tools import rejected_tool
from rules.metrics.usage import MAX_OUTPUT_TOKENS, MAX_PROBE_TOKENS
from web.json import NOT_AN_OBJECT, NotJson

_MAX_OUTPUT_FIELDS = {
    "messages": ("max_tokens",),
    "responses": ("max_output_tokens",),
    "chat_completions": ("max_completion_tokens", "max_tokens"),
}
# References to data stored by the provider. Candidates share an account, so the data can belong to another candidate.
_STORED_STATE = {
    "messages": ("container",),
    "responses": ("previous_response_id", "conversation"),
    "chat_completions": (),
}
_OPENAI_TIERS = (None, "auto", "default", "flex")
# Values that do not cost more than the standard price.
_STANDARD_VALUES: dict[str, dict[str, tuple]] = {
    "messages": {
        "service_tier": (None, "auto", "standard_only"),
        "speed": (None, "standard"),
        "inference_geo": (None, "global"),
    },
    "responses": {"service_tier": _OPENAI_TIERS},
    "chat_completions": {"service_tier": _OPENAI_TIERS, "modalities": (None, ["text"]), "audio": (None,)},
}
_TOOLS = ("tools", "functions", "mcp_servers", "web_search_options")
# Fields that contain the conversation and the instructions.
_INPUT = {"messages": ("messages", "system"), "responses": ("input",), "chat_completions": ("messages",)}
# Fields with content. The most deeply nested files are in blocks of documents returned by tools.
_CONTENT, MAX_CONTENT_LEVELS = {"content", "output", "source", "file"}, 5
# Models that search the web in every call.
_SEARCH_MODEL = re.compile(r"-search(-|$)", re.IGNORECASE)


@dataclass
class Attachments:
    """Images and files in a request."""

    images: int = 0
    has_files: bool = False


class ModelRequest(NamedTuple):
    """A call's limits and its body.

    is_probe -- has no tools, and at most MAX_PROBE_TOKENS output tokens
    fields -- the fields of the body
    elements -- elements of the conversation fields, by field name
    """

    model: str | None
    body_bytes: int
    attachments: Attachments
    max_output_tokens: int
    is_stream: bool
    is_probe: bool
    fields: dict[str, Value]
    elements: dict[str, list[Value]]


class ToolFilter:
    """Collects a request's rejected tools, and the parts to cut from its body.

    rejected -- the name in rules/hosted_tools.py and the name in the request of each tool
    """

    def __init__(self, provider: str, allowed: list[str]):
        self._provider = provider
        self._allowed = allowed
        self.rejected: list[tuple[str, str | None]] = []
        self.cuts: list[Value] = []
        self._keeps_tools = False

    def add(self, tools: Value, *, is_nested: bool = False) -> None:
        """Filter a list of tools. Codex nests tools in namespaces."""
        elements, rejected_indexes = tools.elements(), set()
        for index, tool in enumerate(elements):
            fields = tool.fields()
            if hosted := rejected_tool(self._provider, _parse_field(fields, "type"), self._allowed):
                rejected_indexes.add(index)
                self.rejected.append((hosted, label(_parse_field(fields, "name"))))
            elif "tools" not in fields:
                self._keeps_tools = True
            elif is_nested:
                raise NotJson("The tools in the body are nested too deeply.")
            else:
                self.add(fields["tools"], is_nested=True)
        self.cuts += _cuts(elements, rejected_indexes)

    def reject_if_required(self, choice: Any) -> None:
        """Reject the call if `tool_choice` requires a rejected tool, or if all tools were rejected."""
        choices = [choice]
        if isinstance(choice, dict) and choice.get("type") == "allowed_tools":
            choices = choice["tools"] if isinstance(choice.get("tools"), list) else []
        for required in choices:
            if isinstance(required, dict) and (hosted := self._rejected_choice(required)):
                raise HostedToolRejected(hosted)
        if not self._keeps_tools:
            raise HostedToolRejected(self.rejected[0][0])

    def _rejected_choice(self, choice: dict[str, Any]) -> str | None:
        if self._provider == "openai":
            return rejected_tool("openai", choice.get("type"), self._allowed)
        return next((hosted for hosted, name in self.rejected if name == choice.get("name")), None)


def read_request(endpoint: Endpoint, body: RequestBody, allowed: list[str]) -> ModelRequest:
    """Check the request, and remove hosted tools that are not allowed from its body.

    Raises NotJson, TooManyValues, BackgroundRejected, ChoicesRejected, StoredStateRejected, SurchargeRejected,
    RemoteInputRejected or HostedToolRejected.

    allowed -- names in rules/hosted_tools.py
    """
    if not body.size:
        raise NotJson()
    value = document(body.text())
    if not value.starts_with(b"{"):
        raise NotJson(NOT_AN_OBJECT)
    dialect, fields = endpoint.dialect, value.fields()
    _reject_unsupported(dialect, fields, allowed)
    tools = ToolFilter(endpoint.provider, allowed)
    if "tools" in fields:
        tools.add(fields["tools"])
    attachments = Attachments()
    elements = {name: fields[name].elements() for name in _INPUT[dialect] if name in fields}
    for name, items in elements.items():
        _check_input(items or [fields[name]], tools, attachments, dialect)
    model, max_output_tokens = label(_parse_field(fields, "model")), _max_output_tokens(dialect, fields)
    if dialect == "chat_completions":
        searches_web = _is_set(fields.get("web_search_options")) or (model and _SEARCH_MODEL.search(model))
        if searches_web and "web_search" not in allowed:
            raise HostedToolRejected("web_search")
    is_stream = _parse_field(fields, "stream") is True
    has_tools = any(_is_set(fields.get(name)) for name in _TOOLS)
    is_probe = not has_tools and max_output_tokens <= MAX_PROBE_TOKENS
    if tools.rejected:
        tools.reject_if_required(_parse_field(fields, "tool_choice"))
        body.cut(sorted(tools.cuts, key=attrgetter("start")))
    limits = (model, body.size, attachments, max_output_tokens)
    return ModelRequest(*limits, is_stream, is_probe, fields, elements)


def _parse_field(fields: dict[str, Value], name: str) -> Any:
    return fields[name].parse() if name in fields else None


def _max_output_tokens(dialect: str, fields: dict[str, Value]) -> int:
    """Return the highest limit. Providers can read a number such as `4096.0`, so it does not count as a low limit."""
    limits = [name for name in _MAX_OUTPUT_FIELDS[dialect] if _is_set(fields.get(name))]
    numbers = [_parse_field(fields, name) for name in limits]
    if not all(type(number) is int and number >= 0 for number in numbers):
        return MAX_OUTPUT_TOKENS
    return max(numbers, default=MAX_OUTPUT_TOKENS)


def _reject_unsupported(dialect: str, fields: dict[str, Value], allowed: list[str]) -> None:
    if _is_set(fields.get("background")):
        raise BackgroundRejected()
    if dialect == "chat_completions" and _parse_field(fields, "n") not in (None, 1):
        raise ChoicesRejected()
    has_template = "prompt" in fields and fields["prompt"].starts_with(b"{")
    if has_template or any(_is_set(fields.get(name)) for name in _STORED_STATE[dialect]):
        raise StoredStateRejected()
    for name, standard in _STANDARD_VALUES[dialect].items():
        if _parse_field(fields, name) not in standard:
            raise SurchargeRejected(name)
    if _is_set(fields.get("mcp_servers")) and "mcp" not in allowed:
        raise HostedToolRejected("mcp")


def _is_set(value: Value | None) -> bool:
    return value is not None and value.text[value.start : value.end] not in (b"null", b"false", b"[]")


def _check_input(items: list[Value], tools: ToolFilter, attachments: Attachments, dialect: str) -> None:
    """Check a conversation, which can contain tools and attachments.

    Raises StoredStateRejected or RemoteInputRejected.
    """
    for item in items:
        fields = item.fields()
        if dialect == "responses":
            kind, role = _parse_field(fields, "type"), label(_parse_field(fields, "role"))
            if kind == "item_reference" or (kind is None and "id" in fields and not role):
                raise StoredStateRejected()
            if "tools" in fields:
                tools.add(fields["tools"])
        if dialect == "chat_completions" and _is_set(fields.get("audio")):
            raise StoredStateRejected()
        _check_attachments(fields, attachments)


def _check_attachments(
    fields: dict[str, Value],
    attachments: Attachments,
    levels: int = MAX_CONTENT_LEVELS,
    *,
    is_source: bool = False,
) -> None:
    """Count images and files, and reject references to them. Raises StoredStateRejected or RemoteInputRejected."""
    if _is_set(fields.get("file_id")):
        raise StoredStateRejected()
    if _is_set(fields.get("file_url")):
        raise RemoteInputRejected("file_url")
    if _is_set(fields.get("image_url")):
        if not _is_data_url(fields["image_url"]):
            raise RemoteInputRejected("image_url")
        attachments.images += 1
    if is_source and _is_set(fields.get("url")):
        raise RemoteInputRejected("source.url")
    if is_source and "data" in fields and _parse_field(fields, "type") != "text":
        is_image = str(_parse_field(fields, "media_type")).startswith("image/")
        attachments.images += is_image
        attachments.has_files |= not is_image
    attachments.has_files |= _is_set(fields.get("file_data"))
    for name in _CONTENT & fields.keys() if levels else ():
        for part in fields[name].elements() or [fields[name]]:
            _check_attachments(part.fields(), attachments, levels - 1, is_source=name == "source")


def _is_data_url(image: Value) -> bool:
    """Return whether the request contains the image. Chat Completions wraps its URL in an object."""
    return image.fields().get("url", image).starts_with(b'"data:')


def _cuts(elements: list[Value], rejected: set[int]) -> Iterator[Value]:
    """Yield the parts to remove from a list: each rejected element with one adjacent comma."""
    if rejected and len(rejected) == len(elements):
        yield elements[0]._replace(end=elements[-1].end)
        return
    is_start = True
    for index, element in enumerate(elements):
        is_start = is_start and index in rejected
        if is_start:
            yield element._replace(end=elements[index + 1].start)
        elif index in rejected:
            yield element._replace(start=elements[index - 1].end)
