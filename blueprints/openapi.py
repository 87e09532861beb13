"""The OpenAPI document, generated from the blueprints."""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import flask_smorest
from flask import Flask

from access import auth
from blueprints import Blueprint, IdConverter, event_docs, operations, response_headers
from schemas.base import Error

DESCRIPTION = """
Self-hosted technical assessments: create an assessment, generate candidate keys, follow the sessions, and compare each
session with its cohort.

Reviewers send a token as `Authorization: Bearer`, candidates their key as `X-API-Key`. Times are UTC. All errors have
the same format: a message in `error`, a stable `code`, and `details` for invalid input. An error's `Link` header
points to the documentation of its code.

Requests are limited per credential, or per network address if no credential is needed. The response headers
`X-RateLimit-Limit`, `-Remaining` and `-Reset` (seconds since 1970) describe the limit. Every reviewer POST that
changes data, except the close of a session, accepts an `Idempotency-Key`: requests with the same key run only once.

Unknown query parameters (400 `unknown_parameter`) and unknown body fields are rejected. Body fields that exist
only in the response are accepted, so you can send back an object that you received. Candidates' operations ignore
unknown names. Operations that document an `X-Ignored` response header list the ignored names in it.

Every response has an `X-Request-Id`, which also appears in the service's logs. To set it, send the header with up to
128 letters, digits and `._:-`.
"""


class Api(flask_smorest.Api):
    """flask-smorest's Api with this API's error schema."""

    ERROR_SCHEMA = Error


def build_document(app: Flask) -> dict[str, Any]:
    """Generate the document. Call it on demand, to save memory."""
    # flask-smorest modifies the application, which Flask forbids after the first request.
    api = Api(Flask(app.name, static_folder=None), spec_kwargs=_options(app.config["BASE_URL"]))
    api.register_converter(IdConverter, lambda converter: {"type": "string", "format": "uuid"})
    for blueprint in app.blueprints.values():
        if isinstance(blueprint, Blueprint):
            blueprint.register_views_in_doc(api, app, api.spec, name=blueprint.name, parameters=None)
            api.spec.tag({"name": blueprint.name, "description": blueprint.description})
    event_docs.add_schemas(api.spec)
    document = api.spec.to_dict()
    event_docs.complete(document)
    _complete(document, app, api.ma_plugin.converter.schema2jsonschema)
    return document


def _options(base_url: str) -> dict[str, Any]:
    return {
        "title": "Proofstone",
        "version": "v1",
        "openapi_version": "3.1.0",
        "flask_plugin": operations.Paths(),
        "info": {"description": DESCRIPTION.strip(), "license": {"name": "MIT", "identifier": "MIT"}},
        # Relative: the docs page sends requests to its own host.
        "servers": [{"url": urlsplit(base_url).path or "/", "description": "This service"}],
        "components": {"securitySchemes": auth.SCHEMES},
    }


def _complete(document: dict[str, Any], app: Flask, json_schema: Callable) -> None:
    """Replace flask-smorest's pagination and default errors with our decorators' declarations."""
    components = document["components"]
    components["schemas"].pop("PaginationMetadata", None)
    default = components["responses"]["DEFAULT_ERROR"] | operations.OTHER_ERRORS
    default["headers"] = response_headers.references(("X-Request-Id", "Link"))
    components["responses"] = {"DEFAULT_ERROR": default}
    for schema in components["schemas"].values():
        _adapt_to_generators(schema)
    for rule in app.url_map.iter_rules():
        path = document["paths"].get(operations.Paths.flaskpath2openapi(rule.rule), {})
        for method in rule.methods or ():
            if operation := path.get(method.lower()):
                view = app.view_functions[rule.endpoint]
                operations.complete(operation, view, rule.rule)
                _describe_responses(operation, components["schemas"])
                operation["responses"] = dict(sorted(operation["responses"].items()))
                for status, schema in getattr(view, "response_schemas", {}).items():
                    if schema.replay_schema:
                        replay = json_schema(schema.replay_schema())
                        _adapt_to_generators(replay)
                        operation["responses"][status]["x-replayed"] = replay
    components["headers"] = response_headers.get_used_components(document)


def _adapt_to_generators(schema: dict[str, Any]) -> None:
    """Adapt a schema so generated clients have one type per field and keep optional fields optional."""
    for field in schema.get("properties", {}).values():
        # Webhook schemas describe requests.
        field.pop("readOnly", None)
        if None in field.get("enum", ()):
            values = [value for value in field.pop("enum") if value is not None]
            field["anyOf"] = [{"type": "string", "enum": values}, {"type": "null"}]
            del field["type"]
        # TypeScript generators treat a field with a default as always present.
        if (default := field.pop("default", None)) not in (None, ""):
            field["description"] += f" Defaults to {json.dumps(default)}."


def _describe_responses(operation: dict[str, Any], schemas: dict[str, Any]) -> None:
    """Replace `OK` and `Created` with the response schema's description."""
    for response in operation["responses"].values():
        if response.get("description") in ("OK", "Created"):
            reference = response["content"]["application/json"]["schema"]["$ref"]
            response["description"] = schemas[reference.rpartition("/")[2]]["description"]
