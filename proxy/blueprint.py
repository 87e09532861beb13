"""The model proxies: the provider endpoints that Claude Code and Codex use (client contract, section 3.16)."""

import re
from collections.abc import Callable
from contextlib import ExitStack, closing
from datetime import timedelta
from typing import Any
from urllib.parse import quote

from flask import Response, current_app, request

from access import auth, caller
from blueprints import Blueprint, recording_required, release_connection
from errors import NotFound, SessionClosed
from models import CandidateKey, ModelCaller, Session, clock, sessions
from proxy import budget, endpoints, error_responses
from proxy.billed_call import BilledCall
from proxy.endpoints import Endpoint
from proxy.errors import AccessExpired, AgentRejected, NoProviderKey
from proxy.forwarding import Call, ModelProxy
from proxy.recording import CHANNEL
from proxy.request_body import RequestBody
from proxy.response import Observer
from proxy.stream_slots import StreamSlots
from web.json import body_limit

MAX_REQUEST_BYTES = 32 * 1024 * 1024
RESPONSES_PATH = "/v1/proxy/openai/v1/responses"
# Claude Code counts tokens with up to 20 calls at once.
FREE_CALLS_PER_KEY, MAX_WAITING_FREE_CALLS = 2, 20
# For sessions without a time limit, from their start.
MODEL_ACCESS_PERIOD = timedelta(hours=24)
# The provider's agent in `allowedTools`.
AGENTS = {"anthropic": "claude", "openai": "codex"}
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]
JSON_BODY = {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}}
MODEL = re.compile(r"(?!\.+$)[\w.:@\[\]-]+", re.ASCII)

blp = Blueprint("Model proxies", __name__, description="Model providers for candidates' tools.")
error_responses.register(blp)


class ForwardedResponse(Response):
    """A provider's response, without a content type unless the provider sent one."""

    default_mimetype = None


@blp.record_once
def _register(state: Any) -> None:
    settings = state.app.config
    providers = {
        "anthropic": (settings["ANTHROPIC_BASE_URL"], settings["ANTHROPIC_API_KEY"]),
        "openai": (settings["OPENAI_BASE_URL"], settings["OPENAI_API_KEY"]),
    }
    streams, per_key = settings["PROXY_STREAMS"], settings["PROXY_STREAMS_PER_KEY"]
    threads_per_key = per_key + FREE_CALLS_PER_KEY + MAX_WAITING_FREE_CALLS
    # Of few streams, one key's calls leave some to another, even while their bodies arrive slowly.
    threads = StreamSlots(streams, min(threads_per_key, max(per_key, streams - per_key)))
    slots = StreamSlots(streams, per_key, max_waiting=streams)
    free_slots = StreamSlots(streams, FREE_CALLS_PER_KEY, MAX_WAITING_FREE_CALLS, is_shared=False)
    state.app.extensions["stream_slots"] = slots
    state.app.extensions["proxy"] = ModelProxy(providers, threads, slots, free_slots)
    other_paths = "/proxy/<any(anthropic, openai):provider>/<path:path>"
    state.add_url_rule(other_paths, "other_path", other_path, methods=METHODS)
    state.add_url_rule("/proxy/anthropic", "probe", probe, methods=["HEAD"])


def proxy_endpoint(provider: str) -> Callable:
    """Add authentication, the body limit and the documented errors."""

    def decorate(view: Any) -> Any:
        view = body_limit(MAX_REQUEST_BYTES)(view)
        view = auth.required(CandidateKey, lookups=auth.CANDIDATE_LOOKUPS)(view)
        view.responses = error_responses.document_responses(provider)
        return view

    return decorate


@blp.before_request
def respond_to_probes() -> Response | None:
    """Respond to the probes that tools send before their first call, without a credential (R39)."""
    if request.method == "HEAD" and request.path.startswith("/v1/proxy/anthropic/"):
        return probe()
    if request.path == RESPONSES_PATH and request.headers.get("Upgrade", "").lower() == "websocket":
        # Codex then falls back to HTTP requests, immediately and silently.
        return Response("WebSocket is not supported. Use POST.\n", 426, mimetype="text/plain")
    return None


def probe() -> Response:
    """Respond with 200: Claude Code checks on startup that the service is reachable."""
    return Response()


@blp.post("/proxy/anthropic/v1/messages")
@blp.doc(requestBody=JSON_BODY)
@proxy_endpoint("anthropic")
def anthropic_messages():
    """Call an Anthropic model

    Anthropic's Messages API, streamed or not, forwarded unchanged except for hosted tools that the assessment does not
    allow, and recorded as events. Available only while the session is open and recorded.
    """
    return _forward(endpoints.MESSAGES)


@blp.post("/proxy/anthropic/v1/messages/count_tokens")
@blp.doc(requestBody=JSON_BODY)
@proxy_endpoint("anthropic")
def anthropic_count_tokens():
    """Count tokens in a message"""
    return _forward(endpoints.COUNT_TOKENS)


@blp.get("/proxy/anthropic/v1/models")
@proxy_endpoint("anthropic")
def anthropic_models():
    """List Anthropic's models"""
    return _forward(endpoints.ANTHROPIC_MODELS)


@blp.get("/proxy/anthropic/v1/models/<model>")
@proxy_endpoint("anthropic")
def anthropic_model(model):
    """Get one of Anthropic's models"""
    if not MODEL.fullmatch(model):
        raise NotFound()
    models = endpoints.ANTHROPIC_MODELS
    return _forward(models._replace(path=f"{models.path}/{quote(model)}"))


@blp.post("/proxy/openai/v1/responses")
@blp.doc(requestBody=JSON_BODY)
@proxy_endpoint("openai")
def openai_responses():
    """Call an OpenAI model

    OpenAI's Responses API, streamed or not, forwarded unchanged except for hosted tools that the assessment does not
    allow, and recorded as events. Available only while the session is open and recorded.
    """
    return _forward(endpoints.RESPONSES)


@blp.post("/proxy/openai/v1/chat/completions")
@blp.doc(requestBody=JSON_BODY)
@proxy_endpoint("openai")
def openai_chat_completions():
    """Call an OpenAI model with Chat Completions

    For tools that do not support the Responses API. Calls are forwarded and recorded like those to the Responses API.
    The usage of a stream is estimated unless `stream_options.include_usage` is set.
    """
    return _forward(endpoints.CHAT_COMPLETIONS)


@blp.get("/proxy/openai/v1/models")
@proxy_endpoint("openai")
def openai_models():
    """List OpenAI's models"""
    return _forward(endpoints.OPENAI_MODELS)


@auth.required(CandidateKey, lookups=auth.CANDIDATE_LOOKUPS)
def other_path(provider, path):
    """Reject all other paths: they would use the service's provider key."""
    raise NotFound()


def _check_access(session: Session, spent_nano_usd: int, proxy: ModelProxy, provider: str) -> None:
    now, allowed_agents = clock.now(), session.assessment.allowed_agents
    if session.closed_as_of(now):
        raise SessionClosed("This session is closed. Your page shows whether you can still submit.")
    if session.closes_at is None and now >= session.redeemed_at + MODEL_ACCESS_PERIOD:
        raise AccessExpired()
    if allowed_agents is not None and AGENTS[provider] not in allowed_agents:
        raise AgentRejected(provider)
    if not proxy.has_key(provider):
        raise NoProviderKey(provider)
    budget.require_remaining(session, spent_nano_usd)


def _forward(endpoint: Endpoint) -> Response:
    received_at = clock.now()
    proxy = current_app.extensions["proxy"]
    session, channels, spent_nano_usd = ModelCaller.of(caller)
    _check_access(session, spent_nano_usd, proxy, endpoint.provider)
    is_recorded = sessions.is_recorded(session, channels)
    if endpoint == endpoints.COUNT_TOKENS and not is_recorded:
        raise recording_required()
    # Reading the body can take seconds, and a stream minutes.
    release_connection()
    with ExitStack() as on_error, ExitStack() as resources:
        release_thread = proxy.acquire_thread(endpoint, caller.id)
        on_error.callback(release_thread)
        body = resources.enter_context(closing(RequestBody()))
        if request.method == "POST":
            body.receive(request.stream)
        release_slot = proxy.acquire_slot(endpoint, caller.id)
        on_error.callback(release_slot)
        observer = Observer(release_slot)
        if endpoint.is_billed:
            recording = {"has_consent": CHANNEL in channels, "is_recorded": is_recorded}
            observer = BilledCall.start(endpoint, session, body, received_at, release_slot, **recording)
        call = Call(
            endpoint,
            request.method,
            query=request.query_string.decode("latin-1"),
            headers=list(request.headers.items()),
            body=body if request.method == "POST" else None,
            client=request.environ.get("gunicorn.socket"),
        )
        forwarded = proxy.forward(call, observer)
        on_error.pop_all()
    response = ForwardedResponse(forwarded.chunks(), forwarded.status, forwarded.headers)
    on_close = ExitStack()
    on_close.callback(release_thread)
    on_close.callback(forwarded.close)
    response.call_on_close(on_close.close)
    return response
