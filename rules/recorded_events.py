"""Events that the service's own channels record, next to those of the candidate's client (R36)."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

# Best first: a call that several channels have seen counts once, from the first of these.
CHANNELS = ("proxy", "http-hook", "otlp")


class Witness(NamedTuple):
    """The channel that saw an agent session, and the tool that it is a session of.

    tool -- such as `claude-code`, `codex` or `opencode`; None if it is not known
    agent_session -- the tool's id of the session, or one derived from the conversation
    """

    channel: str
    tool: str | None
    version: str | None
    agent_session: str


@dataclass(frozen=True, slots=True)
class RecordedEvent:
    """One event, before it has an id and an envelope.

    kind, data -- as in docs/candidate-client.md#5-events; `data` has `toolUseId` for everything that a tool did, and
        `requestId` for a model's response, where they are known
    identity -- with `kind` and `index`, identifies the event in its agent session, now and when it is seen again: a
        tool-use id, a response's id, or a prompt's position in its conversation
    agent_id -- of a subagent
    at -- None for the time of its arrival
    """

    kind: str
    data: dict[str, Any]
    identity: str
    index: int = 0
    agent_id: str | None = None
    at: datetime | None = None
