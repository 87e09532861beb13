"""Read Anthropic's Messages API as events."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

from rules.agents import event_data
from rules.agents.known_agents import recognize
from rules.agents.model_apis.conversation import Conversation, tool_intent
from rules.agents.model_apis.texts import TEXT, Text, message_texts, parameter_texts, part_texts
from rules.agents.model_apis.turns import Call, Turn, block_text
from rules.agents.unknown_agent import has_tools, sequence
from rules.events.envelopes import as_list, field, integer, text
from rules.events.recorded_events import RecordedEvent, ResponseUsage
from rules.metrics.usage import MAX_PROBE_TOKENS


class Request:
    """A Messages API request, read lazily.

    headers -- with lowercase names
    body -- the parsed body; its arrays can parse their elements lazily
    parameters -- the body in the dialect of the request; its field `conversation` contains the messages
    messages -- the messages in the dialect of the request
    """

    def __init__(
        self,
        headers: Mapping[str, str],
        body: Mapping[str, Any],
        parameters: Mapping[str, Any] | None = None,
        conversation: str = "messages",
        messages: Sequence[Any] | None = None,
    ):
        self._body = body
        self._parameters = body if parameters is None else parameters
        self._conversation_field = conversation
        self._messages = sequence(body, "messages") if messages is None else messages
        self._known_agent = recognize(headers)
        self.agent = self._known_agent.identify(headers, body)
        self.has_tools = has_tools(body)
        self.conversation = Conversation(body, self._known_agent, self.agent.agent_id)

    @cached_property
    def is_side_call(self) -> bool:
        """True if the agent makes the call for itself. Only its usage and context are recorded."""
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

    def latest_events(self) -> list[RecordedEvent]:
        """Return the events of the latest response, and of everything after it, which is new."""
        if self._latest_turns and self._latest_turns[-1].is_opening and self.is_side_call:
            return []
        return [event for turn in reversed(self._latest_turns) for event in self.conversation.events(turn)]

    @cached_property
    def _latest_turns(self) -> list[Turn]:
        """The turns after the latest response that an agent did not insert and that has an input."""
        turns = []
        for turn in self.conversation.turns():
            turns.append(turn)
            if turn.has_input and not self.conversation.has_placeholder(turn):
                break
        return turns

    def positions(self) -> Iterator[tuple[str, int]]:
        """Yield the keys of all texts with the position of their message; -1 for parameters.

        Does not keep the messages in memory.
        """
        for parameter in parameter_texts(self._parameters, self._conversation_field):
            yield from ((key, -1) for key in parameter.keys)
        for position, message in enumerate(self._messages):
            for sent in message_texts(message):
                yield from ((key, position) for key in sent.keys)

    def texts(self, position: int) -> Iterator[tuple[Text, bool]]:
        """Yield the texts of a message or the parameters, and whether they are from the history.

        The model's messages always are.
        """
        if position < 0:
            parameters = parameter_texts(self._parameters, self._conversation_field)
            yield from ((parameter, False) for parameter in parameters)
            return
        start = len(self._messages) - sum(turn.size for turn in self._latest_turns)
        for sent in message_texts(self._messages[position]):
            is_history = position < start or sent.role == "assistant"
            yield sent, is_history and not self.conversation.is_placeholder(sent.value)


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

    def texts(self) -> Iterator[Text]:
        """Yield the texts of all blocks."""
        for block in self._in_order():
            yield from part_texts("assistant", block, TEXT)

    def _usage(self, request: Request, usage: ResponseUsage) -> RecordedEvent:
        identity = self._id or usage.request_id or request.conversation.response_identity(-1, self._text())
        data = self._usage_fields(usage) | {"sidechain": True}
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
        for (number, name), parts in self._parts.items():
            if number == index and name == "partial_json":
                fields["input"] = event_data.parse_arguments("".join(parts))
            elif number == index and name == "citation":
                citations = as_list(self._blocks[index].get("citations"))
                fields["citations"] = [*citations, *map(event_data.parse_arguments, parts)]
            elif number == index:
                fields[name] = "".join([text(self._blocks[index].get(name)) or "", *parts])
        return fields

    def _identify(self, message: Any) -> None:
        self._id = text(field(message, "id")) or self._id
        self._model = text(field(message, "model")) or self._model

    def _start_block(self, index: int | None, block: Any) -> None:
        if index is not None and isinstance(block, dict):
            self._blocks[index] = block

    def _add_delta(self, index: int | None, delta: Any) -> None:
        if index is None or not isinstance(delta, dict):
            return
        self._blocks.setdefault(index, {"type": "text"})
        for name, value in delta.items():
            if name != "type" and value:
                self._parts.setdefault((index, name), []).append(event_data.raw_text(value))

    def _read_document(self, message: Any) -> None:
        self._identify(message)
        for index, block in enumerate(as_list(field(message, "content"))):
            self._start_block(index, block)
        self.is_complete = True
