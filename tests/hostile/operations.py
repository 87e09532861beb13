"""The OpenAPI document's operations, so the tests cover new endpoints automatically.

Valid requests are built from the schemas' examples, and from ids by path parameter.
"""

import re
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import config
from app import API_BLUEPRINTS, create_app
from blueprints import openapi
from blueprints.operations import Paths
from models import Organization, disclosure
from schemas.base import camel
from schemas.fields import Id, Reference, Text

OTHER_FORMATS = ("/v1/proxy/", "/v1/otlp/")
METHODS = ("get", "post", "put", "patch", "delete")
# Examples for fields that have none in the document.
SHA = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
LEVELS = [{"value": 1, "label": "Weak", "description": "Guesses."}, {"value": 2, "label": "Strong"}]
EXAMPLES: dict[str, Any] = {
    "ts": "2026-04-01T09:00:00.123456789Z",
    "repoCommit": SHA,
    "referenceSha": SHA,
    "levels": LEVELS,
    "groups": {},
    "replaces": None,
    "dueAt": "2200-01-01T00:00:00Z",
    "disclosureHash": disclosure.for_organization(Organization(), has_client=False)["hash"],
}
BY_TYPE: dict[str, Any] = {"string": "Some text", "integer": 1, "number": 1, "boolean": True, "object": {}}


@dataclass(frozen=True)
class Operation:
    """One method of one path.

    route -- method and Flask path, with `<name>` for each path parameter
    query -- examples of required query parameters, and a candidate's key
    body -- a valid body with every documented field and `<name>` for ids and keys, or None
    texts, references -- the body's Text and Reference fields
    callers -- accepted credentials; empty if public
    scope -- required scope, or None
    status -- success status
    rejects_unknown -- whether unknown names are rejected (R35)
    """

    method: str
    path: str
    route: str
    path_parameters: tuple[str, ...]
    query_parameters: tuple[str, ...]
    query: dict[str, str]
    body: dict[str, Any] | None
    texts: tuple[str, ...]
    references: tuple[str, ...]
    callers: frozenset[str]
    scope: str | None
    status: int
    rejects_unknown: bool

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


HAS_INTEGRATIONS = "integrations.routes" in API_BLUEPRINTS
if HAS_INTEGRATIONS:
    # A made-up system that needs no network
    systems = Path(__file__).parents[1] / "integrations" / "systems"
    import_module("integrations.systems").__path__.append(str(systems))
# Created on import, before a test binds the models to its database.
APP = create_app(config.load({"LEDGER_KEYS": "k" * 32}))
DOCUMENT: dict[str, Any] = openapi.build_document(APP)
# Fields that refer to rows: path parameters, and a candidate's key.
_PARAMETERS = {name for rule in APP.url_map.iter_rules() for name in rule.arguments}
_PLACEHOLDERS = {
    # A rule's `jobId` is another system's.
    camel(name): f"<{name}>"
    for name in {*_PARAMETERS, "key"} - {"name", "model", "path", "provider", "job_id"}
} | {"personIds": ["<person_id>"], "templateId": "<assessment_id>"}


def route_of(rule: Any, method: str) -> str:
    """Return a route such as `GET /v1/rubrics/<rubric_id>`."""
    return f"{method} {re.sub('<[^<>]+:', '<', rule.rule)}"


@cache
def every_operation() -> list[Operation]:
    documented = [(rule, Paths.flaskpath2openapi(rule.rule)) for rule in APP.url_map.iter_rules()]
    return [
        _operation(rule, path, method)
        for rule, path in documented
        for method in METHODS
        if method.upper() in rule.methods and method in DOCUMENT["paths"].get(path, {})
    ]


@cache
def operations() -> list[Operation]:
    """Return all operations except the model proxies and OTLP, which use their protocols' formats."""
    return [operation for operation in every_operation() if not operation.path.startswith(OTHER_FORMATS)]


def request_bodies() -> dict[str, Any]:
    """Return the request bodies' schemas by class name."""
    arguments = [getattr(view, "arguments", {}) for view in APP.view_functions.values()]
    bodies = [by_location["json"] for by_location in arguments if "json" in by_location]
    return {type(body).__name__: body for body in bodies}


def fill(template: Any, names: dict[str, Any]) -> Any:
    """Replace each `<name>` in the template."""
    if isinstance(template, dict):
        return {name: fill(value, names) for name, value in template.items()}
    if isinstance(template, list):
        return [fill(value, names) for value in template]
    if not isinstance(template, str):
        return template
    missing = set(re.findall(r"<(\w+)>", template)) - names.keys()
    assert not missing, (
        "Add rows with these ids to make_session_rows or make_organization_rows in tests/factories.py."
    )
    return re.sub(r"<(\w+)>", lambda name: str(names[name[1]]), template)


def create_missing(
    reviewer: Any, names: dict[str, Any], suffix: str = "one", candidate_suffix: str = "one"
) -> Any:
    """Create a row for each path parameter that is not in `names`, and return all names with their ids.

    suffix, candidate_suffix -- appended to text fields: of the organization's rows, and of rows that belong to a
        candidate or session
    """
    names = names.copy()
    routes = {operation.route.split(" ")[1] for operation in operations()}
    for operation in (operation for operation in operations() if operation.method == "POST"):
        path = operation.route.split(" ")[1]
        created = [route for route in routes if re.fullmatch(re.escape(path) + r"/<(\w+_id)>", route)]
        for name in (route.rpartition("<")[2].rstrip(">") for route in created):
            if name not in names:
                body = fill(operation.body, names)
                is_candidates = path.startswith(("/v1/sessions/", "/v1/candidates/"))
                added = candidate_suffix if is_candidates else suffix
                body |= {text: f"{body[text]} {added}" for text in operation.texts if body[text] is not None}
                response = reviewer.post(fill(path, names), body)
                assert response.status_code == 201, f"{operation} with its example body: {response.text}"
                (row, *_) = response.json.values()
                names[name] = row["id"]
    return names


def _operation(rule: Any, path: str, method: str) -> Operation:
    item, view = DOCUMENT["paths"][path], APP.view_functions[rule.endpoint]
    operation = item[method]
    parameters = [*item.get("parameters", ()), *operation.get("parameters", ())]
    query_parameters = [parameter for parameter in parameters if parameter["in"] == "query"]
    sent = [each for each in query_parameters if each.get("required") or each["name"] == "key"]
    body = getattr(view, "arguments", {}).get("json")
    fields = body.load_fields.values() if body else ()
    return Operation(
        method=method.upper(),
        path=path,
        route=route_of(rule, method.upper()),
        path_parameters=tuple(parameter["name"] for parameter in parameters if parameter["in"] == "path"),
        query_parameters=tuple(parameter["name"] for parameter in query_parameters),
        query={each["name"]: _PLACEHOLDERS.get(each["name"], _example("", each["schema"])) for each in sent},
        body=_body(operation, body),
        texts=tuple(field.data_key for field in fields if isinstance(field, Text)),
        references=tuple(field.data_key for field in fields if isinstance(field, Reference)),
        callers=frozenset(name for security in operation["security"] for name in security),
        scope=getattr(view, "access", (None, None))[1],
        status=min(int(status) for status in operation["responses"] if status.startswith("2")),
        rejects_unknown=path.startswith("/v1/sign-in")
        or "`unknown_parameter`" in operation["responses"].get("400", {}).get("description", ""),
    )


def _body(operation: dict[str, Any], schema: Any) -> dict[str, Any] | None:
    content = operation.get("requestBody", {}).get("content", {})
    if "application/json" not in content:
        return None
    example = _example("", content["application/json"]["schema"])
    # Set mutually exclusive fields to null, which is the same as omitting them (R6).
    omitted = {camel(name) for name in getattr(schema, "alternatives", ())}
    # Ids that are no references are compared with the stored row's.
    omitted |= {field.data_key for field in getattr(schema, "load_fields", {}).values() if type(field) is Id}
    return {
        name: None if name in omitted else _PLACEHOLDERS.get(name, value) for name, value in example.items()
    }


def _example(name: str, schema: dict[str, Any]) -> Any:
    if "$ref" in schema:
        schema = DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    if name in EXAMPLES:
        return EXAMPLES[name]
    if "example" in schema:
        return schema["example"]
    types = schema.get("type", "object")
    if "properties" in schema:
        return {field: _example(field, inner) for field, inner in schema["properties"].items()}
    if types == "array":
        return [_example("", schema["items"])]
    if "enum" in schema:
        return schema["enum"][0]
    return BY_TYPE[types[0] if isinstance(types, list) else types]
