"""Claude Code as a caller of the model proxy."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rules.agents.claude_code import user_messages
from rules.agents.claude_code.tools import MAX_PLAN_CHARACTERS, TOOLS
from rules.agents.event_data import mask_and_truncate, preview
from rules.agents.files.known_files import FileUpdate
from rules.agents.tools import Outcome, argument
from rules.agents.unknown_agent import Agent, UnknownAgent, has_tools, system_directory
from rules.agents.values import Event
from rules.events.envelopes import field, label, text

_OLDER_USER_ID = re.compile(r"_session_([0-9a-f-]{36})$")
_REJECTED = re.compile(
    r"(?:The user doesn't want to (?:proceed with this tool use|take this action right now)|User rejected )"
)
_FEEDBACK = re.compile(r"(?:To tell you how to proceed, the user said|The user said):\n(.*)", re.S)


class ClaudeCode(UnknownAgent):
    """Claude Code."""

    name = "claude-code"
    user_agent = re.compile(r"claude-cli/([\w.+-]{1,40})")
    tools = TOOLS

    def recognizes(self, headers: Mapping[str, str]) -> bool:
        return "x-claude-code-session-id" in headers or super().recognizes(headers)

    def identify(self, headers: Mapping[str, str], body: Mapping[str, Any]) -> Agent:
        agent_id = label(headers.get("x-claude-code-agent-id")) or None
        return super().identify(headers, body)._replace(agent_id=agent_id)

    def session(self, body: Mapping[str, Any]) -> str:
        """Read the session id from `metadata`: a JSON field, or part of a name in older versions."""
        user_id = text(field(body.get("metadata"), "user_id")) or ""
        if older := _OLDER_USER_ID.search(user_id):
            return older[1]
        try:
            name = label(field(json.loads(user_id), "session_id"))
        except (ValueError, RecursionError):
            name = None
        return name or super().session(body)

    def user_events(self, texts: Sequence[str]) -> list[Event]:
        return user_messages.user_events(texts)

    def queued_prompts(self, text: str) -> list[Event]:
        return user_messages.queued_prompts(text)

    def is_summary(self, text: str) -> bool:
        return user_messages.is_summary(text)

    def is_placeholder(self, response: str) -> bool:
        """Return whether Claude Code inserted the response: when it resumes a conversation, or for an empty one."""
        return response.strip() in ("No response requested.", "(no content)")

    def is_side_call(self, body: Mapping[str, Any], texts: Sequence[str]) -> bool:
        """Return whether this is a title, search or similar call: it has neither tools nor a working directory."""
        if any(user_messages.is_side_call(text) for text in texts):
            return True
        return not has_tools(body) and self.directory(body) is None

    def rejection(self, outcome: Outcome) -> list[Event] | None:
        """Return a rejected call's events. Interrupted calls look the same."""
        if not outcome.is_error or _REJECTED.match(outcome.result) is None:
            return None
        match = _FEEDBACK.search(outcome.result)
        feedback = match and match[1].split("\n\nNote: The user's next message may", 1)[0].strip()
        if outcome.name == "ExitPlanMode":
            plan = mask_and_truncate(argument(outcome, "plan"), MAX_PLAN_CHARACTERS)
            data = {"planPreview": plan, "responsePreview": feedback or "rejected", "approved": False}
            return [("plan_decision", data)]
        interrupt = {"variant": "tool_use", "subtype": "action", "cutTool": outcome.name}
        interrupt["cutToolInput"] = preview(outcome.arguments)
        prompt = {"text": feedback, "followsInterrupt": True}
        return [("interrupt", interrupt), *([("prompt", prompt)] if feedback else [])]

    def file_updates(self, text: str) -> Iterator[FileUpdate]:
        return user_messages.file_updates(text)

    def directory(self, body: Mapping[str, Any]) -> str | None:
        return system_directory(body)
