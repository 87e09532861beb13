"""Hosted tools of model requests: the provider runs them, not the candidate's machine (R42)."""

import re
from typing import Any

from rules.events.envelopes import label

# Prefixes of both providers' tool types, and the names by which an assessment allows them. Anthropic's types end in a
# date, such as `web_search_20250305`.
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
# Types of tools that the client runs. A tool search reads only the request's own tools.
_CLIENT_TOOLS = {
    "anthropic": re.compile(
        r"custom|(bash|text_editor|computer|memory)_[0-9]{8}|tool_search_tool_(bm25|regex)(_[0-9]{8})?"
    ),
    "openai": re.compile(
        r"function|custom|namespace|tool_search|local_shell|apply_patch|computer|computer_use(_preview)?"
    ),
}


def rejected_tool(provider: str, tool_type: Any, allowed: list[str]) -> str | None:
    """The name of a tool that must not be forwarded; None if it runs on the client or is allowed.

    An unknown type counts as hosted.
    """
    if tool_type is None and provider == "anthropic":
        return None
    name = label(tool_type) or "of an unknown type"
    if _CLIENT_TOOLS[provider].fullmatch(name):
        return None
    hosted = next((known for start, known in HOSTED_TOOLS.items() if name.startswith(start)), name)
    return None if hosted in allowed else hosted
