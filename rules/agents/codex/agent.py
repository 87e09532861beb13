"""Codex as a caller of the model proxy."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from rules.agents.codex import user_messages
from rules.agents.codex.tools import TOOLS, command_text
from rules.agents.event_data import preview
from rules.agents.tools import Outcome
from rules.agents.unknown_agent import OPENING_MESSAGES, Agent, UnknownAgent, block_texts, has_tools, sequence
from rules.agents.values import Event
from rules.events.envelopes import field, label

_DIRECTORY = re.compile(r"<environment_context>.{0,2000}?<cwd>([^<]{1,4096})</cwd>", re.S)
_ABORTED = re.compile(r"(?:Wall time: [0-9.]{1,20} seconds\n)?(?:command )?aborted by user")
_REJECTED = re.compile(r"(?:exec command|patch) rejected by user|execution error: Rejected\(", re.I)


class Codex(UnknownAgent):
    """Codex."""

    name = "codex"
    user_agent = re.compile(r"codex[a-z_-]{0,40}/([\w.+-]{1,40})", re.I)
    tools = TOOLS

    def recognizes(self, headers: Mapping[str, str]) -> bool:
        return headers.get("originator", "").startswith("codex") or super().recognizes(headers)

    def identify(self, headers: Mapping[str, str], body: Mapping[str, Any]) -> Agent:
        """Identify the agent. Subagents run in a separate thread."""
        agent, thread = super().identify(headers, body), label(headers.get("thread-id"))
        return agent._replace(agent_id=thread) if thread and thread != agent.session else agent

    def user_events(self, texts: Sequence[str]) -> list[Event]:
        return user_messages.user_events(texts)

    def is_summary(self, text: str) -> bool:
        return user_messages.is_summary(text)

    def is_side_call(self, body: Mapping[str, Any], texts: Sequence[str]) -> bool:
        return not has_tools(body) or any(user_messages.is_side_call(text) for text in texts)

    def rejection(self, outcome: Outcome) -> list[Event] | None:
        is_aborted = _ABORTED.match(outcome.result) is not None
        if not is_aborted and not _REJECTED.match(outcome.result):
            return None
        data = {"variant": "tool_use", "subtype": "action", "cutTool": outcome.name}
        interrupt = ("interrupt", data | {"cutToolInput": preview(outcome.arguments)})
        if is_aborted and TOOLS.row(outcome.name).kind == "command":
            return [("command", {"command": command_text(outcome.arguments)}), interrupt]
        return [interrupt]

    def directory(self, body: Mapping[str, Any]) -> str | None:
        """Return the working directory from the first user messages."""
        for message in sequence(body, "messages")[:OPENING_MESSAGES]:
            for text in block_texts(field(message, "content")):
                if directory := _DIRECTORY.search(text):
                    return directory[1].strip()
        return None
