"""Recognize the agent that calls the model proxy."""

from collections.abc import Mapping

from rules.agents.claude_code.agent import ClaudeCode
from rules.agents.codex.agent import Codex
from rules.agents.opencode import OpenCode
from rules.agents.unknown_agent import UnknownAgent

AGENTS = (Codex(), OpenCode(), ClaudeCode())


def recognize(headers: Mapping[str, str]) -> UnknownAgent:
    """Return the calling agent.

    headers -- with lowercase names
    """
    return next((agent for agent in AGENTS if agent.recognizes(headers)), UnknownAgent())
