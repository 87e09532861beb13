"""All operations of the OpenAPI document, so the tests cover new endpoints automatically."""

from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import urlencode

import config
from app import create_app
from blueprints import openapi
from schemas.fields import Reference

OTHER_FORMATS = ("/v1/proxy/", "/v1/otlp/")
METHODS = ("get", "post", "put", "patch", "delete")
# Examples for members without one in the document.
SHA = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
LEVELS = [{"value": 1, "label": "Weak", "description": "Guesses."}, {"value": 2, "label": "Strong"}]
EXAMPLES: dict[str, Any] = {
    "ts": "2026-04-01T09:00:00.123456789Z",
    "repoCommit": SHA,
    "referenceSha": SHA,
    "levels": LEVELS,
}
BY_TYPE: dict[str, Any] = {"string": "A text", "integer": 1, "number": 1, "boolean": True, "object": {}}


@dataclass(frozen=True)
class Operation:
    """One method of one path.

    members -- a body with an example for every documented member; None without a body
    query -- the required query parameters, with examples
    refuses_unknown -- whether it refuses unknown names (R35)
    """

    method: str
    path: str
    path_parameters: tuple[str, ...]
    query_parameters: tuple[str, ...]
    query: str
    members: dict[str, Any] | None
    callers: frozenset[str]
    refuses_unknown: bool

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


# Created on import, before a test binds the models to its database.
APP = create_app(config.load({}))
DOCUMENT: dict[str, Any] = openapi.document_of(APP)


def request_bodies() -> dict[str, Any]:
    """The schemas of the request bodies, by their classes' names."""
    arguments = [getattr(view, "arguments", {}) for view in APP.view_functions.values()]
    bodies = [by_location["json"] for by_location in arguments if "json" in by_location]
    return {type(body).__name__: body for body in bodies}


def declared_references() -> set[str]:
    """The members of request bodies that are a Reference."""
    fields = [field for body in request_bodies().values() for field in body.load_fields.values()]
    return {field.data_key for field in fields if isinstance(field, Reference)}


@cache
def every_operation() -> list[Operation]:
    paths = DOCUMENT["paths"].items()
    return [_operation(path, item, method) for path, item in paths for method in METHODS if method in item]


@cache
def operations() -> list[Operation]:
    """All operations except the model proxies and OTLP, which respond in their protocols' formats."""
    return [operation for operation in every_operation() if not operation.path.startswith(OTHER_FORMATS)]


def _operation(path: str, item: dict[str, Any], method: str) -> Operation:
    operation = item[method]
    parameters = [*item.get("parameters", ()), *operation.get("parameters", ())]
    content = operation.get("requestBody", {}).get("content", {})
    schema = content.get("application/json", {}).get("schema")
    query_parameters = [parameter for parameter in parameters if parameter["in"] == "query"]
    required = [parameter for parameter in query_parameters if parameter.get("required")]
    return Operation(
        method=method.upper(),
        path=path,
        path_parameters=tuple(parameter["name"] for parameter in parameters if parameter["in"] == "path"),
        query_parameters=tuple(parameter["name"] for parameter in query_parameters),
        query=urlencode({parameter["name"]: _example("", parameter["schema"]) for parameter in required}),
        members=None if schema is None else _example("", schema),
        callers=frozenset(name for security in operation["security"] for name in security),
        refuses_unknown=path.startswith("/v1/sign-in")
        or "`unknown_parameter`" in operation["responses"].get("400", {}).get("description", ""),
    )


def _example(name: str, schema: dict[str, Any]) -> Any:
    if "$ref" in schema:
        schema = DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    if name in EXAMPLES:
        return EXAMPLES[name]
    if "example" in schema:
        return schema["example"]
    types = schema.get("type", "object")
    if "properties" in schema:
        return {member: _example(member, inner) for member, inner in schema["properties"].items()}
    if types == "array":
        return [_example("", schema["items"])]
    if "enum" in schema:
        return schema["enum"][0]
    return BY_TYPE[types[0] if isinstance(types, list) else types]
