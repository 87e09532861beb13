"""The agents that call the proxy: how to identify them, and how to read their texts. Other dialects are translated."""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from rules.agents import claude_code, claude_code_text, codex, codex_text, event_data, opencode
from rules.agents.claude_code_text import Said
from rules.agents.dialect import Agent, Outcome, Tool
from rules.agents.known_files import Touch
from rules.agents.messages_turns import block_text
from rules.envelopes import label, member, text

_SESSION_HEADERS = ("x-claude-code-session-id", "x-session-affinity", "x-session-id", "session-id")
_CLAUDE_CODE = re.compile(r"claude-cli/([\w.+-]{1,40})")
_OLDER_USER_ID = re.compile(r"_session_([0-9a-f-]{36})$")
_CODEX = re.compile(r"codex[a-z_-]{0,40}/([\w.+-]{1,40})", re.I)
_CODEX_DIRECTORY = re.compile(r"<environment_context>.{0,2000}?<cwd>([^<]{1,4096})</cwd>", re.S)
_OPENCODE = re.compile(r"opencode/([\w.+-]{1,40})")
_DIRECTORY = "orking directory: "
# The system's first messages name the working directory; after a compaction, they follow the responses that are kept.
_OPENING_MESSAGES = 40


class UnknownAgent:
    """An agent whose tools are not known: its calls are generic events."""

    failing = frozenset[str]()

    def identify(self, headers: Mapping[str, str], body: Mapping[str, Any]) -> Agent:
        return Agent(None, None, _session(headers) or conversation_session(body))

    def tool(self, name: str) -> Tool:
        return _GENERIC

    def said(self, texts: Sequence[str]) -> list[Said]:
        """What the person said in the texts between two responses: one prompt."""
        prompt = "\n".join(texts).strip()
        return [("prompt", {"text": prompt})] if prompt else []

    def said_while_working(self, text: str) -> list[Said]:
        """What the person said in a message of the system."""
        return []

    def is_summary(self, text: str) -> bool:
        return False

    def asks_for_summary(self, text: str) -> bool:
        """Whether the response to a text is a summary with which a compacted conversation goes on."""
        return False

    def is_placeholder(self, response: str) -> bool:
        return False

    def is_side_call(self, body: Mapping[str, Any], texts: Sequence[str]) -> bool:
        """
        texts -- after the last response
        """
        return False

    def rejection(self, outcome: Outcome) -> list[Said] | None:
        """The events of a call that the person rejected; None if they did not."""
        return None

    def touches(self, text: str) -> Iterator[Touch]:
        """What a text that the program added shows of files."""
        return iter(())

    def directory(self, body: Mapping[str, Any]) -> str | None:
        return None


class ClaudeCode(UnknownAgent):
    """Claude Code."""

    failing = claude_code.FAILING

    def identify(self, headers: Mapping[str, str], body: Mapping[str, Any]) -> Agent:
        version = _CLAUDE_CODE.match(headers.get("user-agent", ""))
        session = _session(headers) or _session_of_user_id(body) or conversation_session(body)
        agent_id = label(headers.get("x-claude-code-agent-id")) or None
        return Agent("claude-code", version[1] if version else None, session, agent_id)

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
        """Titles, searches and the like have neither tools of the agent nor a working directory."""
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

    failing = frozenset({"command", "web_lookup", "mcp_call"})

    def identify(self, headers: Mapping[str, str], body: Mapping[str, Any]) -> Agent:
        version = _CODEX.match(headers.get("user-agent", ""))
        session = _session(headers) or conversation_session(body)
        thread = label(headers.get("thread-id")) or session
        return Agent("codex", version[1] if version else None, session, thread if thread != session else None)

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
            for said in _texts(_content(message)):
                if directory := _CODEX_DIRECTORY.search(said):
                    return directory[1].strip()
        return None


class OpenCode(UnknownAgent):
    """opencode."""

    failing = opencode.FAILING

    def identify(self, headers: Mapping[str, str], body: Mapping[str, Any]) -> Agent:
        """A subagent's session has a parent."""
        version = _OPENCODE.match(headers.get("user-agent", ""))
        session = _session(headers) or conversation_session(body)
        parent = label(headers.get("x-parent-session-id")) or None
        return Agent(
            "opencode", version[1] if version else None, parent or session, session if parent else None
        )

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


def choose(headers: Mapping[str, str]) -> UnknownAgent:
    """The agent that makes a call."""
    user_agent = headers.get("user-agent", "")
    if _CODEX.match(user_agent) or headers.get("originator", "").startswith("codex"):
        return Codex()
    if _OPENCODE.match(user_agent):
        return OpenCode()
    is_claude_code = "x-claude-code-session-id" in headers or _CLAUDE_CODE.match(
        headers.get("user-agent", "")
    )
    return ClaudeCode() if is_claude_code else UnknownAgent()


def has_tools(body: Mapping[str, Any]) -> bool:
    """Whether the request offers tools of the agent; those of the provider have a type."""
    return any(
        isinstance(each, dict) and each.get("type") in (None, "custom") for each in sequence(body, "tools")
    )


def sequence(body: Mapping[str, Any], name: str) -> Sequence[Any]:
    value = body.get(name)
    return value if isinstance(value, Sequence) and not isinstance(value, str | bytes) else ()


def conversation_session(body: Mapping[str, Any]) -> str:
    """A name for the session of an agent that does not name it: from the person's first message."""
    opening = sequence(body, "messages")[:_OPENING_MESSAGES]
    first = next((each for each in opening if member(each, "role") == "user"), None)
    content = member(first, "content")
    texts = (
        [content]
        if isinstance(content, str)
        else map(block_text, content if isinstance(content, list) else ())
    )
    digest = hashlib.sha256("\n".join(texts).encode("utf-8", "surrogatepass")).hexdigest()
    return f"conversation-{digest[:32]}"


def _session(headers: Mapping[str, str]) -> str | None:
    return next((label(headers[name]) for name in _SESSION_HEADERS if headers.get(name)), None)


def _session_of_user_id(body: Mapping[str, Any]) -> str | None:
    """Claude Code's id of the session in `metadata`: JSON, or a name with parts in older versions."""
    user_id = text(member(body.get("metadata"), "user_id")) or ""
    if older := _OLDER_USER_ID.search(user_id):
        return older[1]
    try:
        return label(member(json.loads(user_id), "session_id"))
    except (ValueError, RecursionError):
        return None


def _system_directory(body: Mapping[str, Any]) -> str | None:
    """The directory in which the agent was started; a later change names it as the one before."""
    lines = (_line_after(text, _DIRECTORY) for text in _system_texts(body))
    line = next((each for each in lines if each), None)
    return line and line.rpartition(" (was ")[2].removesuffix(")" if " (was " in line else "")


def _content(message: Any) -> list[Any]:
    content = member(message, "content")
    return content if isinstance(content, list) else [content]


def _system_texts(body: Mapping[str, Any]) -> Iterator[str]:
    system = body.get("system")
    yield from _texts([system] if isinstance(system, str) else sequence(body, "system"))
    for message in islice(sequence(body, "messages"), _OPENING_MESSAGES):
        content = member(message, "content")
        if member(message, "role") == "system":
            yield from _texts(content if isinstance(content, list) else [content])


def _texts(blocks: Iterable[Any]) -> Iterator[str]:
    for block in blocks:
        yield block if isinstance(block, str) else block_text(block)


def _line_after(text: str, name: str) -> str | None:
    start = text.find(name)
    return text[start + len(name) :].split("\n", 1)[0].strip() if start >= 0 else None


_GENERIC = Tool("tool_use", lambda outcome: [event_data.tool_use(outcome)])
