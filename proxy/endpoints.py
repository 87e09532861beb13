"""The providers' endpoints that are forwarded."""

from typing import NamedTuple


class Endpoint(NamedTuple):
    """
    dialect -- of its requests and responses: `messages`, `responses` or `chat_completions`
    provider -- `anthropic` or `openai`
    path -- below the provider's base URL
    is_billed -- False for calls that cost nothing: they need no stream slot, and are not stored
    """

    dialect: str
    provider: str
    path: str
    is_billed: bool = False


MESSAGES = Endpoint("messages", "anthropic", "/v1/messages", is_billed=True)
COUNT_TOKENS = Endpoint("messages", "anthropic", "/v1/messages/count_tokens")
RESPONSES = Endpoint("responses", "openai", "/v1/responses", is_billed=True)
CHAT_COMPLETIONS = Endpoint("chat_completions", "openai", "/v1/chat/completions", is_billed=True)


def models(dialect: str, provider: str, model: str | None = None) -> Endpoint:
    """The list of models, or one model."""
    return Endpoint(dialect, provider, f"/v1/models/{model}" if model else "/v1/models")
