"""The agents that call the model proxy: rules to recognize each one and to read its requests.

An agent is a subclass of UnknownAgent with a table of its tools, and an entry in AGENTS. Requests of other dialects are
translated to Anthropic's Messages first.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from rules.agents import claude_code, claude_code_text, codex, codex_text, common_tools, opencode
from rules.agents.claude_code_text import Said
from rules.agents.dialect import Agent, Outcome, Tool
from rules.agents.known_files import Touch
from rules.agents.messages_turns import block_text
from rules.agents.values import digest
from rules.events.envelopes import field, label, text

_SESSION_HEADERS = ("x-claude-code-session-id", "x-session-affinity", "x-session-id", "session-id")
_OLDER_USER_ID = re.compile(r"_session_([0-9a-f-]{36})$")
_CODEX_DIRECTORY = re.compile(r"<environment_context>.{0,2000}?<cwd>([^<]{1,4096})</cwd>", re.S)
_DIRECTORY = "orking directory: "
# The system's first messages name the working directory; after a compaction, they follow the responses that remain.
_OPENING_MESSAGES = 40
_GENERIC = Tool("tool_use", common_tools.other)


class UnknownAgent:
    """An unknown agent: prompts, responses and generic tool events. Base class of the known agents.

    name -- the agent's name in events
    user_agent -- matches the start of its User-Agent, with the version as a group
    tools -- the rows of its table; a tool without a row has generic events
    """

    name: str | None = None
    user_agent = re.compile(r"(?!)")
    tools: Mapping[str, Tool] = {}

    def recognizes(self, headers: Mapping[str, str]) -> bool:
        """Return whether the agent sends these headers."""
        return self.user_agent.match(headers.get("user-agent", "")) is not None

    def identify(self, headers: Mapping[str, str], body: Mapping[str, Any]) -> Agent:
        version = self.user_agent.match(headers.get("user-agent", ""))
        return Agent(self.name, version[1] if version else None, self.session(headers, body))

    def session(self, headers: Mapping[str, str], body: Mapping[str, Any]) -> str:
        return _session_in(headers) or conversation_session(body)

    def tool(self, name: str) -> Tool:
        return self.tools.get(name, _GENERIC)

    def said(self, texts: Sequence[str]) -> list[Said]:
        """The person's input in the texts between two responses; for an unknown agent, one prompt."""
        prompt = "\n".join(texts).strip()
        return [("prompt", {"text": prompt})] if prompt else []

    def said_while_working(self, text: str) -> list[Said]:
        """The person's input in a message of the system."""
        return []

    def is_summary(self, text: str) -> bool:
        """Return whether a text is the summary with which a compacted conversation starts."""
        return False

    def asks_for_summary(self, text: str) -> bool:
        """Return whether the response to a text is a summary with which a compacted conversation continues."""
        return False

    def is_placeholder(self, response: str) -> bool:
        """Return whether the program, and not the model, wrote a response."""
        return False

    def is_side_call(self, body: Mapping[str, Any], texts: Sequence[str]) -> bool:
        """Return whether the agent makes the call for its own purposes, such as a title.

        texts -- after the last response
        """
        return False

    def rejection(self, outcome: Outcome) -> list[Said] | None:
        """The events of a call that the person rejected; None if they did not."""
        return None

    def touches(self, text: str) -> Iterator[Touch]:
        """The contents of files in a text that the program added."""
        return iter(())

    def directory(self, body: Mapping[str, Any]) -> str | None:
        """The working directory; None if it is unknown."""
        return None


class ClaudeCode(UnknownAgent):
    """Claude Code."""

    name = "claude-code"
    user_agent = re.compile(r"claude-cli/([\w.+-]{1,40})")
    tools = claude_code.TOOLS

    def recognizes(self, headers: Mapping[str, str]) -> bool:
        return "x-claude-code-session-id" in headers or super().recognizes(headers)

    def identify(self, headers: Mapping[str, str], body: Mapping[str, Any]) -> Agent:
        agent_id = label(headers.get("x-claude-code-agent-id")) or None
        return super().identify(headers, body)._replace(agent_id=agent_id)

    def session(self, headers: Mapping[str, str], body: Mapping[str, Any]) -> str:
        return _session_in(headers) or _session_of_user_id(body) or conversation_session(body)

    def tool(self, name: str) -> Tool:
        return claude_code.tool(name)

    def said(self, texts: Sequence[str]) -> list[Said]:
        return claude_code_text.said(texts)

    def said_while_working(self, text: str) -> list[Said]:
        return claude_code_text.said_while_working(text)

    def is_summary(self, text: str) -> bool:
        return claude_code_text.is_summary(text)

    def is_placeholder(self, response: str) -> bool:
        return claude_code_text.is_placeholder(response)

    def is_side_call(self, body: Mapping[str, Any], texts: Sequence[str]) -> bool:
        """Titles, searches and similar calls have neither the agent's tools nor a working directory."""
        if any(claude_code_text.is_side_call(text) for text in texts):
            return True
        return not has_tools(body) and self.directory(body) is None

    def rejection(self, outcome: Outcome) -> list[Said] | None:
        return claude_code.rejection(outcome)

    def touches(self, text: str) -> Iterator[Touch]:
        return claude_code_text.touches(text)

    def directory(self, body: Mapping[str, Any]) -> str | None:
        return _system_directory(body)


class Codex(UnknownAgent):
    """Codex."""

    name = "codex"
    user_agent = re.compile(r"codex[a-z_-]{0,40}/([\w.+-]{1,40})", re.I)
    tools = codex.TOOLS

    def recognizes(self, headers: Mapping[str, str]) -> bool:
        return headers.get("originator", "").startswith("codex") or super().recognizes(headers)

    def identify(self, headers: Mapping[str, str], body: Mapping[str, Any]) -> Agent:
        """A subagent has its own thread."""
        agent, thread = super().identify(headers, body), label(headers.get("thread-id"))
        return agent._replace(agent_id=thread) if thread and thread != agent.session else agent

    def tool(self, name: str) -> Tool:
        return codex.tool(name)

    def said(self, texts: Sequence[str]) -> list[Said]:
        return codex_text.said(texts)

    def is_summary(self, text: str) -> bool:
        return codex_text.is_summary(text)

    def is_side_call(self, body: Mapping[str, Any], texts: Sequence[str]) -> bool:
        return not has_tools(body) or any(codex_text.is_side_call(text) for text in texts)

    def rejection(self, outcome: Outcome) -> list[Said] | None:
        return codex.rejection(outcome)

    def directory(self, body: Mapping[str, Any]) -> str | None:
        """The working directory, from the first messages in the person's name."""
        for message in sequence(body, "messages")[:_OPENING_MESSAGES]:
            for each in _texts(_content(message)):
                if directory := _CODEX_DIRECTORY.search(each):
                    return directory[1].strip()
        return None


class OpenCode(UnknownAgent):
    """opencode."""

    name = "opencode"
    user_agent = re.compile(r"opencode/([\w.+-]{1,40})")
    tools = opencode.TOOLS

    def identify(self, headers: Mapping[str, str], body: Mapping[str, Any]) -> Agent:
        """A subagent's session has a parent."""
        agent, parent = super().identify(headers, body), label(headers.get("x-parent-session-id"))
        return agent._replace(session=parent, agent_id=agent.session) if parent else agent

    def tool(self, name: str) -> Tool:
        return opencode.tool(name)

    def said(self, texts: Sequence[str]) -> list[Said]:
        return opencode.said(texts)

    def asks_for_summary(self, text: str) -> bool:
        return text == opencode.SUMMARY

    def is_side_call(self, body: Mapping[str, Any], texts: Sequence[str]) -> bool:
        """Titles and summaries have no tools."""
        return not has_tools(body)

    def rejection(self, outcome: Outcome) -> list[Said] | None:
        return opencode.rejection(outcome)

    def directory(self, body: Mapping[str, Any]) -> str | None:
        return _system_directory(body)


AGENTS = (Codex(), OpenCode(), ClaudeCode())


def recognize(headers: Mapping[str, str]) -> UnknownAgent:
    """The agent that makes a call.

    headers -- their names in lower case
    """
    return next((agent for agent in AGENTS if agent.recognizes(headers)), UnknownAgent())


def has_tools(body: Mapping[str, Any]) -> bool:
    """Return whether the request offers tools of the agent; the provider's tools have a type."""
    return any(
        isinstance(each, dict) and each.get("type") in (None, "custom") for each in sequence(body, "tools")
    )


def sequence(body: Mapping[str, Any], name: str) -> Sequence[Any]:
    value = body.get(name)
    return value if isinstance(value, Sequence) and not isinstance(value, str | bytes) else ()


def conversation_session(body: Mapping[str, Any]) -> str:
    """A session name derived from the person's first message, for an agent that does not send one."""
    opening = sequence(body, "messages")[:_OPENING_MESSAGES]
    first = next((each for each in opening if field(each, "role") == "user"), None)
    content = field(first, "content")
    texts = (
        [content]
        if isinstance(content, str)
        else map(block_text, content if isinstance(content, list) else ())
    )
    return f"conversation-{digest(*texts)}"


def _session_in(headers: Mapping[str, str]) -> str | None:
    return next((label(headers[name]) for name in _SESSION_HEADERS if headers.get(name)), None)


def _session_of_user_id(body: Mapping[str, Any]) -> str | None:
    """Claude Code's id of the session in `metadata`: JSON, or a name with parts in older versions."""
    user_id = text(field(body.get("metadata"), "user_id")) or ""
    if older := _OLDER_USER_ID.search(user_id):
        return older[1]
    try:
        return label(field(json.loads(user_id), "session_id"))
    except (ValueError, RecursionError):
        return None


def _system_directory(body: Mapping[str, Any]) -> str | None:
    """The directory in which the agent was started; a later change names it as the previous one."""
    lines = (_line_after(text, _DIRECTORY) for text in _system_texts(body))
    line = next((each for each in lines if each), None)
    return line and line.rpartition(" (was ")[2].removesuffix(")" if " (was " in line else "")


def _content(message: Any) -> list[Any]:
    content = field(message, "content")
    return content if isinstance(content, list) else [content]


def _system_texts(body: Mapping[str, Any]) -> Iterator[str]:
    system = body.get("system")
    yield from _texts([system] if isinstance(system, str) else sequence(body, "system"))
    for message in islice(sequence(body, "messages"), _OPENING_MESSAGES):
        content = field(message, "content")
        if field(message, "role") == "system":
            yield from _texts(content if isinstance(content, list) else [content])


def _texts(blocks: Iterable[Any]) -> Iterator[str]:
    for block in blocks:
        yield block if isinstance(block, str) else block_text(block)


def _line_after(text: str, name: str) -> str | None:
    start = text.find(name)
    return text[start + len(name) :].split("\n", 1)[0].strip() if start >= 0 else None
