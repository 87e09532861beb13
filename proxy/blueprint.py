"""The model proxies: the provider endpoints that Claude Code and Codex use (client contract, section 3.16).

Errors have the provider's format, since its own clients read them (docs/proxies.md).
"""

import re
from collections.abc import Callable
from contextlib import ExitStack, closing
from datetime import datetime, timedelta
from math import ceil
from typing import Any
from urllib.parse import quote

from flask import Response, current_app, request

from access import auth, caller
from blueprints import Blueprint, release_connection, session_quota
from errors import NotFound, SessionClosed
from models import CandidateKey, Session, clock, sessions
from proxy import budget as budget_rules
from proxy import endpoints, refusals
from proxy.budget import BilledCall
from proxy.endpoints import Endpoint
from proxy.errors import AccessExpired, AgentRefused, ClientLeft, ProviderTimeout
from proxy.forwarding import Call, ModelProxy
from proxy.lazy_json import LazyObject
from proxy.model_request import ModelRequest, read_request
from proxy.recording import CHANNEL, ProxyRequest, Recorder
from proxy.request_body import RequestBody
from proxy.response import Observer, ProviderResponse
from proxy.stream_slots import StreamSlots
from web.json import body_limit

MAX_REQUEST_BYTES = 32 * 1024 * 1024
# From the redeem, in a session without a time limit.
MODEL_ACCESS_PERIOD = timedelta(hours=24)
# The tool in `allowedTools` that calls each provider.
AGENTS = {"anthropic": "claude", "openai": "codex"}
RESPONSES_PATH = "/v1/proxy/openai/v1/responses"
FURTHER_WAIT_SECONDS = 1
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
    streams = settings["PROXY_STREAMS"]
    other_threads = settings["WEB_THREADS"] - streams
    # One candidate's calls, running and waiting, must leave a thread to everything else. Claude Code counts the tokens
    # of 20 texts at once: these calls take a moment, so that further ones may occupy the other threads for as long.
    slots = StreamSlots(streams, settings["PROXY_STREAMS_PER_KEY"], max_waiting=max(1, other_threads // 2))
    free = max(1, other_threads // 2)
    free_slots = StreamSlots(free, free, max_waiting=other_threads // 4, further_seconds=FURTHER_WAIT_SECONDS)
    state.app.extensions["proxy"] = ModelProxy(providers, slots, free_slots=free_slots)
    other_paths = "/proxy/<any(anthropic, openai):provider>/<path:path>"
    state.add_url_rule(other_paths, "other_path", other_path, methods=METHODS)
    state.add_url_rule("/proxy/anthropic", "probe", probe, methods=["HEAD"])


def proxied(provider: str) -> Callable:
    """Authentication, body limit and documented errors, for every operation."""

    def decorate(view: Any) -> Any:
        view = body_limit(MAX_REQUEST_BYTES)(view)
        view = auth.required(CandidateKey, chain=auth.CANDIDATE_CHAIN)(view)
        view.responses = refusals.documented(provider)
        return view

    return decorate


@blp.before_request
def answer_probes() -> Response | None:
    """Answer what tools send before their first call, without a credential (R39)."""
    if request.method == "HEAD" and request.path.startswith("/v1/proxy/anthropic/"):
        return probe()
    if request.path == RESPONSES_PATH and request.headers.get("Upgrade", "").lower() == "websocket":
        # Codex then sends requests instead, at once and without a message.
        return Response("WebSocket is not supported. Use POST.\n", 426, mimetype="text/plain")
    return None


def probe() -> Response:
    """Respond with 200: Claude Code checks at its start that the service is reachable."""
    return Response()


@blp.post("/proxy/anthropic/v1/messages")
@blp.doc(requestBody=JSON_BODY)
@proxied("anthropic")
def anthropic_messages():
    """Call an Anthropic model

    Anthropic's Messages API, streamed or not, forwarded unchanged except for hosted tools that the assessment does not
    allow. Only while the session is open. The call is recorded as events if the candidate has agreed to it.
    """
    return _forward(endpoints.MESSAGES)


@blp.post("/proxy/anthropic/v1/messages/count_tokens")
@blp.doc(requestBody=JSON_BODY)
@proxied("anthropic")
def anthropic_count_tokens():
    """Count the tokens of a message"""
    return _forward(endpoints.COUNT_TOKENS)


@blp.get("/proxy/anthropic/v1/models")
@proxied("anthropic")
def anthropic_models():
    """List Anthropic's models"""
    return _forward(endpoints.models("messages", "anthropic"))


@blp.get("/proxy/anthropic/v1/models/<model>")
@proxied("anthropic")
def anthropic_model(model):
    """Get one of Anthropic's models"""
    if not MODEL.fullmatch(model):
        raise NotFound()
    return _forward(endpoints.models("messages", "anthropic", quote(model)))


@blp.post("/proxy/openai/v1/responses")
@blp.doc(requestBody=JSON_BODY)
@proxied("openai")
def openai_responses():
    """Call an OpenAI model

    OpenAI's Responses API, streamed or not, forwarded unchanged except for hosted tools that the assessment does not
    allow. Only while the session is open. The call is recorded as events if the candidate has agreed to it.
    """
    return _forward(endpoints.RESPONSES)


@blp.post("/proxy/openai/v1/chat/completions")
@blp.doc(requestBody=JSON_BODY)
@proxied("openai")
def openai_chat_completions():
    """Call an OpenAI model with Chat Completions

    For tools that do not use the Responses API. Forwarded and recorded like it. Without
    `stream_options.include_usage`, the usage of a stream is estimated.
    """
    return _forward(endpoints.CHAT_COMPLETIONS)


@blp.get("/proxy/openai/v1/models")
@proxied("openai")
def openai_models():
    """List OpenAI's models"""
    return _forward(endpoints.models("responses", "openai"))


@auth.required(CandidateKey, chain=auth.CANDIDATE_CHAIN)
def other_path(provider, path):
    """Refuse every other path: it would be billed to the service's key."""
    raise NotFound()


def _forward(endpoint: Endpoint) -> Response:
    arrived_at = clock.now()
    session, budget = Session.of_key(caller), _budget_nano_usd(caller.assessment)
    proxy = current_app.extensions["proxy"]
    _require_access(session, endpoint.provider)
    proxy.require_key(endpoint.provider)
    budget_rules.require_left(session, budget)
    # Reading the body can take seconds and a stream minutes. Neither needs the database.
    release_connection()
    with ExitStack() as undo, ExitStack() as resources:
        release_slot = proxy.acquire_slot(endpoint, caller.id)
        undo.callback(release_slot)
        body = resources.enter_context(closing(RequestBody()))
        if request.method == "POST":
            body.receive(request.stream)
        observer = Observer(release_slot)
        if endpoint.is_billed:
            observer = _billed_call(endpoint, session, body, budget, arrived_at, release_slot)
        forwarded = _send(_call(endpoint, body), observer)
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


def _billed_call(
    endpoint: Endpoint,
    session: Session,
    body: RequestBody,
    budget: int | None,
    arrived_at: datetime,
    release_slot: Callable[[], None],
) -> BilledCall:
    """Check the request, and reserve its cost."""
    model_request = read_request(endpoint, body, caller.assessment.allowed_hosted_tools)
    recorder = _recorder(endpoint, session, model_request, arrived_at)
    reservation = budget_rules.reserve(session, endpoint.provider, model_request, budget)
    release_connection()
    # Only a recorder needs the body's text any longer.
    limits = model_request._replace(members={}, elements={})
    return BilledCall(session, endpoint.provider, limits, reservation, release_slot, recorder)


def _recorder(
    endpoint: Endpoint, session: Session, model_request: ModelRequest, arrived_at: datetime
) -> Recorder | None:
    """The recorder of a call; None if the candidate has not agreed to recording (R38), or without rules/agents/."""
    dialect = current_app.extensions.get("dialects", {}).get(endpoint.dialect)
    if dialect is None or not sessions.may_record(session, CHANNEL):
        return None
    headers = {name.lower(): value for name, value in request.headers.items()}
    body = LazyObject(model_request.members, model_request.elements)
    return Recorder(session, dialect, ProxyRequest(headers, body, arrived_at), session_quota())


def _send(call: Call, observer: Observer) -> ProviderResponse:
    """Forward the call. On an error, release the reservation and book what the provider may bill."""
    proxy = current_app.extensions["proxy"]
    try:
        return proxy.forward(call, observer)
    except (ClientLeft, ProviderTimeout) as error:
        observer.on_no_response(499 if isinstance(error, ClientLeft) else error.code)
        raise
    except BaseException:
        observer.cancel()
        raise


def _call(endpoint: Endpoint, body: RequestBody) -> Call:
    return Call(
        endpoint,
        request.method,
        query=request.query_string.decode("latin-1"),
        headers=list(request.headers.items()),
        body=body if request.method == "POST" else None,
        client=request.environ.get("gunicorn.socket"),
    )
