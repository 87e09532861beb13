"""The model proxies: the provider endpoints that Claude Code and Codex use (client contract, section 3.16).

Errors have the provider's format, since its own clients read them (docs/proxies.md).
"""

import re
from collections.abc import Callable
from contextlib import ExitStack, closing
from datetime import timedelta
from math import ceil
from typing import Any
from urllib.parse import quote

from flask import Response, current_app, request

from access import auth, caller
from blueprints import Blueprint, release_connection
from errors import NotFound, SessionClosed
from models import CandidateKey, Session, clock
from proxy import budget as budget_rules
from proxy import refusals
from proxy.budget import BilledCall
from proxy.errors import AccessExpired, AgentRefused, ClientLeft, ProviderTimeout, TooManyStreams
from proxy.forwarding import Call, ModelProxy
from proxy.model_request import read_request
from proxy.request_body import RequestBody
from proxy.response import ProviderResponse
from proxy.stream_slots import StreamSlots
from web.json import body_limit

MAX_REQUEST_BYTES = 32 * 1024 * 1024
# From the redeem, in a session without a time limit.
MODEL_ACCESS_PERIOD = timedelta(hours=24)
# The tool in `allowedTools` that calls each provider.
AGENTS = {"anthropic": "claude", "openai": "codex"}
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]
JSON_BODY = {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}}
MODEL = re.compile(r"(?!\.+$)[\w.:@\[\]-]+", re.ASCII)

blp = Blueprint("Model proxies", __name__, description="The model providers, for candidates' tools.")
refusals.register(blp)


class ForwardedResponse(Response):
    """A provider's response; without a content type if the provider sends none."""

    default_mimetype = None


@blp.record_once
def _register(state: Any) -> None:
    settings = state.app.config
    providers = {
        "anthropic": (settings["ANTHROPIC_BASE_URL"], settings["ANTHROPIC_API_KEY"]),
        "openai": (settings["OPENAI_BASE_URL"], settings["OPENAI_API_KEY"]),
    }
    slots = StreamSlots(settings["PROXY_STREAMS"], settings["PROXY_STREAMS_PER_KEY"])
    state.app.extensions["proxy"] = ModelProxy(providers, slots)
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

    Anthropic's Messages API, streamed or not, forwarded unchanged except for hosted tools that the assessment does not
    allow. Only while the session is open.
    """
    return _forward("anthropic", "/v1/messages", is_billed=True)


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

    OpenAI's Responses API, streamed or not, forwarded unchanged except for hosted tools that the assessment does not
    allow. Only while the session is open.
    """
    return _forward("openai", "/v1/responses", is_billed=True)


@blp.get("/proxy/openai/v1/models")
@proxied("openai")
def openai_models():
    """List OpenAI's models"""
    return _forward("openai", "/v1/models")


@auth.required(CandidateKey, chain=auth.CANDIDATE_CHAIN)
def other_path(provider, path):
    """Refuse every other path: it would be billed to the service's key."""
    raise NotFound()


def _forward(provider: str, path: str, *, is_billed: bool = False) -> Response:
    session, budget = Session.of_key(caller), _budget_nano_usd(caller.assessment)
    proxy = current_app.extensions["proxy"]
    _require_access(session, provider)
    proxy.require_key(provider)
    budget_rules.require_left(session, budget)
    # Reading the body can take seconds and a stream minutes. Neither needs the database.
    release_connection()
    release_slot = proxy.slots.acquire(caller.id)
    if release_slot is None:
        raise TooManyStreams(provider)
    with ExitStack() as undo, closing(RequestBody()) as body:
        undo.callback(release_slot)
        if request.method == "POST":
            body.receive(request.stream)
        billed = _reserve(session, provider, body, budget) if is_billed else None
        forwarded = _send(_call(provider, path, body), billed, release_slot)
        undo.pop_all()
    response = ForwardedResponse(forwarded.chunks(), forwarded.status, forwarded.headers)
    response.call_on_close(forwarded.close)
    return response


def _require_access(session: Session, provider: str) -> None:
    """Raise SessionClosed, AccessExpired or AgentRefused."""
    now, allowed = clock.now(), caller.assessment.allowed_agents
    if session.closed_as_of(now):
        raise SessionClosed()
    if session.closes_at is None and now >= session.redeemed_at + MODEL_ACCESS_PERIOD:
        raise AccessExpired()
    if allowed is not None and AGENTS[provider] not in allowed:
        raise AgentRefused(provider)


def _budget_nano_usd(assessment: Any) -> int | None:
    """The assessment's budget, or the default; None for no limit."""
    default = ceil(current_app.config["SESSION_DEFAULT_BUDGET_USD"] * 10**9)
    own = assessment.token_budget_nano_usd
    return own if own is not None else default or None


def _reserve(session: Session, provider: str, body: RequestBody, budget: int | None) -> BilledCall:
    """Check the request and reserve its cost."""
    model_request = read_request(provider, body, caller.assessment.allowed_hosted_tools)
    reservation = budget_rules.reserve(session, provider, model_request, budget)
    release_connection()
    return BilledCall(session, provider, model_request, reservation)


def _send(call: Call, billed: BilledCall | None, release_slot: Callable[[], None]) -> ProviderResponse:
    """Forward the call. On an error, release the reservation and book what the provider may bill."""

    def on_end(response: ProviderResponse) -> None:
        release_slot()
        if billed:
            billed.on_end(response)

    proxy = current_app.extensions["proxy"]
    try:
        return proxy.forward(call, billed.on_chunk if billed else lambda: None, on_end)
    except (ClientLeft, ProviderTimeout) as error:
        if billed:
            billed.on_no_response(499 if isinstance(error, ClientLeft) else error.code)
        raise
    except BaseException:
        if billed:
            billed.cancel()
        raise


def _call(provider: str, path: str, body: RequestBody) -> Call:
    return Call(
        provider,
        request.method,
        path,
        query=request.query_string.decode("latin-1"),
        headers=list(request.headers.items()),
        body=body if request.method == "POST" else None,
        client=request.environ.get("gunicorn.socket"),
    )
