"""The OpenAPI document: what the blueprints say of themselves, put together by flask-smorest."""

from typing import Any
from urllib.parse import urlsplit

import flask_smorest
from flask import Flask

from access import auth
from blueprints import Blueprint, IdConverter, operations
from schemas.base import Error

DESCRIPTION = """
Technical assessments on your own servers: create an assessment, generate candidate keys, follow the sessions, and
see how each one compares with its cohort.

Reviewers send a token as `Authorization: Bearer`, candidates their key as `X-API-Key`. Times are UTC. Every error has
the same shape: a sentence in `error`, a stable `code`, and for bad input the places in `details`.

Answers say in `X-RateLimit-Limit`, `-Remaining` and `-Reset` (seconds since 1970) how many requests the credential
may send, or the address where none is asked for. A request that creates takes an `Idempotency-Key`: sent again, it
is done once.

Every answer carries `X-Request-Id`, the name of the request in the service's logs: your own where you send one of up
to 128 letters, digits and `._:-`, else a new one.
"""


class Api(flask_smorest.Api):
    """flask-smorest's, with our shape of errors."""

    ERROR_SCHEMA = Error


def document_of(app: Flask) -> dict[str, Any]:
    """The document, without flask-smorest's own pagination, with every operation's answers in order.

    It is put together when somebody asks: kept from the start, what flask-smorest knows would be a twentieth of a web
    process.
    """
    # flask-smorest wants an application to set up, and the one that serves is past that.
    api = Api(Flask(app.name, static_folder=None), spec_kwargs=_options(app.config["BASE_URL"]))
    api.register_converter(IdConverter, lambda converter: {"type": "string", "format": "uuid"})
    for blueprint in app.blueprints.values():
        if isinstance(blueprint, Blueprint):
            blueprint.register_views_in_doc(api, app, api.spec, name=blueprint.name, parameters=None)
            api.spec.tag({"name": blueprint.name, "description": blueprint.description})
    return _in_order(api.spec.to_dict())


def _options(base_url: str) -> dict[str, Any]:
    return {
        "title": "Proofstone",
        "version": "v1",
        "openapi_version": "3.1.0",
        "flask_plugin": operations.Paths(),
        "info": {"description": DESCRIPTION.strip(), "license": {"name": "MIT", "identifier": "MIT"}},
        # Without a host: what the docs page tries goes to where the page came from, whatever BASE_URL says.
        "servers": [{"url": urlsplit(base_url).path or "/", "description": "This service"}],
        "components": {"securitySchemes": auth.SCHEMES},
    }


def _in_order(document: dict[str, Any]) -> dict[str, Any]:
    document["components"]["schemas"].pop("PaginationMetadata", None)
    document["components"]["responses"]["DEFAULT_ERROR"] |= operations.OTHER_REFUSALS
    for path in document["paths"].values():
        for operation in (part for part in path.values() if isinstance(part, dict)):
            operation["responses"] = dict(sorted(operation["responses"].items()))
    return document
