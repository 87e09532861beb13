"""Base class for agents: how to recognize an agent and read its requests.

Requests in all dialects are first converted to Anthropic's Messages format.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

from rules.agents.files.known_files import FileUpdate
from rules.agents.model_apis.turns import block_text
from rules.agents.tools import Outcome, ToolTable
from rules.agents.values import Event, digest
from rules.events.envelopes import as_list, field, label

_SESSION_HEADERS = ("x-claude-code-session-id", "x-session-affinity", "x-session-id", "session-id")
_DERIVED_SESSION = "conversation-"
# Matches "Working directory" and "Primary working directory".
_DIRECTORY = "orking directory: "
# The system message with the working directory is among the first messages, after a compaction behind retained ones.
OPENING_MESSAGES = 40


class Agent(NamedTuple):
    """The calling agent; see `rules.events.recorded_events.EventSource`. Only subagents have an `agent_id`."""

    tool: str | None
    version: str | None
    session: str
    agent_id: str | None = None

    @property
    def has_derived_session(self) -> bool:
        """Return whether the session id is derived from the first message, which several conversations can share."""
        return self.session.startswith(_DERIVED_SESSION)


class UnknownAgent:
    """An unknown agent, with generic tool events. Base class of known agents.

    name -- the agent's name in events
    user_agent -- matches the start of the User-Agent header, with the version as a group
    """

    name: str | None = None
    user_agent = re.compile(r"(?!)")
    tools = ToolTable({})

    def recognizes(self, headers: Mapping[str, str]) -> bool:
        """Return whether the headers identify this agent."""
        return self.user_agent.match(headers.get("user-agent", "")) is not None

    def identify(self, headers: Mapping[str, str], body: Mapping[str, Any]) -> Agent:
        match = self.user_agent.match(headers.get("user-agent", ""))
        session = next((label(headers[name]) for name in _SESSION_HEADERS if headers.get(name)), None)
        return Agent(self.name, match[1] if match else None, session or self.session(body))

    def session(self, body: Mapping[str, Any]) -> str:
        """Derive a session id from the first user message. Used if the headers do not include one."""
        opening = sequence(body, "messages")[:OPENING_MESSAGES]
        first = next((message for message in opening if field(message, "role") == "user"), None)
        content = field(first, "content")
        if isinstance(content, str):
            return _DERIVED_SESSION + digest(content)
        return _DERIVED_SESSION + digest(*map(block_text, as_list(content)))

    def user_events(self, texts: Sequence[str]) -> list[Event]:
        """Return the user's input between two responses. For an unknown agent, this is a single prompt."""
        prompt = "\n".join(texts).strip()
        return [("prompt", {"text": prompt})] if prompt else []

    def queued_prompts(self, text: str) -> list[Event]:
        """Return the user's input in a system message."""
        return []

    def is_summary(self, text: str) -> bool:
        """Return whether a compacted conversation starts with this text."""
        return False

    def asks_for_summary(self, text: str) -> bool:
        """Return whether the response to this text is the summary that continues a compacted conversation."""
        return False

    def is_placeholder(self, response: str) -> bool:
        """Return whether the agent inserted the response itself."""
        return False

    def is_side_call(self, body: Mapping[str, Any], texts: Sequence[str]) -> bool:
        """Return whether the agent makes the call for itself, such as to generate a title.

        texts -- user text after the last response
        """
        return False

    def rejection(self, outcome: Outcome) -> list[Event] | None:
        """Return the events of a call that the user rejected; None for other calls."""
        return None

    def file_updates(self, text: str) -> Iterator[FileUpdate]:
        """Yield the file updates in text that the agent injected."""
        return iter(())

    def directory(self, body: Mapping[str, Any]) -> str | None:
        """Return the working directory; None if unknown."""
        return None


def has_tools(body: Mapping[str, Any]) -> bool:
    """Return whether the request defines tools that the agent runs. The provider's tools have other types."""
    return any(
        isinstance(tool, dict) and tool.get("type") in (None, "custom") for tool in sequence(body, "tools")
    )


def sequence(body: Mapping[str, Any], name: str) -> Sequence[Any]:
    value = body.get(name)
    return value if isinstance(value, Sequence) and not isinstance(value, str | bytes) else ()


def block_texts(content: Any) -> Iterator[str]:
    blocks: Iterable[Any] = content if isinstance(content, list) else [content]
    for block in blocks:
        yield block if isinstance(block, str) else block_text(block)


def system_directory(body: Mapping[str, Any]) -> str | None:
    """Return the initial working directory. After a change, the text includes it as `(was ...)`."""
    for text in _system_texts(body):
        _, _, rest = text.partition(_DIRECTORY)
        line = rest.split("\n", 1)[0].strip()
        if line:
            return line.rpartition(" (was ")[2].removesuffix(")" if " (was " in line else "")
    return None


def _system_texts(body: Mapping[str, Any]) -> Iterator[str]:
    system = body.get("system")
    yield from block_texts(system if isinstance(system, str) else list(sequence(body, "system")))
    for message in islice(sequence(body, "messages"), OPENING_MESSAGES):
        if field(message, "role") == "system":
            yield from block_texts(field(message, "content"))
