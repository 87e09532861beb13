"""OpenAPI operations: names, parameters, and all possible response statuses."""

import re
from collections.abc import Iterable
from itertools import groupby
from typing import Any

from flask import Flask
from flask_smorest.spec.plugins import FlaskPlugin

import errors
from access.etags import IF_NONE_MATCH
from access.idempotency import PARAMETER as IDEMPOTENCY_KEY
from access.rate_limits import get_limit_setting
from blueprints import response_headers
from errors import ApiError
from schemas.base import camel, request_example, response_example
from schemas.fields import EXAMPLE_ID
from web.json import NotJson

# Examples of fields other than `error` and `code`.
EXAMPLE_FIELDS: dict[type[ApiError], dict[str, Any]] = {
    errors.Invalid: {"details": [{"path": ["title"], "message": "Required."}]},
    errors.AlreadyStarted: {"entries": [{"path": ["taskBrief"], "message": "Already shown to a candidate."}]},
    errors.DuplicateCandidates: {
        "entries": [{"path": ["candidateEmails", 1], "message": f"Already has an open key: {EXAMPLE_ID}."}]
    },
    errors.QuotaExceeded: {"used": 10, "quota": 10},
    errors.NotReady: {"parts": {"database": "ok", "migrations": "behind", "storage": "ok"}},
    errors.RubricInUse: {"assessments": [{"id": EXAMPLE_ID, "title": "Backend API Challenge"}]},
}


class Paths(FlaskPlugin):
    """Paths with camelCase parameters, such as `{assessmentId}`, and their descriptions."""

    @staticmethod
    def flaskpath2openapi(path: str) -> str:
        return re.sub(r"\{\w+\}", lambda name: camel(name[0]), FlaskPlugin.flaskpath2openapi(path))

    def rule_to_params(self, rule: Any) -> list[dict[str, Any]]:
        parameters = super().rule_to_params(rule)
        for parameter in parameters:
            name = parameter["name"]
            noun = name.removesuffix("_id").replace("_", " ")
            parameter["description"] = f"The {noun}'s id." if name.endswith("_id") else f"The {noun}."
            parameter["name"] = camel(name)
        return parameters


def map_operations(app: Flask) -> dict[str, tuple[str, str]]:
    """Map each endpoint to its operation and route. Outside the API, the endpoint is the operation."""
    operations = {}
    for rule in app.url_map.iter_rules():
        is_api = rule.rule.startswith("/v1/")
        name = camel(app.view_functions[rule.endpoint].__name__) if is_api else rule.endpoint
        operations[rule.endpoint] = (name, Paths.flaskpath2openapi(rule.rule))
    return operations


def complete(operation: dict[str, Any], view: Any, rule: str) -> None:
    """Add a view's name, security, example, idempotency key and errors to its operation."""
    operation["operationId"] = camel(view.__name__)
    operation["security"] = getattr(view, "security", [])
    if getattr(view, "access", (None, None))[1] == "admin":
        operation["description"] += "\n\nPeople need the `admin` role."
    if body := getattr(view, "arguments", {}).get("json"):
        operation["requestBody"]["content"]["application/json"]["example"] = request_example(body)
    if getattr(view, "is_idempotent", False):
        operation.setdefault("parameters", []).append(IDEMPOTENCY_KEY)
    for parameter in getattr(view, "header_parameters", ()):
        operation.setdefault("parameters", []).append(parameter)
        if parameter is IF_NONE_MATCH:
            operation["responses"]["304"] = {"description": "The object is unchanged."}
    for status, schema in getattr(view, "response_schemas", {}).items():
        response = operation["responses"][status]
        response["content"]["application/json"]["example"] = response_example(schema)
        if schema.replay_schema:
            response["description"] = (
                f"{schema.Meta.description} A replay (`Idempotent-Replayed: true`) contains `note` instead of `secret`."
            )
    api_errors = _api_errors(view, rule)
    # A view with another error format declares its responses.
    responses = getattr(view, "responses", None) or _responses(api_errors)
    operation["responses"] |= {str(status): response for status, response in responses.items()}
    if not any(status.startswith("4") for status in operation["responses"]):
        operation["responses"]["4XX"] = {"$ref": "#/components/responses/DEFAULT_ERROR"}
    retryable = {error.code for error in api_errors if error.retry_after}
    response_headers.document(operation, view, retryable)


def _api_errors(view: Any, rule: str) -> set[type[ApiError]]:
    """Collect the errors of a view, its decorators, its arguments and its path."""
    arguments = getattr(view, "arguments", {})
    conditions = {
        errors.Invalid: bool(arguments) or errors.UnknownParameter in getattr(view, "errors", ()),
        NotJson: "json" in arguments,
        errors.TooManyValues: "json" in arguments,
        errors.ReadOnlyField: getattr(arguments.get("json"), "is_update", False),
        errors.TooLarge: "json" in arguments,
        errors.TooManyRequests: get_limit_setting(view) is not None,
        errors.NotFound: "<id:" in rule,
    }
    possible = {error for error, is_possible in conditions.items() if is_possible}
    return {
        *getattr(view, "errors", ()),
        *possible,
        errors.Unavailable,
        errors.DatabaseFull,
        errors.DiskFull,
    }


def _responses(api_errors: Iterable[type[ApiError]]) -> dict[int, Any]:
    in_order = sorted(api_errors, key=lambda error: (error.code, error.reason))
    responses = {
        status: _response([body for error in group for body in _bodies(error)])
        for status, group in groupby(in_order, key=lambda error: error.code)
    }
    if NotJson in api_errors:
        responses[415] = _response([_plain(415)])
    return responses


def _bodies(error: type[ApiError]) -> list[dict[str, Any]]:
    """Return an error's possible bodies. Most errors have one code and one message."""
    messages = getattr(error, "MESSAGES", {error.reason: error.message})
    fields = EXAMPLE_FIELDS.get(error, {})
    return [{"error": message, "code": code, **fields} for code, message in messages.items()]


def _plain(status: int) -> dict[str, Any]:
    code, message = errors.HTTP_ERRORS[status]
    return {"error": message, "code": code}


def _response(bodies: list[dict[str, Any]]) -> dict[str, Any]:
    """Build a response with an example and a description for each code."""
    examples = {body["code"]: {"value": body} for body in bodies}
    media = {"schema": {"$ref": "#/components/schemas/Error"}, "examples": examples}
    description = "\n\n".join(f"`{body['code']}`: {body['error']}" for body in bodies)
    return {"description": description, "content": {"application/json": media}}


OTHER_ERRORS = _response([_plain(500)]) | {"description": "Any other error has the same format."}
