"""A scenario: the conversation of an agent's run, and how the agent is started."""

import threading
from collections.abc import Callable
from dataclasses import dataclass

from tests.agents.script import Conversation
from tests.agents.tools import Machine
from tests.agents.workspace import Workspace


@dataclass(frozen=True)
class Access:
    """An agent's access: the service's and the provider's addresses, and the candidate's session and key.

    disconnected -- set when the service has closed the stream of an answer that never ends
    """

    address: str
    provider: str
    session_id: str
    key: str
    disconnected: threading.Event

    @property
    def anthropic(self) -> str:
        return f"{self.address}/v1/proxy/anthropic"

    @property
    def openai(self) -> str:
        return f"{self.address}/v1/proxy/openai/v1"


Step = Callable[[Machine, Access], None]


@dataclass(frozen=True)
class Scenario:
    """An agent's run.

    name -- also the prefix of its tool calls' ids
    tool -- its name in the events' source
    workspace -- the expected files at the end
    set_up -- configures the agent
    play -- runs the agent
    """

    name: str
    tool: str
    conversation: Conversation
    workspace: Workspace
    set_up: Step
    play: Step
