"""Provider endpoints that the proxy forwards to."""

from typing import NamedTuple


class Endpoint(NamedTuple):
    """A provider endpoint.

    dialect -- `messages`, `responses` or `chat_completions`
    provider -- `anthropic` or `openai`
    path -- below the provider's base URL
    is_billed -- False for free calls, which are not recorded and have their own slots
    """

    dialect: str
    provider: str
    path: str
    is_billed: bool = False


MESSAGES = Endpoint("messages", "anthropic", "/v1/messages", is_billed=True)
COUNT_TOKENS = Endpoint("messages", "anthropic", "/v1/messages/count_tokens")
RESPONSES = Endpoint("responses", "openai", "/v1/responses", is_billed=True)
CHAT_COMPLETIONS = Endpoint("chat_completions", "openai", "/v1/chat/completions", is_billed=True)
ANTHROPIC_MODELS = Endpoint("messages", "anthropic", "/v1/models")
OPENAI_MODELS = Endpoint("responses", "openai", "/v1/models")
