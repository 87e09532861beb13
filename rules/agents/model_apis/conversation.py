"""Read events from a conversation in Anthropic's Messages API."""

import json
import posixpath
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property, partial
from typing import Any, NamedTuple

from rules.agents.event_data import MAX_PREVIEW_CHARACTERS, preview, raw_text
from rules.agents.files.known_files import (
    MAX_REPLAYED_EDITS,
    FileText,
    FileUpdate,
    Invalidation,
    Snapshot,
    Workspace,
    replay,
)
from rules.agents.model_apis.turns import Call, Turn, read_turns
from rules.agents.tools import Outcome, unreadable
from rules.agents.unknown_agent import UnknownAgent, sequence
from rules.agents.values import Event, digest
from rules.events.recorded_events import RecordedEvent

# Number of latest turns that are searched for a file's content or a command's start.
MAX_SEARCHED_TURNS = 500

# Characters in the events of a turn's calls. Short calls can change a long file many times. The limit is per turn: each
# turn must be read the same way every time, so that its events are stored once.
MAX_CHARACTERS = 2 * 2**20

# The number of a turn, and of a call within it.
CallPosition = tuple[int, int]


class Position(NamedTuple):
    """A position that does not change when the conversation is resumed or compacted.

    anchor -- the last tool call before it, or the conversation's start
    responses -- number of responses since the anchor
    is_in_summary -- whether the anchor is a summary. Later events may have been recorded at a different position,
        before the conversation was compacted
    """

    anchor: str
    responses: int
    is_in_summary: bool = False

    def identity(self, *parts: str | None) -> str:
        return digest(json.dumps([self.anchor, self.responses, *parts]))


class Conversation:
    """A request's messages.

    agent_id -- id of the subagent, whose instructions and responses are not recorded
    has_time -- once this returns False, calls become generic events
    is_limited -- whether calls became generic events because of MAX_CHARACTERS
    """

    has_time: Callable[[], bool]

    def __init__(self, body: Mapping[str, Any], agent: UnknownAgent, agent_id: str | None):
        self.has_time = lambda: True
        self.is_limited = False
        self._body = body
        self._unread = read_turns(sequence(body, "messages"))
        self._turns: list[Turn] = []
        self._agent = agent
        self._agent_id = agent_id
        self._positions: dict[int, Position] = {}
        self._file_updates: dict[str, list[tuple[CallPosition, FileUpdate]]] = {}
        self._searched_turns = 0

    @cached_property
    def _directory(self) -> str | None:
        return self._agent.directory(self._body)

    def turn(self, number: int) -> Turn | None:
        """Return a turn by number, counted from the latest; None before the first turn."""
        while len(self._turns) <= number:
            turn = next(self._unread, None)
            if turn is None:
                return None
            self._turns.append(turn)
        return self._turns[number]

    def turns(self) -> Iterator[Turn]:
        """Yield the turns, latest first."""
        number = 0
        while (turn := self.turn(number)) is not None:
            yield turn
            number += 1

    def position(self, number: int) -> Position:
        """Return the position after a turn's response."""
        turns = []
        while number not in self._positions:
            turn = self.turn(number)
            anchor = self._anchor(turn)
            if turn is None or anchor is not None:
                self._positions[number] = anchor or Position("", 0)
            else:
                turns.append(turn)
                number += 1
        position = self._positions[number]
        for turn in reversed(turns):
            if turn.response.strip() and not self._agent.is_placeholder(turn.response):
                position = position._replace(responses=position.responses + 1)
            self._positions[turn.number] = position
        return position

    def _anchor(self, turn: Turn | None) -> Position | None:
        """Return the position after a turn if it anchors later positions, otherwise None."""
        if turn is not None and turn.calls:
            return Position(turn.calls[-1].id, 0)
        if turn is not None and self._is_summary(turn):
            return Position(Position("", 0).identity("summary", turn.response), 0, True)
        if turn is None or not turn.is_opening:
            return None
        summary = next((text for text in turn.texts if self._agent.is_summary(text)), None)
        return Position(Position("", 0).identity(summary), 0, True) if summary else Position("", 0)

    def is_placeholder(self, text: Any) -> bool:
        """Return whether the agent inserted this text as a response."""
        return isinstance(text, str) and self._agent.is_placeholder(text)

    def has_placeholder(self, turn: Turn) -> bool:
        return not turn.calls and self.is_placeholder(turn.response)

    def response_identity(self, number: int, response: str) -> str:
        """Return the identity of a turn's response. Number -1 is the pending response."""
        normalized = " ".join(response.split())
        return self.position(number + 1).identity("response", self._agent_id, normalized)

    def events(self, turn: Turn) -> list[RecordedEvent]:
        outcomes, has_rejection = self._outcomes(turn)
        intents = (tool_intent(call, self._agent_id) for call in turn.calls)
        events = [*self._response(turn), *intents, *outcomes, *self._unreadable(turn)]
        return events if self._agent_id else [*events, *self._input(turn, has_rejection)]

    def _response(self, turn: Turn) -> Iterator[RecordedEvent]:
        """Yield the response's text, unless the user interrupted it."""
        response = turn.response
        if self._agent_id or not response.strip() or self._agent.is_placeholder(response):
            return
        if self._is_summary(turn):
            return
        if turn.calls:
            yield RecordedEvent("ai_response", {"lastAssistantMessage": response}, turn.calls[0].id)
        elif not self.position(turn.number + 1).is_in_summary and not self._is_interrupted(turn):
            identity = self.response_identity(turn.number, response)
            yield RecordedEvent("ai_response", {"lastAssistantMessage": response}, identity)

    def _is_summary(self, turn: Turn) -> bool:
        """Return whether the response is a summary requested by the agent."""
        before = self.turn(turn.number + 1)
        return before is not None and any(self._agent.asks_for_summary(text) for text in before.texts)

    def _is_interrupted(self, turn: Turn) -> bool:
        kind, _ = next(iter(self._agent.user_events(turn.texts)), (None, {}))
        return kind == "interrupt"

    def _outcomes(self, turn: Turn) -> tuple[list[RecordedEvent], bool]:
        """Return the events of finished calls, in call order, and whether the user rejected a call."""
        recorded: list[RecordedEvent] = []
        has_rejection = False
        budget = _Budget()
        for number, call in enumerate(turn.calls):
            outcome = _outcome(turn, call)
            if outcome is None:
                continue
            position = turn.number, number
            workspace = Workspace(
                self._directory,
                partial(self._content, position),
                partial(self._earlier, position),
                self.has_time,
            )
            outcome = outcome._replace(workspace=workspace)
            rejection = self._agent.rejection(outcome)
            if rejection is None:
                is_generic = budget.is_spent or not self.has_time()
                tools = UnknownAgent.tools if is_generic else self._agent.tools
                events = tools.read(outcome, budget.has_space)
                self.is_limited = self.is_limited or budget.is_exceeded
            else:
                # Pressing Escape once rejects all calls. A rejection with feedback has more than one event.
                events = rejection if not has_rejection or len(rejection) > 1 else []
                has_rejection = True
            for index, (kind, data) in enumerate(events):
                data = {"toolUseId": call.id} | data
                recorded.append(RecordedEvent(kind, data, call.id, index, self._agent_id))
        return recorded, has_rejection

    def _unreadable(self, turn: Turn) -> Iterator[RecordedEvent]:
        """Yield the raw text of messages that could not be parsed."""
        for text in turn.unreadable:
            kind, data = unreadable(Outcome(digest(text), "unreadable", text, "", None))
            yield RecordedEvent(kind, data, digest(text), agent_id=self._agent_id)

    def _input(self, turn: Turn, has_rejection: bool) -> Iterator[RecordedEvent]:
        """Yield the user's input after a response.

        has_rejection -- whether the user rejected one of the response's calls
        """
        position = self.position(turn.number)
        if position.is_in_summary and turn.number:
            return
        counts: Counter[tuple[str, str]] = Counter()
        follows_interrupt = has_rejection
        for kind, data in self._user_events(turn):
            if kind == "interrupt":
                follows_interrupt = True
                if has_rejection:
                    continue
            elif kind == "prompt" and follows_interrupt:
                data["followsInterrupt"] = True
                follows_interrupt = False
            content = json.dumps([data.get(name) for name in ("text", "command", "inputPreview", "variant")])
            yield RecordedEvent(kind, data, position.identity(kind, content), counts[kind, content])
            counts[kind, content] += 1

    def _user_events(self, turn: Turn) -> Iterator[Event]:
        for text in turn.system_texts:
            yield from self._agent.queued_prompts(text)
        yield from self._agent.user_events(turn.texts)

    def _content(self, before: CallPosition, path: str) -> FileText | None:
        """Return a file's content before a call."""
        updates: list[FileUpdate] = []
        read_count = 0
        while True:
            file_updates = self._file_updates.get(self._file(path), [])
            for position, update in file_updates[read_count:]:
                if not _is_earlier(position, before):
                    continue
                updates.append(update)
                is_start = isinstance(update, Invalidation) or (
                    isinstance(update, Snapshot) and update.content.is_whole
                )
                if is_start or len(updates) > MAX_REPLAYED_EDITS:
                    return replay(updates[::-1], self.has_time)
            read_count = len(file_updates)
            if not self._search_turn():
                return replay(updates[::-1], self.has_time)

    def _file(self, path: str) -> str:
        """Return a file's canonical path: calls can refer to the same file in several ways."""
        return posixpath.normpath(Workspace(self._directory).relative(path))

    def _can_search(self, number: int) -> bool:
        return number < MAX_SEARCHED_TURNS and self.has_time()

    def _earlier(self, before: CallPosition) -> Iterator[Outcome]:
        """Yield the outcomes before a call, latest first."""
        number = before[0]
        while self._can_search(number) and (turn := self.turn(number)) is not None:
            for position, call in reversed(list(enumerate(turn.calls))):
                if _is_earlier((number, position), before) and (outcome := _outcome(turn, call)):
                    yield outcome
            number += 1

    def _search_turn(self) -> bool:
        """Search one more turn for file contents. Returns False if there is none left."""
        turn = self.turn(self._searched_turns) if self._can_search(self._searched_turns) else None
        if turn is None:
            return False
        self._searched_turns += 1
        updates = list(self._updates_of_calls(turn))
        later_updates = self._agent.file_updates("\n".join(turn.non_assistant_texts))
        updates += [(len(turn.calls), update) for update in later_updates]
        for number, update in reversed(updates):
            position = turn.number, number
            self._file_updates.setdefault(self._file(update.path), []).append((position, update))
        return True

    def _updates_of_calls(self, turn: Turn) -> Iterator[tuple[int, FileUpdate]]:
        for number, call in enumerate(turn.calls):
            outcome = _outcome(turn, call)
            if outcome and not outcome.is_error and self.has_time():
                for update in self._agent.tools.file_updates(outcome):
                    yield number, update


class _Budget:
    """The characters that the events of a turn's calls can have."""

    def __init__(self) -> None:
        self._characters = 0
        self.is_exceeded = False

    @property
    def is_spent(self) -> bool:
        return self._characters > MAX_CHARACTERS

    def has_space(self, data: Mapping[str, Any]) -> bool:
        """Return whether there is space for an event, and count its strings."""
        self.is_exceeded = self.is_exceeded or self.is_spent
        self._characters += sum(len(value) for value in data.values() if isinstance(value, str))
        return not self.is_exceeded


def _outcome(turn: Turn, call: Call) -> Outcome | None:
    result = turn.results.get(call.id)
    if result is None:
        return None
    return Outcome(call.id, call.name, call.arguments, result.text, result.is_error)


def _is_earlier(position: CallPosition, than: CallPosition) -> bool:
    """Compare positions. Turns are numbered backward, and calls within a turn forward."""
    return position[0] > than[0] or (position[0] == than[0] and position[1] < than[1])


def tool_intent(call: Call, agent_id: str | None) -> RecordedEvent:
    data = {"toolName": call.name, "inputPreview": preview(call.arguments), "toolUseId": call.id}
    if len(arguments := raw_text(call.arguments)) > MAX_PREVIEW_CHARACTERS:
        data["input"] = arguments
    return RecordedEvent("tool_intent", data, call.id, agent_id=agent_id)
