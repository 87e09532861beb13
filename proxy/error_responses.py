"""Errors in the provider's format, so that its clients can read them (docs/proxies.md)."""

from typing import Any

import peewee
from flask import request
from werkzeug.exceptions import HTTPException

import database_errors
import errors
from blueprints import Blueprint
from errors import (
    ApiError,
    DatabaseFull,
    DiskFull,
    NotRedeemed,
    RecordingRequired,
    SessionClosed,
    TooManyValues,
    Unauthenticated,
    Unavailable,
)
from proxy.errors import (
    AccessExpired,
    AgentRejected,
    BackgroundRejected,
    BudgetSpent,
    ChoicesRejected,
    HostedToolRejected,
    NoProviderKey,
    ProviderRedirects,
    ProviderRejectedKey,
    ProviderTimeout,
    ProviderUnreachable,
    RemoteInputRejected,
    StoredStateRejected,
    SurchargeRejected,
    TooManyStreams,
)
from web.json import NotJson

KEY_REQUIRED = "A valid candidate key is required as the API key."
# Configuration errors: a retry cannot succeed, regardless of the status.
FINAL = (ProviderRedirects, ProviderRejectedKey)
_ANTHROPIC_TYPES = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_OPENAI_TYPES = {
    401: "authentication_error",
    402: "insufficient_quota",
    403: "permission_error",
    429: "rate_limit_error",
}


def register(blp: Blueprint) -> None:
    """Return all errors from the blueprint's endpoints in the provider's format."""
    blp.register_error_handler(HTTPException, _respond)
    for error_class in (peewee.DatabaseError, *database_errors.CONNECTION_ERRORS):
        blp.register_error_handler(
            error_class, lambda error: _respond(database_errors.response_to_database_error(error))
        )


def _respond(error: HTTPException) -> Any:
    body, status, headers = errors.build_response(error)
    # The default message names X-API-Key, which makes Claude Code say "Please run /login".
    message = KEY_REQUIRED if body["code"] == Unauthenticated.reason else body["error"]
    is_final = isinstance(error, FINAL) or (status != 429 and status < 500)
    if is_final:
        headers = [*(dict(headers) | {"X-Should-Retry": "false"}).items()]
    agent = request.headers.get("User-Agent", "")
    if agent.startswith("codex") and (is_final or status == 429):
        # Codex shows the message of a 400, gives up on a 429 without a message, and retries all other errors.
        return message, 400 if is_final else 503, [*headers, ("Content-Type", "text/plain; charset=utf-8")]
    if "ai-sdk/" in agent and is_final and (status == 409 or status >= 500):
        status = 400
    provider = request.path.removeprefix("/v1/proxy/").partition("/")[0]
    return _provider_error(provider, status, body["code"], message), status, headers


def _provider_error(provider: str, status: int, code: str, message: str) -> dict[str, Any]:
    if provider == "anthropic":
        default = "api_error" if status >= 500 else "invalid_request_error"
        error_type = _ANTHROPIC_TYPES.get(status, default)
        return {"type": "error", "error": {"type": error_type, "message": message, "code": code}}
    default = "server_error" if status >= 500 else "invalid_request_error"
    error_type = _OPENAI_TYPES.get(status, default)
    return {"error": {"message": message, "type": error_type, "param": None, "code": code}}


def document_responses(provider: str) -> dict[int, Any]:
    """Return OpenAPI responses: the provider's response, and each error in the provider's format."""
    responses: dict[int, Any] = {200: {"description": "The provider's response or error, unchanged."}}
    for status, code, message in _api_errors(provider):
        media: dict[str, Any] = {"schema": {"type": "object"}, "examples": {}}
        response = responses.setdefault(status, {"description": "", "content": {"application/json": media}})
        response["description"] = f"{response['description']}\n\n`{code}`: {message}".strip()
        example = {"value": _provider_error(provider, status, code, message)}
        response["content"]["application/json"]["examples"][code] = example
    return responses


def _api_errors(provider: str) -> list[tuple[int, str, str]]:
    error_classes: list[type[ApiError]] = [
        BudgetSpent,
        RecordingRequired,
        NotRedeemed,
        SessionClosed,
        ProviderRedirects,
        ProviderRejectedKey,
    ]
    error_classes += [
        ProviderUnreachable,
        Unavailable,
        DatabaseFull,
        DiskFull,
        ProviderTimeout,
        AccessExpired,
    ]
    error_classes += [NotJson, TooManyValues, BackgroundRejected, StoredStateRejected]
    if provider == "openai":
        error_classes.append(ChoicesRejected)
    remote_field = {"anthropic": "source.url", "openai": "image_url"}[provider]
    api_errors = [Unauthenticated(KEY_REQUIRED), *(error_class() for error_class in error_classes)]
    api_errors += [NoProviderKey(provider), AgentRejected(provider), HostedToolRejected("web_search")]
    api_errors += [RemoteInputRejected(remote_field), SurchargeRejected("service_tier")]
    api_errors += [TooManyStreams(provider)]
    http_errors = [(status, *errors.HTTP_ERRORS[status]) for status in (404, 413, 429)]
    return http_errors + [(error.code, error.reason, error.message) for error in api_errors]
