"""Errors that only the proxy raises; all others are in errors.py."""

import errno

from errors import ApiError


class NoProviderKey(ApiError):
    code = 403
    reason = "no_provider_key"
    TOOLS = {"anthropic": ("Claude Code", "ANTHROPIC_API_KEY"), "openai": ("Codex", "OPENAI_API_KEY")}

    def __init__(self, provider: str):
        tool, setting = self.TOOLS[provider]
        super().__init__(
            f"{tool} has no model, because {setting} is not set on this assessment's server. Please tell the person "
            f"who invited you. Your session continues: you can work without {tool} until the key is set."
        )


class BudgetSpent(ApiError):
    code = 402
    reason = "token_budget_spent"
    message = (
        "This assessment's budget for AI models is used up. Your session continues: "
        "please finish your work without the model and submit it."
    )


class TooManyStreams(ApiError):
    """No stream slot is free for this key, or other calls have reserved the remaining budget (R42).

    Anthropic's clients expect 529. Claude Code gives up after three in a row, so calls wait before they are rejected.
    OpenAI's clients retry a 503 and show its message, but give up on a 429.
    """

    code = 503
    reason = "too_many_streams"
    message = "Too many model calls are running. Retry in a few seconds."
    retry_after = 5

    def __init__(self, provider: str):
        super().__init__()
        self.code = 529 if provider == "anthropic" else self.code


class AgentRejected(ApiError):
    code = 403
    reason = "agent_not_allowed"

    def __init__(self, provider: str):
        tool = NoProviderKey.TOOLS[provider][0]
        super().__init__(
            f"This assessment does not allow {tool}. Your session continues: please work without {tool}."
        )


class AccessExpired(ApiError):
    code = 403
    reason = "model_access_expired"
    message = (
        "The AI models of this assessment were available for 24 hours after the start. Your session continues: "
        "please finish your work without the model and submit it."
    )


class HostedToolRejected(ApiError):
    code = 403
    reason = "hosted_tool_not_allowed"

    def __init__(self, tool: str):
        super().__init__(f"This assessment does not allow the model provider's tool {tool}.")


class BackgroundRejected(ApiError):
    code = 400
    reason = "background_not_supported"
    message = "Background responses are not supported. Send the request without `background`."


class ChoicesRejected(ApiError):
    code = 400
    reason = "choices_not_supported"
    message = "More than one choice is not supported. Send the request without `n`."


class StoredStateRejected(ApiError):
    code = 400
    reason = "stored_state_not_supported"
    message = (
        "References to data stored by the provider (responses, conversations, prompts, containers, files) are not "
        "supported. Send the whole conversation."
    )


class RemoteInputRejected(ApiError):
    code = 400
    reason = "remote_input_not_supported"

    def __init__(self, field: str):
        super().__init__(
            f"`{field}` refers to a file at a URL, which is not supported. Send the content in the request instead: "
            "as base64 data or as a data: URL."
        )


class SurchargeRejected(ApiError):
    """The call would cost more than the standard price.

    Claude Code recognizes "Fast mode is not enabled" and continues at the standard speed.
    """

    code = 400
    reason = "surcharge_not_supported"

    def __init__(self, field: str):
        start = "Fast mode is not enabled. " if field == "speed" else ""
        super().__init__(
            f"{start}This assessment only allows models at their standard price. Send the request without `{field}`."
        )


class ProviderUnreachable(ApiError):
    code = 502
    reason = "provider_unreachable"
    message = "Could not reach the model provider. Please try again."


class ProviderRejectedKey(ApiError):
    """The provider responded with 401 or 403. Tools would mistake these for an invalid candidate key and retry."""

    code = 403
    reason = "provider_key_rejected"
    message = (
        "The model provider rejected this service's key. Please tell the person who invited you. "
        "Your session continues: you can work without the model until it is fixed."
    )


class ProviderRedirects(ApiError):
    code = 502
    reason = "provider_redirects"
    message = "The model provider responded with a redirect. Please tell the person who invited you."


class ClientDisconnected(ProviderUnreachable):
    """The client disconnected before the response. It never receives this error."""


class ProviderTimeout(ApiError):
    code = 504
    reason = "provider_timeout"
    message = "The model provider did not respond in time. Please try again."


class ResponseInterrupted(ConnectionResetError):
    """The provider's response was interrupted.

    gunicorn then closes the connection before the end of the body, so the client can detect the failure.
    """

    def __init__(self) -> None:
        super().__init__(errno.ECONNRESET, "the provider's response was interrupted")
