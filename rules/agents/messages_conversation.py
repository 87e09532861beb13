"""The events of a conversation in Anthropic's Messages API."""

import json
import posixpath
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from typing import Any, NamedTuple

from rules.agents import event_data
from rules.agents.dialect import Outcome
from rules.agents.known_agents import UnknownAgent, sequence
from rules.agents.known_files import (
    MAX_REPLAYED_EDITS,
    FileText,
    Lost,
    Shown,
    Touch,
    Workspace,
    no_limit,
    replay,
)
from rules.agents.messages_turns import Call, Result, Turn, turns_of
from rules.agents.table import read_by
from rules.agents.values import digest
from rules.events.recorded_events import RecordedEvent

# Number of latest turns that are searched for the content of a file and the start of a command.
MAX_SEARCHED_TURNS = 500


class Position(NamedTuple):
    """A position in a conversation that does not change when the conversation is resumed or compacted.

    anchor -- the last tool call before it, or the start of the conversation
    responses -- the number of responses since then
    is_in_summary -- whether the anchor is a summary: what follows may have been recorded before the conversation was
        compacted, at another position
    """

    anchor: str
    responses: int
    is_in_summary: bool = False

    def identity(self, *parts: str | None) -> str:
        return digest(json.dumps([self.anchor, self.responses, *parts]))


class Conversation:
    """The messages of a request.

    agent_id -- the subagent's id: its instructions and answers are not the person's conversation

    While `has_time` returns True, calls are read with the content of their files. Afterwards they are generic events.
    """

    has_time: Callable[[], bool]

    def __init__(self, body: Mapping[str, Any], agent: UnknownAgent, agent_id: str | None):
        self.has_time = no_limit
        self._body = body
        self._unread = turns_of(sequence(body, "messages"))
        self._turns: list[Turn] = []
        self._agent = agent
        self._agent_id = agent_id
        self._positions: dict[int, Position] = {}
        self._touches: dict[str, list[tuple[tuple[int, int], Touch]]] = {}
        self._searched = 0

    @cached_property
    def _directory(self) -> str | None:
        return self._agent.directory(self._body)

    def turn(self, number: int) -> Turn | None:
        """A turn, counted from the latest."""
        while len(self._turns) <= number:
            turn = next(self._unread, None)
            if turn is None:
                return None
            self._turns.append(turn)
        return self._turns[number]

    def turns(self) -> Iterator[Turn]:
        """The turns, latest first."""
        number = 0
        while (turn := self.turn(number)) is not None:
            yield turn
            number += 1

    def position(self, number: int) -> Position:
        """The position after the response of a turn."""
        passed = []
        while number not in self._positions:
            turn = self.turn(number)
            start = self._start(turn)
            if turn is None or start is not None:
                self._positions[number] = start or Position("", 0)
            else:
                passed.append(turn)
                number += 1
        position = self._positions[number]
        for turn in reversed(passed):
            is_counted = turn.response.strip() and not self._agent.is_placeholder(turn.response)
            position = position._replace(responses=position.responses + 1) if is_counted else position
            self._positions[turn.number] = position
        return position

    def _start(self, turn: Turn | None) -> Position | None:
        """The position after a turn from which others are counted; None for other turns."""
        if turn is not None and turn.calls:
            return Position(turn.calls[-1].id, 0)
        if turn is not None and self._is_summary(turn):
            return Position(Position("", 0).identity("summary", turn.response), 0, True)
        if turn is None or not turn.is_opening:
            return None
        summary = next((each for each in turn.texts if self._agent.is_summary(each)), None)
        return Position(Position("", 0).identity(summary), 0, True) if summary else Position("", 0)

    def response_identity(self, number: int, response: str) -> str:
        """The identity of a text as the response of a turn; -1 is the pending response."""
        words = " ".join(response.split())
        return self.position(number + 1).identity("response", self._agent_id, words)

    def events(self, turn: Turn) -> list[RecordedEvent]:
        outcomes, is_cut = self._outcomes(turn)
        events = [*self._response(turn), *map(self._intent, turn.calls), *outcomes]
        return events if self._agent_id else [*events, *self._said(turn, is_cut)]

    def _response(self, turn: Turn) -> Iterator[RecordedEvent]:
        """The response's text, unless the person interrupted it."""
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
        """Return whether the response is a summary that the agent asked for."""
        before = self.turn(turn.number + 1)
        return before is not None and any(self._agent.asks_for_summary(text) for text in before.texts)

    def _is_interrupted(self, turn: Turn) -> bool:
        kind, _ = next(iter(self._agent.said(turn.texts)), (None, {}))
        return kind == "interrupt"

    def _intent(self, call: Call) -> RecordedEvent:
        return intent(call, self._agent_id)

    def _outcomes(self, turn: Turn) -> tuple[list[RecordedEvent], bool]:
        """The events of the calls that ended, in the order of the calls; and whether the person rejected one."""
        events: list[RecordedEvent] = []
        has_interrupt = False
        for number, call in enumerate(turn.calls):
            result = turn.results.get(call.id)
            if result is None:
                continue
            outcome = self._outcome(turn, number, result)
            rejection = self._agent.rejection(outcome)
            if rejection is None:
                events += self._recorded(call, self._read(outcome))
            elif not has_interrupt or len(rejection) > 1:
                events += self._recorded(call, rejection)
            has_interrupt = has_interrupt or rejection is not None
        return events, has_interrupt

    def _outcome(self, turn: Turn, number: int, result: Result) -> Outcome:
        call = turn.calls[number]
        before = turn.number, number
        workspace = Workspace(self._directory, partial(self._content, before), partial(self._earlier, before))
        return Outcome(call.id, call.name, call.arguments, result.text, result.is_error, workspace)

    def _read(self, outcome: Outcome) -> list[tuple[str, dict[str, Any]]]:
        if not self.has_time():
            return [_generic(outcome)]
        return read_by(self._agent.tool(outcome.name), outcome)

    def _recorded(self, call: Call, events: Sequence[tuple[str, dict[str, Any]]]) -> Iterator[RecordedEvent]:
        for index, (kind, data) in enumerate(events):
            yield RecordedEvent(kind, {"toolUseId": call.id} | data, call.id, index, self._agent_id)

    def _said(self, turn: Turn, is_cut: bool) -> Iterator[RecordedEvent]:
        """The person's input after a response.

        is_cut -- whether the person rejected a call of the response
        """
        position = self.position(turn.number)
        if position.is_in_summary and turn.number:
            return
        seen: Counter[tuple[str, str]] = Counter()
        follows_interrupt = is_cut
        for kind, data in self._everything_said(turn):
            if kind == "interrupt":
                follows_interrupt = True
                if is_cut:
                    continue
            elif kind == "prompt" and follows_interrupt:
                data["followsInterrupt"] = True
                follows_interrupt = False
            content = json.dumps([data.get(name) for name in ("text", "command", "inputPreview", "variant")])
            yield RecordedEvent(kind, data, position.identity(kind, content), seen[kind, content])
            seen[kind, content] += 1

    def _everything_said(self, turn: Turn) -> Iterator[tuple[str, dict[str, Any]]]:
        for text in turn.system_texts:
            yield from self._agent.said_while_working(text)
        yield from self._agent.said(turn.texts)

    def _content(self, before: tuple[int, int], path: str) -> FileText | None:
        """A file's content before a call.

        before -- the number of the turn and that of the call in it
        """
        found: list[Touch] = []
        read = 0
        while True:
            touches = self._touches.get(self._file(path), [])
            for when, touch in touches[read:]:
                if not _is_earlier(when, before):
                    continue
                found.append(touch)
                is_start = isinstance(touch, Lost) or (isinstance(touch, Shown) and touch.content.is_whole)
                if is_start or len(found) > MAX_REPLAYED_EDITS:
                    return replay(found[::-1], self.has_time)
            read = len(touches)
            if not self._search_turn():
                return replay(found[::-1], self.has_time)

    def _file(self, path: str) -> str:
        """The canonical path of a file, however a call names it."""
        return posixpath.normpath(Workspace(self._directory).relative(path))

    def _may_search(self, number: int) -> bool:
        return number < MAX_SEARCHED_TURNS and self.has_time()

    def _earlier(self, before: tuple[int, int]) -> Iterator[Outcome]:
        """The outcomes before a call, latest first."""
        number = before[0]
        while self._may_search(number) and (turn := self.turn(number)) is not None:
            for position, call in reversed(list(enumerate(turn.calls))):
                result = turn.results.get(call.id)
                if result is not None and _is_earlier((number, position), before):
                    yield Outcome(call.id, call.name, call.arguments, result.text, result.is_error)
            number += 1

    def _search_turn(self) -> bool:
        """Search one more turn for file contents; returns False if there is none left."""
        turn = self.turn(self._searched) if self._may_search(self._searched) else None
        if turn is None:
            return False
        self._searched += 1
        added = [(len(turn.calls), touch) for touch in self._agent.touches("\n".join(turn.added_texts))]
        for number, touch in reversed([*self._touches_of_calls(turn), *added]):
            self._touches.setdefault(self._file(touch.path), []).append(((turn.number, number), touch))
        return True

    def _touches_of_calls(self, turn: Turn) -> Iterator[tuple[int, Touch]]:
        for number, call in enumerate(turn.calls):
            result = turn.results.get(call.id)
            if result is not None and not result.is_error and self.has_time():
                outcome = Outcome(call.id, call.name, call.arguments, result.text, result.is_error)
                for touch in self._agent.tool(call.name).touches(outcome):
                    yield number, touch


def _is_earlier(when: tuple[int, int], than: tuple[int, int]) -> bool:
    return when[0] > than[0] or (when[0] == than[0] and when[1] < than[1])


def _generic(outcome: Outcome) -> tuple[str, dict[str, Any]]:
    data = event_data.tool_use(outcome)
    return data.pop("kind"), data


def intent(call: Call, agent_id: str | None) -> RecordedEvent:
    data = {"toolName": call.name, "inputPreview": event_data.preview(call.arguments), "toolUseId": call.id}
    return RecordedEvent("tool_intent", data, call.id, agent_id=agent_id)
