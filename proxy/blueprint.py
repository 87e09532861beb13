"""The model proxies: the provider endpoints that Claude Code and Codex use (client contract, section 3.16).

Errors have the provider's format, since its own clients read them (docs/proxies.md).
"""

import logging
import re
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any
from urllib.parse import quote

from flask import Response, current_app, request
from werkzeug.exceptions import HTTPException

from access import auth, caller
from blueprints import Blueprint, release_connection
from errors import NotFound, SessionClosed
from models import CandidateKey, ModelUsage, Session, clock
from ops import DATABASE_ERRORS
from proxy import refusals
from proxy.errors import BudgetSpent
from proxy.forwarding import Call, ModelProxy
from proxy.response import ProviderResponse
from web.json import NotJson, body_limit

log = logging.getLogger("proofstone.proxy")

MAX_REQUEST_BYTES = 32 * 1024 * 1024
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]
JSON_BODY = {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}}
MODEL = re.compile(r"(?!\.+$)[\w.:@\[\]-]+", re.ASCII)

blp = Blueprint("Model proxies", __name__, description="The model providers, for candidates' tools.")
refusals.register(blp)


class ForwardedResponse(Response):
    """A provider's response; without a content type if the provider sends none."""

    default_mimetype = None


class RequestBody:
    """The request's body as a file to read from while it arrives; 413 if it is declared to be too long."""

    def __init__(self) -> None:
        self._stream = request.stream

    def read(self, size: int) -> bytes:
        try:
            return self._stream.read(size)
        except HTTPException:
            raise
        except Exception:
            # Otherwise it would be reported as a failure of the provider.
            raise NotJson("The body ended before its declared length.") from None


@blp.record_once
def _register(state: Any) -> None:
    settings = state.app.config
    providers = {
        "anthropic": (settings["ANTHROPIC_BASE_URL"], settings["ANTHROPIC_API_KEY"]),
        "openai": (settings["OPENAI_BASE_URL"], settings["OPENAI_API_KEY"]),
    }
    state.app.extensions["proxy"] = ModelProxy(providers, settings["PROXY_STREAMS"])
    others = "/proxy/<any(anthropic, openai):provider>/<path:path>"
    state.add_url_rule(others, "other_path", other_path, methods=METHODS)


def proxied(provider: str) -> Callable:
    """Authentication, body limit and documented errors, for every operation."""

    def decorate(view: Any) -> Any:
        view = body_limit(MAX_REQUEST_BYTES)(view)
        view = auth.required(CandidateKey, chain=auth.CANDIDATE_CHAIN)(view)
        view.responses = refusals.documented(provider)
        return view

    return decorate


@blp.post("/proxy/anthropic/v1/messages")
@blp.doc(requestBody=JSON_BODY)
@proxied("anthropic")
def anthropic_messages():
    """Call an Anthropic model

    Anthropic's Messages API, streamed or not, forwarded unchanged. Only while the session is open.
    """
    return _forward("anthropic", "/v1/messages", records_usage=True)


@blp.post("/proxy/anthropic/v1/messages/count_tokens")
@blp.doc(requestBody=JSON_BODY)
@proxied("anthropic")
def anthropic_count_tokens():
    """Count the tokens of a message"""
    return _forward("anthropic", "/v1/messages/count_tokens")


@blp.get("/proxy/anthropic/v1/models")
@proxied("anthropic")
def anthropic_models():
    """List Anthropic's models"""
    return _forward("anthropic", "/v1/models")


@blp.get("/proxy/anthropic/v1/models/<model>")
@proxied("anthropic")
def anthropic_model(model):
    """Get one of Anthropic's models"""
    if not MODEL.fullmatch(model):
        raise NotFound()
    return _forward("anthropic", f"/v1/models/{quote(model)}")


@blp.post("/proxy/openai/v1/responses")
@blp.doc(requestBody=JSON_BODY)
@proxied("openai")
def openai_responses():
    """Call an OpenAI model

    OpenAI's Responses API, streamed or not, forwarded unchanged. Only while the session is open.
    """
    return _forward("openai", "/v1/responses", records_usage=True)


@blp.get("/proxy/openai/v1/models")
@proxied("openai")
def openai_models():
    """List OpenAI's models"""
    return _forward("openai", "/v1/models")


@auth.required(CandidateKey, chain=auth.CANDIDATE_CHAIN)
def other_path(provider, path):
    """Refuse every other path: it would be billed to the service's key."""
    raise NotFound()


def _forward(provider: str, path: str, *, records_usage: bool = False) -> Response:
    session, started_at = Session.of_key(caller), clock.now()
    if session.closed_as_of(started_at):
        raise SessionClosed()
    proxy = current_app.extensions["proxy"]
    proxy.require_key(provider)
    budget = caller.assessment.token_budget_nano_usd
    if budget is not None and ModelUsage.spent_nano_usd(session) >= budget:
        raise BudgetSpent()
    # A stream can take minutes and needs no database.
    release_connection()
    on_end = partial(_record_usage, session, provider, started_at) if records_usage else None
    forwarded = proxy.forward(_call(provider, path), on_end)
    response = ForwardedResponse(forwarded.chunks(), forwarded.status, forwarded.headers)
    response.call_on_close(forwarded.close)
    return response


def _call(provider: str, path: str) -> Call:
    return Call(
        provider,
        request.method,
        path,
        query=request.query_string.decode("latin-1"),
        headers=list(request.headers.items()),
        body=RequestBody() if request.method == "POST" else None,
        client=request.environ.get("gunicorn.socket"),
    )


def _record_usage(session: Session, provider: str, started_at: datetime, response: ProviderResponse) -> None:
    try:
        ModelUsage.record(
            session,
            provider,
            response.reader.usage(),
            started_at=started_at,
            status_code=response.status,
            is_whole=response.is_whole,
        )
    except DATABASE_ERRORS:
        # The candidate already has the response.
        log.exception("Could not store the usage of a call to %s.", provider)
