"""Hooks of coding agents."""

from schemas.base import Body, Schema
from schemas.fields import EXAMPLE_ID, String


class AgentHook(Body):
    """A hook as the agent sends it. Its other fields depend on the hook."""

    # Output of commands and content of files can be any text (R39).
    verbatim = (
        "prompt",
        "tool_input",
        "tool_response",
        "tool_calls",
        "error",
        "last_assistant_message",
        "delta",
    )

    hook_event_name = String("Name of the hook.", example="PreToolUse", data_key="hook_event_name")
    session_id = String("The agent's session.", example=EXAMPLE_ID, data_key="session_id")


class NoInstructions(Schema):
    """Always empty: nothing in it can steer the agent."""
