"""The operations as the OpenAPI document tells them: a new endpoint is tested without anybody thinking of it."""

from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import urlencode

import config
from app import create_app
from blueprints import openapi

METHODS = ("get", "post", "put", "patch", "delete")
# Examples for members that the document has none for.
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

    members -- a whole body with an example for every documented member, or None
    query -- the query that it cannot do without
    """

    method: str
    path: str
    path_parameters: tuple[str, ...]
    query_parameters: tuple[str, ...]
    query: str
    members: dict[str, Any] | None
    callers: frozenset[str]

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


# Made at the import, before any test has bound the models to its own database.
DOCUMENT: dict[str, Any] = openapi.document_of(create_app(config.load({})))


@cache
def every_operation() -> list[Operation]:
    paths = DOCUMENT["paths"].items()
    return [_operation(path, item, method) for path, item in paths for method in METHODS if method in item]


@cache
def operations() -> list[Operation]:
    """All but those of the model proxies, which answer in the providers' shapes."""
    return [operation for operation in every_operation() if not operation.path.startswith("/v1/proxy/")]


def _operation(path: str, item: dict[str, Any], method: str) -> Operation:
    found = item[method]
    parameters = [*item.get("parameters", ()), *found.get("parameters", ())]
    content = found.get("requestBody", {}).get("content", {})
    schema = content.get("application/json", {}).get("schema")
    return Operation(
        method=method.upper(),
        path=path,
        path_parameters=tuple(each["name"] for each in parameters if each["in"] == "path"),
        query_parameters=tuple(each["name"] for each in parameters if each["in"] == "query"),
        query=urlencode(
            [(each["name"], _example("", each["schema"])) for each in parameters if _must_be_asked(each)]
        ),
        members=None if schema is None else _example("", schema),
        callers=frozenset(name for security in found["security"] for name in security),
    )


def _must_be_asked(parameter: dict[str, Any]) -> bool:
    return parameter["in"] == "query" and parameter.get("required", False)


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
