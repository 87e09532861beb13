"""A scenario: what happens in a run of an agent, and how the agent is started."""

import threading
from collections.abc import Callable
from dataclasses import dataclass

from tests.agents.script import Conversation
from tests.agents.tools import Machine
from tests.agents.workspace import Workspace


@dataclass(frozen=True)
class Access:
    """All that an agent gets: the service's address and the candidate's key.

    cut -- set when the service has closed the stream of an answer that never ends
    """

    address: str
    key: str
    cut: threading.Event

    @property
    def anthropic(self) -> str:
        return f"{self.address}/v1/proxy/anthropic"

    @property
    def openai(self) -> str:
        return f"{self.address}/v1/proxy/openai/v1"


@dataclass(frozen=True)
class Scenario:
    """A run of an agent.

    name -- also part of the ids of its tool calls
    tool -- in the source of its events
    workspace -- with the files as they must be at the end
    play -- configures the agent and runs it
    """

    name: str
    tool: str
    conversation: Conversation
    workspace: Workspace
    play: Callable[[Machine, Access], None]
