"""The model proxies: what Claude Code and Codex need of their providers (client contract, section 3.16).

Refusals have the provider's shape here, since its own clients read them (docs/proxies.md).
"""

import logging
import re
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any
from urllib.parse import quote

import peewee
from flask import Flask, Response, current_app, request
from playhouse.pool import MaxConnectionsExceeded
from werkzeug.exceptions import HTTPException

import models
from access import auth
from access.auth import caller
from blueprints import Blueprint, release_connection
from errors import NotFound
from models import CandidateKey, ModelUsage, Session
from models.model_usage import active_session
from proxy import refusals
from proxy.forwarding import LONGEST_REQUEST_BYTES, Answer, BudgetSpent, Call, ModelProxy
from web.json import NotJson, body_limit

log = logging.getLogger("proofstone.model_proxy")

METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]
JSON_BODY = {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}}
MODEL = re.compile(r"(?!\.+$)[\w.:@\[\]-]+", re.ASCII)

blp = Blueprint("Model proxies", __name__, description="The models' providers, for the tools of candidates.")
refusals.register(blp)


class Passed(Response):
    """A provider's answer: without a content type of ours where it has none."""

    default_mimetype = None


class RequestBody:
    """The request's body on its way to the provider; 413 at once where it says that it is too long."""

    def __init__(self) -> None:
        self._stream = request.stream

    def read(self, size: int) -> bytes:
        try:
            return self._stream.read(size)
        except HTTPException:
            raise
        except Exception:
            # It would look as if the provider had failed, not the candidate's connection.
            raise NotJson("The body did not arrive whole.") from None


@blp.record_once
def _connect(state: Any) -> None:
    state.app.extensions["model_proxy"] = proxy_of(state.app)
    state.add_url_rule(
        "/proxy/<any(anthropic, openai):provider>/<path:path>", "other_path", other_path, methods=METHODS
    )


def proxy_of(app: Flask) -> ModelProxy:
    """The way to the providers that the settings name."""
    providers = {
        name: (app.config[f"{name.upper()}_BASE_URL"], app.config[f"{name.upper()}_API_KEY"])
        for name in ("anthropic", "openai")
    }
    return ModelProxy(providers, app.config["PROXY_STREAMS"])


def proxied(provider: str) -> Callable:
    """What all operations share: who may call, how much they may send, and which answers they give."""

    def decorate(view: Any) -> Any:
        view = body_limit(LONGEST_REQUEST_BYTES)(view)
        view = auth.required(CandidateKey, chain=auth.CANDIDATE_CHAIN)(view)
        view.answers = refusals.documented(provider)
        return view

    return decorate


@blp.post("/proxy/anthropic/v1/messages")
@blp.doc(requestBody=JSON_BODY)
@proxied("anthropic")
def anthropic_messages():
    """Ask an Anthropic model

    Anthropic's Messages, streamed or not, passed on byte by byte. Only while the session is open.
    """
    return _forward("anthropic", "/v1/messages", is_counted=True)


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
    """Look at one of Anthropic's models"""
    if not MODEL.fullmatch(model):
        raise NotFound()
    return _forward("anthropic", f"/v1/models/{quote(model)}")


@blp.post("/proxy/openai/v1/responses")
@blp.doc(requestBody=JSON_BODY)
@proxied("openai")
def openai_responses():
    """Ask an OpenAI model

    OpenAI's Responses, streamed or not, passed on byte by byte. Only while the session is open.
    """
    return _forward("openai", "/v1/responses", is_counted=True)


@blp.get("/proxy/openai/v1/models")
@proxied("openai")
def openai_models():
    """List OpenAI's models"""
    return _forward("openai", "/v1/models")


@auth.required(CandidateKey, chain=auth.CANDIDATE_CHAIN)
def other_path(provider, path):
    """All that the two tools do not need: it would be paid with somebody else's key."""
    raise NotFound()


def _forward(provider: str, path: str, *, is_counted: bool = False) -> Response:
    session = active_session(caller)
    proxy = current_app.extensions["model_proxy"]
    proxy.require_key(provider)
    _require_budget(session)
    # A stream takes minutes.
    release_connection()
    at_end = partial(_keep_usage, session, provider, models.clock.now()) if is_counted else _keep_nothing
    answer = proxy.forward(_call(provider, path), at_end)
    response = Passed(answer.pieces(), answer.status, answer.headers)
    response.call_on_close(answer.close)
    return response


def _call(provider: str, path: str) -> Call:
    return Call(
        provider,
        request.method,
        path,
        request.query_string.decode("latin-1"),
        list(request.headers.items()),
        RequestBody() if request.method == "POST" else None,
        request.environ.get("gunicorn.socket"),
    )


def _require_budget(session: Session) -> None:
    budget = caller.assessment.token_budget_nano_usd
    if budget is not None and ModelUsage.spent(session) >= budget:
        raise BudgetSpent()


def _keep_nothing(answer: Answer) -> None:
    """What costs nothing is not kept."""


def _keep_usage(session: Session, provider: str, started_at: datetime, answer: Answer) -> None:
    try:
        ModelUsage.keep(
            session,
            provider,
            answer.reader.usage(),
            started_at=started_at,
            status_code=answer.status,
            is_whole=answer.is_whole,
        )
    except (peewee.PeeweeException, MaxConnectionsExceeded):
        # The answer is with the candidate already; what is lost is a number.
        log.exception("What a call of %s used could not be kept", provider)
