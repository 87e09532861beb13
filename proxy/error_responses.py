"""Errors in the provider's error format, which its own clients can read."""

from typing import Any

import peewee
from flask import request
from werkzeug.exceptions import HTTPException

import errors
from blueprints import Blueprint
from errors import (
    ApiError,
    DatabaseFull,
    DiskFull,
    NotRedeemed,
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
from proxy.provider_errors import ERROR_BUILDERS, is_retryable
from web.json import NotJson

KEY_REQUIRED = "A valid candidate key is required as the API key."
# A retry fixes none of these.
FINAL = (ProviderRedirects, ProviderRejectedKey)


def register(blp: Blueprint) -> None:
    """Return every error of the blueprint's endpoints in the provider's format."""
    blp.register_error_handler(HTTPException, _reject)
    for kind in (peewee.DatabaseError, *errors.CONNECTION_ERRORS):
        blp.register_error_handler(kind, lambda error: _reject(errors.response_to_database_error(error)))


def _reject(error: HTTPException) -> Any:
    body, status, headers = errors.response_of(error)
    # The sentence for other endpoints names X-API-Key. Claude Code would say "Please run /login" instead of it.
    sentence = KEY_REQUIRED if body["code"] == Unauthenticated.reason else body["error"]
    is_final = isinstance(error, FINAL) or not is_retryable(status)
    if is_final:
        headers = [*headers, ("X-Should-Retry", "false")]
    agent = request.headers.get("User-Agent", "")
    if agent.startswith("codex") and (is_final or status == 429):
        # It shows the text of a 400, and repeats everything else but a 429, at which it gives up without a sentence.
        return sentence, 400 if is_final else 503, [*headers, ("Content-Type", "text/plain; charset=utf-8")]
    if "ai-sdk/" in agent and is_final and (status == 409 or status >= 500):
        status = 400
    provider = request.path.removeprefix("/v1/proxy/").partition("/")[0]
    return ERROR_BUILDERS[provider](status, body["code"], sentence), status, headers


def documented(provider: str) -> dict[int, Any]:
    """An operation's responses for OpenAPI: the provider's, and each error in its format."""
    responses: dict[int, Any] = {200: {"description": "The provider's response or error, unchanged."}}
    for status, code, sentence in _api_errors(provider):
        media: dict[str, Any] = {"schema": {"type": "object"}, "examples": {}}
        response = responses.setdefault(status, {"description": "", "content": {"application/json": media}})
        response["description"] = f"{response['description']}\n\n`{code}`: {sentence}".strip()
        example = {"value": ERROR_BUILDERS[provider](status, code, sentence)}
        response["content"]["application/json"]["examples"][code] = example
    return responses


def _api_errors(provider: str) -> list[tuple[int, str, str]]:
    kinds: list[type[ApiError]] = [
        Unauthenticated,
        BudgetSpent,
        NotRedeemed,
        SessionClosed,
        ProviderRedirects,
    ]
    kinds += [ProviderRejectedKey]
    kinds += [ProviderUnreachable, Unavailable, DatabaseFull, DiskFull, ProviderTimeout, AccessExpired]
    kinds += [NotJson, TooManyValues, BackgroundRejected, StoredStateRejected]
    api_errors = [NoProviderKey(provider), AgentRejected(provider), HostedToolRejected("web_search")]
    remote_field = {"anthropic": "source.url", "openai": "image_url"}[provider]
    api_errors += [RemoteInputRejected(remote_field), SurchargeRejected("service_tier")]
    api_errors += [TooManyStreams(provider), *(kind() for kind in kinds)]
    plain = [(status, *errors.HTTP_ERRORS[status]) for status in (404, 413, 429)]
    sentences = {Unauthenticated.reason: KEY_REQUIRED}
    return plain + [
        (error.code, error.reason, sentences.get(error.reason, error.sentence)) for error in api_errors
    ]
