"""The interface of a model API's dialect.

A dialect is a module with a function `read_request(headers, body)`, which returns a Request, and a class `Response`.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Protocol

from rules.events.recorded_events import RecordedEvent, ResponseUsage


class Agent(NamedTuple):
    """The calling agent; see `rules.events.recorded_events.EventSource`. Only subagents have an `agent_id`."""

    tool: str | None
    version: str | None
    session: str
    agent_id: str | None = None


class Request(Protocol):
    """A model request, read lazily from its end."""

    agent: Agent

    def limit(self, has_time: Callable[[], bool]) -> None:
        """Read only generic events of calls once `has_time` returns False."""

    def turns(self) -> Iterator[list[RecordedEvent]]:
        """Yield the events of each turn, latest turn first; events within a turn are in order.

        A turn is a response and everything up to the next response: the response's text and tool intents, then the
        tools' outcomes and the prompts. The caller stops at the first turn that is stored already.
        """


class Response(Protocol):
    """Accumulates one response."""

    def add(self, part: Any) -> None:
        """Add the data of one stream event, or the whole document."""

    def events(self, request: Request, measured: ResponseUsage) -> list[RecordedEvent]:
        """Return the model's text with its usage, and an intent for each tool call."""
