"""Read Anthropic's Messages API as events."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

from rules.agents import event_data
from rules.agents.known_agents import recognize
from rules.agents.model_apis.conversation import Conversation, tool_intent
from rules.agents.model_apis.turns import Call, block_text
from rules.agents.unknown_agent import has_tools
from rules.events.envelopes import as_list, field, integer, text
from rules.events.recorded_events import RecordedEvent, ResponseUsage
from rules.metrics.usage import MAX_PROBE_TOKENS


class Request:
    """A Messages API request, read lazily.

    headers -- with lowercase names
    body -- the parsed body; its arrays can parse their elements lazily
    """

    def __init__(self, headers: Mapping[str, str], body: Mapping[str, Any]):
        self._body = body
        self._known_agent = recognize(headers)
        self.agent = self._known_agent.identify(headers, body)
        self.has_tools = has_tools(body)
        self.conversation = Conversation(body, self._known_agent, self.agent.agent_id)

    @cached_property
    def is_side_call(self) -> bool:
        """True if the agent makes the call for itself. Only its usage and a preview are recorded."""
        is_short = integer(self._body.get("max_tokens"), range(MAX_PROBE_TOKENS + 1)) is not None
        if is_short and not self.has_tools:
            return True
        return self._known_agent.is_side_call(self._body, self._latest_texts)

    @property
    def is_opening(self) -> bool:
        """True if the conversation has no response yet."""
        latest = self.conversation.turn(0)
        return latest is None or latest.is_opening

    @property
    def preview(self) -> str:
        """The start of the text that the model responds to."""
        return event_data.preview(self._latest_texts[-1]) if self._latest_texts else ""

    @property
    def _latest_texts(self) -> Sequence[str]:
        latest = self.conversation.turn(0)
        return latest.texts if latest else []

    def limit(self, has_time: Callable[[], bool]) -> None:
        """Read tool calls as generic events once `has_time` returns False."""
        self.conversation.has_time = has_time

    @property
    def is_limited(self) -> bool:
        """True if calls became generic events because of the length of the others."""
        return self.conversation.is_limited

    def turns(self) -> Iterator[list[RecordedEvent]]:
        """Yield each turn's events in order, latest turn first.

        A turn is a response and everything up to the next response: its text and tool intents, then tool outcomes
        and prompts. The caller stops at the first turn that is already stored.
        """
        for turn in self.conversation.turns():
            if turn.number == 0 and turn.is_opening and self.is_side_call:
                return
            if events := self.conversation.events(turn):
                yield events


read_request = Request


class Response:
    """Accumulates a response from a stream or a single document."""

    def __init__(self) -> None:
        self._id: str | None = None
        self._model: str | None = None
        self._blocks: dict[int, dict[str, Any]] = {}
        self._parts: dict[tuple[int, str], list[str]] = {}
        self.is_complete = False

    def add(self, part: Any) -> None:
        """Add the data of one stream event, or the whole document."""
        kind = text(field(part, "type"))
        if kind == "message_start":
            self._identify(field(part, "message"))
        elif kind == "content_block_start":
            self._start_block(integer(field(part, "index")), field(part, "content_block"))
        elif kind == "content_block_delta":
            self._add_delta(integer(field(part, "index")), field(part, "delta"))
        elif kind == "message_stop":
            self.is_complete = True
        elif kind == "message":
            self._read_document(part)

    def events(self, request: Request, usage: ResponseUsage) -> list[RecordedEvent]:
        """Return the response with its usage, and an intent for each tool call."""
        if self._id is None and not self._blocks and not usage.counts:
            return []
        if request.is_side_call:
            return [self._usage(request, usage)]
        calls = [call for block in self._in_order() if (call := Call.read(block)) is not None]
        is_subagent = bool(request.agent.agent_id)
        response = self._usage(request, usage) if is_subagent else self._answer(request, usage, calls)
        return [response, *(tool_intent(call, request.agent.agent_id) for call in calls)]

    def _usage(self, request: Request, usage: ResponseUsage) -> RecordedEvent:
        identity = self._id or usage.request_id or request.conversation.response_identity(-1, self._text())
        data = self._usage_fields(usage) | {"sidechain": True}
        if usage.counts.get("output", 0) > MAX_PROBE_TOKENS:
            # A call that looks like a title or a summary could be the user's conversation.
            data |= {"requestPreview": request.preview, "responsePreview": event_data.preview(self._text())}
        return RecordedEvent("subagent_usage", data, identity, agent_id=request.agent.agent_id)

    def _answer(self, request: Request, usage: ResponseUsage, calls: Sequence[Call]) -> RecordedEvent:
        answer, data = self._text(), self._usage_fields(usage)
        if answer:
            data["lastAssistantMessage"] = answer
        identity = self._id or usage.request_id
        if calls:
            identity = calls[0].id
        elif identity is None or (self.is_complete and answer.strip()):
            identity = request.conversation.response_identity(-1, answer)
        return RecordedEvent("ai_response", data, identity)

    def _usage_fields(self, usage: ResponseUsage) -> dict[str, Any]:
        return {**({"model": self._model} if self._model else {}), **event_data.usage_fields(usage)}

    def _text(self) -> str:
        return "".join(map(block_text, self._in_order()))

    def _in_order(self) -> Iterator[dict[str, Any]]:
        for index in sorted(self._blocks):
            yield self._blocks[index] | self._streamed_fields(index)

    def _streamed_fields(self, index: int) -> dict[str, Any]:
        """Return the fields that were streamed in parts."""
        fields: dict[str, Any] = {}
        if parts := self._parts.get((index, "text")):
            fields["text"] = "".join([block_text(self._blocks[index]), *parts])
        if parts := self._parts.get((index, "partial_json")):
            fields["input"] = event_data.parse_arguments("".join(parts))
        return fields

    def _identify(self, message: Any) -> None:
        self._id = text(field(message, "id")) or self._id
        self._model = text(field(message, "model")) or self._model

    def _start_block(self, index: int | None, block: Any) -> None:
        if index is not None and isinstance(block, dict):
            self._blocks[index] = block

    def _add_delta(self, index: int | None, delta: Any) -> None:
        for name in ("text", "partial_json"):
            value = text(field(delta, name))
            if index in self._blocks and index is not None and value:
                self._parts.setdefault((index, name), []).append(value)

    def _read_document(self, message: Any) -> None:
        self._identify(message)
        for index, block in enumerate(as_list(field(message, "content"))):
            self._start_block(index, block)
        self.is_complete = True
