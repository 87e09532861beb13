"""The interface of a dialect of the model APIs, and the rows of an agent's table of tools.

A dialect is a module with a function `read_request(headers, body)`, which returns a Request, and a class `Response`.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from rules.agents.known_files import Touch, Workspace
from rules.events.recorded_events import RecordedEvent, ResponseUsage


class Agent(NamedTuple):
    """The agent that makes a call; see `rules.events.recorded_events.EventSource`. `agent_id` is that of a subagent."""

    tool: str | None
    version: str | None
    session: str
    agent_id: str | None = None


class Request(Protocol):
    """A model request, read lazily from its end."""

    agent: Agent

    def limit(self, has_time: Callable[[], bool]) -> None:
        """Stop reading the details of calls once `has_time` returns False: the rest become generic events."""

    def turns(self) -> Iterator[list[RecordedEvent]]:
        """The events in the conversation, latest turn first; events within a turn are in order.

        A turn is a response of the model and everything up to the next one: the response's text and tool intents, then
        the tools' outcomes and the prompts. The caller stops at the first turn that is stored already.
        """


class Response(Protocol):
    """Accumulates one response."""

    def add(self, part: Any) -> None:
        """Add the data of one event of a stream, or the whole document."""

    def events(self, request: Request, measured: ResponseUsage) -> list[RecordedEvent]:
        """The model's text with its usage, and an intent for each tool call."""


class Outcome(NamedTuple):
    """A tool call and its result.

    name, arguments -- the call's, as parsed
    result -- the text that the model saw
    is_error -- whether the tool reported an error; None if the dialect does not say
    workspace -- its state before the call
    """

    tool_use_id: str
    name: str
    arguments: Any
    result: str
    is_error: bool | None
    workspace: Workspace = Workspace()


@dataclass(frozen=True)
class Tool:
    """One row of an agent's table: the kind of a call's outcome, and the functions that read its data.

    read -- returns the data of each event; a field `kind` has priority over the row's
    touches -- returns the contents of files that the outcome shows
    reads_errors -- whether `read` also reads a call that failed; otherwise it is a `tool_use` with `ok` false
    """

    kind: str
    read: Callable[[Outcome], list[dict[str, Any]]]
    touches: Callable[[Outcome], Sequence[Touch]] = lambda outcome: ()
    reads_errors: bool = False
