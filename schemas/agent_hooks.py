"""Coding agents' hooks."""

from schemas.base import Body, Schema
from schemas.fields import EXAMPLE_ID, String


class AgentHook(Body):
    """A hook as the agent sends it. Its other fields depend on the hook."""

    # A tool's input and output can contain what R27 rejects.
    is_lenient = True

    hook_event_name = String("Hook name.", example="PreToolUse", data_key="hook_event_name")
    session_id = String("Id of the agent's session.", example=EXAMPLE_ID, data_key="session_id")


class HookResponse(Schema):
    """Always empty, so it cannot influence the agent."""
