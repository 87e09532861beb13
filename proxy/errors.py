"""The proxy's own refusals, in addition to those of errors.py."""

import errno

from errors import Refusal


class NoProviderKey(Refusal):
    code = 403
    reason = "no_provider_key"
    TOOLS = {"anthropic": ("Claude Code", "ANTHROPIC_API_KEY"), "openai": ("Codex", "OPENAI_API_KEY")}

    def __init__(self, provider: str):
        tool, setting = self.TOOLS[provider]
        super().__init__(
            f"{tool} cannot reach a model, because {setting} is not set on this assessment's server. Please tell "
            f"whoever invited you. Your session continues: you can work without {tool} until the key is set."
        )


class BudgetSpent(Refusal):
    code = 402
    reason = "token_budget_spent"
    sentence = (
        "This assessment's budget for AI models is used up. Your session continues: "
        "please finish your work without the model and submit it."
    )


class TooManyStreams(Refusal):
    """All stream slots of this process are taken: 529 as Anthropic's clients expect, or 429."""

    code = 429
    reason = "too_many_streams"
    sentence = "Too many model calls are running. Retry in a few seconds."
    retry_after = 2

    def __init__(self, provider: str):
        super().__init__()
        self.code = 529 if provider == "anthropic" else self.code


class ProviderUnreachable(Refusal):
    code = 502
    reason = "provider_unreachable"
    sentence = "The model's provider could not be reached. Please try again."


class ProviderRedirects(Refusal):
    code = 502
    reason = "provider_redirects"
    sentence = "The model's provider responded with a redirect, which is not followed. Please tell whoever invited you."


class ProviderTimeout(Refusal):
    code = 504
    reason = "provider_timeout"
    sentence = "The model's provider did not respond in time. Please try again."


class ResponseInterrupted(ConnectionResetError):
    """The provider's response broke off after its start.

    gunicorn then closes the client's connection before the end of the body, so that the client notices.
    """

    def __init__(self) -> None:
        super().__init__(errno.ECONNRESET, "the provider's response was interrupted")
