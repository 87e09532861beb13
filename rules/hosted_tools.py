"""Hosted tools in model requests: the provider runs them, not the candidate's machine (R42)."""

import re
from typing import Any

from rules.events.envelopes import label

# Prefix of a provider's tool type to the name used in an assessment's allowlist. Anthropic's types end in a date, such
# as `web_search_20250305`.
HOSTED_TOOLS = {
    "web_search": "web_search",
    "web_fetch": "web_fetch",
    "code_execution": "code_execution",
    "code_interpreter": "code_execution",
    "image_generation": "image_generation",
    "file_search": "file_search",
    "mcp": "mcp",
}
ALLOWABLE = sorted(set(HOSTED_TOOLS.values()))
# Tool types that the client runs. A tool search only reads the tools in the request.
_CLIENT_TOOLS = {
    "anthropic": re.compile(
        r"custom|(bash|text_editor|computer|memory)_[0-9]{8}|tool_search_tool_(bm25|regex)(_[0-9]{8})?"
    ),
    "openai": re.compile(
        r"function|custom|namespace|tool_search|local_shell|apply_patch|computer|computer_use(_preview)?"
    ),
}


def rejected_tool(provider: str, tool_type: Any, allowed: list[str]) -> str | None:
    """Return the tool's name if the request must be rejected, or None if it runs on the client or is allowed.

    Unknown types are treated as hosted.
    """
    if tool_type is None and provider == "anthropic":
        return None
    name = label(tool_type) or "of an unknown type"
    if _CLIENT_TOOLS[provider].fullmatch(name):
        return None
    hosted = next((allowable for prefix, allowable in HOSTED_TOOLS.items() if name.startswith(prefix)), name)
    return None if hosted in allowed else hosted
