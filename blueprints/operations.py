"""What OpenAPI says about an operation: its name, its parameters, and every status that it can answer."""

import re
from collections.abc import Iterable
from itertools import groupby
from typing import Any

from flask import Flask
from flask_smorest.spec.plugins import FlaskPlugin

from access.auth import security_of
from access.idempotency import PARAMETER as IDEMPOTENCY_KEY
from access.rate_limits import setting_of
from errors import (
    HTTP_ERRORS,
    AlreadyBegun,
    DatabaseFull,
    DiskFull,
    DuplicateCandidates,
    Invalid,
    NotFound,
    NotReady,
    QuotaExceeded,
    Refusal,
    RubricInUse,
    TooManyRequests,
    Unavailable,
)
from schemas.base import camel, example_of
from schemas.fields import EXAMPLE_ID
from web.json import NotJson

# What a refusal's body carries beside its sentence and its code.
MEMBERS: dict[type[Refusal], dict[str, Any]] = {
    Invalid: {"details": [{"path": ["title"], "message": "Missing data for required field."}]},
    AlreadyBegun: {"entries": [{"path": ["taskBrief"], "message": "A candidate was shown it."}]},
    DuplicateCandidates: {
        "entries": [{"path": ["candidateEmails", 1], "message": f"It has the open key {EXAMPLE_ID}."}]
    },
    QuotaExceeded: {"used": 10, "quota": 10},
    NotReady: {"parts": {"database": "ok", "migrations": "behind", "storage": "ok"}},
    RubricInUse: {"assessments": [{"id": EXAMPLE_ID, "title": "Backend API Challenge"}]},
}


class Paths(FlaskPlugin):
    """Paths as callers read them: `{assessmentId}` and not `{assessment_id}`, with every parameter described."""

    @staticmethod
    def flaskpath2openapi(path: str) -> str:
        return re.sub(r"\{\w+\}", lambda name: camel(name[0]), FlaskPlugin.flaskpath2openapi(path))

    def rule_to_params(self, rule: Any) -> list[dict[str, Any]]:
        return [_path_parameter(found) for found in super().rule_to_params(rule)]


def _path_parameter(found: dict[str, Any]) -> dict[str, Any]:
    noun = found["name"].removesuffix("_id").replace("_", " ")
    meaning = f"The {noun}'s id." if found["name"].endswith("_id") else f"The {noun}."
    return found | {"name": camel(found["name"]), "description": meaning}


def operations_of(app: Flask) -> dict[str, tuple[str, str]]:
    """By endpoints: the operation (of a page the endpoint itself), and the route as callers read it."""
    found = {}
    for rule in app.url_map.iter_rules():
        is_of_the_api = rule.rule.startswith("/v1/")
        name = camel(app.view_functions[rule.endpoint].__name__) if is_of_the_api else rule.endpoint
        found[rule.endpoint] = (name, Paths.flaskpath2openapi(rule.rule))
    return found


def complete(operation: Any, notes: dict[str, Any], **context: Any) -> Any:
    """Complete flask-smorest's notes on a view, before it writes its documentation of them: operationId, security,
    examples, and every refusal."""
    view, rule = notes["view"], notes["rule"]
    arguments = notes.get("arguments", {})
    # flask-smorest's own word on 400 would stand in the way of ours.
    arguments.pop("responses", None)
    bodies = [place for place in arguments.get("parameters", ()) if place["in"] == "json"]
    for body in bodies:
        body.setdefault("example", example_of(body["schema"]))
    _describe_answers(notes)
    if getattr(view, "is_idempotent", False):
        arguments["parameters"] = [*arguments["parameters"], IDEMPOTENCY_KEY]
    refusals = _refusals(view, takes_arguments=bool(arguments), takes_body=bool(bodies), rule=rule)
    manual = notes.setdefault("manual_doc", {})
    manual["operationId"] = camel(view.__name__)
    manual["security"] = security_of(view)
    # What only passes an answer on refuses in another shape than ours, and says itself in which.
    ours = getattr(view, "answers", None) or _responses(refusals, takes_body=bool(bodies))
    manual["responses"] = manual.get("responses", {}) | ours
    return operation


def _describe_answers(notes: dict[str, Any]) -> None:
    """An answer is described by its shape's docstring, where flask-smorest would say `OK`."""
    for answers in notes.get("response", {}).get("responses", {}).values():
        for answer in answers:
            if answer["description"] in ("OK", "Created"):
                answer["description"] = answer["schema"].Meta.description


def _refusals(view: Any, *, takes_arguments: bool, takes_body: bool, rule: str) -> set[type[Refusal]]:
    found = {*getattr(view, "refusals", ()), Unavailable, DatabaseFull, DiskFull}
    if takes_arguments:
        found.add(Invalid)
    if takes_body:
        found.add(NotJson)
    if setting_of(view) is not None:
        found.add(TooManyRequests)
    if "<id:" in rule:
        found.add(NotFound)
    return found


def _responses(refusals: Iterable[type[Refusal]], *, takes_body: bool) -> dict[int, Any]:
    in_order = sorted(refusals, key=lambda refusal: (refusal.code, refusal.reason))
    responses = {
        status: _response([body for one in same for body in _bodies(one)])
        for status, same in groupby(in_order, key=lambda one: one.code)
    }
    if takes_body:
        responses |= {status: _response([_plain(status)]) for status in (413, 415)}
    return responses


def _bodies(refusal: type[Refusal]) -> list[dict[str, Any]]:
    """What a refusal can answer; most have one code with one sentence."""
    sentences = getattr(refusal, "SENTENCES", {refusal.reason: refusal.sentence})
    members = MEMBERS.get(refusal, {})
    return [{"error": sentence, "code": code, **members} for code, sentence in sentences.items()]


def _plain(status: int) -> dict[str, Any]:
    code, sentence = HTTP_ERRORS[status]
    return {"error": sentence, "code": code}


def _response(bodies: list[dict[str, Any]]) -> dict[str, Any]:
    """One status: each code with its sentence, and an example of each."""
    examples = {body["code"]: {"value": body} for body in bodies}
    media = {"schema": {"$ref": "#/components/schemas/Error"}, "examples": examples}
    description = "\n\n".join(f"`{body['code']}`: {body['error']}" for body in bodies)
    return {"description": description, "content": {"application/json": media}}


OTHER_REFUSALS = _response([_plain(500)]) | {"description": "Any other refusal has the same shape."}
