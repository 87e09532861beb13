"""The OpenAPI document, generated from the blueprints."""

import json
from typing import Any
from urllib.parse import urlsplit

import flask_smorest
from flask import Flask

from access import auth
from blueprints import Blueprint, IdConverter, event_docs, operations, response_headers
from schemas.base import Error

DESCRIPTION = """
Technical assessments on your own servers: create an assessment, generate candidate keys, follow the sessions, and
compare each session with its cohort.

Reviewers send a token as `Authorization: Bearer`, candidates their key as `X-API-Key`. Times are UTC. All errors have
the same shape: a sentence in `error`, a stable `code`, and `details` for invalid input. The header `Link` of an error
points to the documentation of its code.

Requests are limited per credential, or per network address where no credential is needed. The response headers
`X-RateLimit-Limit`, `-Remaining` and `-Reset` (seconds since 1970) describe the limit. Every POST of a reviewer
that changes something accepts an `Idempotency-Key`: a request that is repeated with the same key runs only once.

Unknown query parameters are rejected (400 `unknown_parameter`), and so are unknown fields of a body. Fields of the
object in the response are accepted, so that an object can be sent back. Candidates' operations ignore unknown names.
The operations with the response header `X-Ignored` list ignored names there.

Every response has an `X-Request-Id`, which also appears in the service's logs. To set it, send one of up to 128
letters, digits and `._:-`.
"""


class Api(flask_smorest.Api):
    """flask-smorest's Api with our shape of errors."""

    ERROR_SCHEMA = Error


def document_of(app: Flask) -> dict[str, Any]:
    """Generate the document on demand, since flask-smorest's data takes 5 % of a web process's memory."""
    # flask-smorest sets up an application, and one that has served a request can't be changed.
    api = Api(Flask(app.name, static_folder=None), spec_kwargs=_options(app.config["BASE_URL"]))
    api.register_converter(IdConverter, lambda converter: {"type": "string", "format": "uuid"})
    for blueprint in app.blueprints.values():
        if isinstance(blueprint, Blueprint):
            blueprint.register_views_in_doc(api, app, api.spec, name=blueprint.name, parameters=None)
            api.spec.tag({"name": blueprint.name, "description": blueprint.description})
    event_docs.add_schemas(api.spec)
    responses = [
        schemas for view in app.view_functions.values() if (schemas := getattr(view, "response_schemas", {}))
    ]
    for replayed in {schema.replayed for schemas in responses for schema in schemas.values()} - {None}:
        api.spec.components.schema(replayed.__name__, schema=replayed)
    document = api.spec.to_dict()
    event_docs.complete(document)
    _complete(document, app)
    return document


def _options(base_url: str) -> dict[str, Any]:
    return {
        "title": "Proofstone",
        "version": "v1",
        "openapi_version": "3.1.0",
        "flask_plugin": operations.Paths(),
        "info": {"description": DESCRIPTION.strip(), "license": {"name": "MIT", "identifier": "MIT"}},
        # Relative, so that the docs page sends its requests to the host that it came from.
        "servers": [{"url": urlsplit(base_url).path or "/", "description": "This service"}],
        "components": {"securitySchemes": auth.SCHEMES},
    }


def _complete(document: dict[str, Any], app: Flask) -> None:
    """Remove flask-smorest's pagination and default errors; add what our decorators know."""
    components = document["components"]
    components["schemas"].pop("PaginationMetadata", None)
    default = components["responses"]["DEFAULT_ERROR"] | operations.OTHER_ERRORS
    default["headers"] = response_headers.references(("X-Request-Id", "Link"))
    components["responses"] = {"DEFAULT_ERROR": default}
    for schema in components["schemas"].values():
        for field in schema.get("properties", {}).values():
            _adapt_to_generators(field)
    inlined = set[str]()
    for rule in app.url_map.iter_rules():
        path = document["paths"].get(operations.Paths.flaskpath2openapi(rule.rule), {})
        for method in rule.methods or ():
            if operation := path.get(method.lower()):
                operations.complete(operation, app.view_functions[rule.endpoint], rule.rule)
                _describe_responses(operation, components["schemas"])
                operation["responses"] = dict(sorted(operation["responses"].items()))
                for response in operation["responses"].values():
                    # Inline, since tools do not follow a reference in an extension.
                    if replayed := response.get("x-replayed"):
                        inlined.add(name := replayed.pop("$ref").rpartition("/")[2])
                        replayed |= components["schemas"][name]
    for name in inlined:
        del components["schemas"][name]
    components["headers"] = response_headers.used_in(document)


def _adapt_to_generators(field: dict[str, Any]) -> None:
    """Write a field so that generated clients have one type for it, and so that it stays optional."""
    # Fields of responses only; but webhooks are requests.
    field.pop("readOnly", None)
    if None in field.get("enum", ()):
        values = [value for value in field.pop("enum") if value is not None]
        field["anyOf"] = [{"type": "string", "enum": values}, {"type": "null"}]
        del field["type"]
    # For TypeScript, a field with a default is always present.
    if (default := field.pop("default", None)) not in (None, ""):
        field["description"] += f" By default {json.dumps(default)}."


def _describe_responses(operation: dict[str, Any], schemas: dict[str, Any]) -> None:
    """Replace `OK` and `Created` by the description of the response's schema."""
    for response in operation["responses"].values():
        if response.get("description") in ("OK", "Created"):
            reference = response["content"]["application/json"]["schema"]["$ref"]
            response["description"] = schemas[reference.rpartition("/")[2]]["description"]
