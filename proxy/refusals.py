"""Refusals of the model proxies: those of errors.py in the shape that the provider's own clients read."""

from typing import Any

import peewee
from flask import request
from werkzeug.exceptions import HTTPException

import errors
from blueprints import Blueprint
from errors import DatabaseFull, DiskFull, NotRedeemed, Refusal, SessionClosed, Unauthenticated, Unavailable
from proxy.forwarding import (
    BudgetSpent,
    NoProviderKey,
    ProviderRedirects,
    ProviderTimeout,
    ProviderUnreachable,
    TooManyStreams,
)
from rules.provider_errors import SHAPES, may_be_repeated


def register(blp: Blueprint) -> None:
    """Let everything that goes wrong in an endpoint of `blp` be answered in the provider's shape."""
    blp.register_error_handler(HTTPException, _refuse)
    for kind in (peewee.DatabaseError, *errors.AWAY):
        blp.register_error_handler(kind, _refused_by_database)


def _refuse(error: HTTPException) -> tuple[dict, int, list]:
    body, status, headers = errors.answer(error)
    provider = request.path.removeprefix("/v1/proxy/").partition("/")[0]
    if not may_be_repeated(status):
        headers = [*headers, ("X-Should-Retry", "false")]
    return SHAPES[provider](status, body["code"], body["error"]), status, headers


def _refused_by_database(error: Exception) -> tuple[dict, int, list]:
    return _refuse(errors.refusal_of(error))


def documented(provider: str) -> dict[int, Any]:
    """The answers of an operation for OpenAPI: the provider's own, and each refusal in its shape."""
    answers: dict[int, Any] = {200: {"description": "The provider's answer, as it came. So are its errors."}}
    for status, code, sentence in _refusals(provider):
        media: dict[str, Any] = {"schema": {"type": "object"}, "examples": {}}
        answer = answers.setdefault(status, {"description": "", "content": {"application/json": media}})
        answer["description"] = f"{answer['description']}\n\n`{code}`: {sentence}".strip()
        example = {"value": SHAPES[provider](status, code, sentence)}
        answer["content"]["application/json"]["examples"][code] = example
    return answers


def _refusals(provider: str) -> list[tuple[int, str, str]]:
    refusals: tuple[Refusal, ...] = (
        *(Unauthenticated(), BudgetSpent(), NoProviderKey(provider), NotRedeemed(), SessionClosed()),
        *(
            TooManyStreams(provider),
            ProviderRedirects(),
            ProviderUnreachable(),
            Unavailable(),
            DatabaseFull(),
            DiskFull(),
            ProviderTimeout(),
        ),
    )
    plain = [(status, *errors.PLAIN[status]) for status in (404, 413, 429)]
    return plain + [(refusal.code, refusal.reason, refusal.sentence) for refusal in refusals]
