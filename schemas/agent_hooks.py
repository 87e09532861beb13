"""Coding agents' hooks."""

from schemas.base import Body, Schema
from schemas.fields import EXAMPLE_ID, String


class AgentHook(Body):
    """A hook as the agent sends it. Its other fields depend on the hook."""

    # Command output and file content can contain any characters (R39).
    verbatim = (
        "prompt",
        "tool_input",
        "tool_response",
        "tool_calls",
        "error",
        "last_assistant_message",
        "delta",
    )

    hook_event_name = String("Hook name.", example="PreToolUse", data_key="hook_event_name")
    session_id = String("Id of the agent's session.", example=EXAMPLE_ID, data_key="session_id")


class HookResponse(Schema):
    """Always empty, so it cannot influence the agent."""
