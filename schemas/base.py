"""Base schemas: camelCase fields, request bodies, pages, errors."""

from typing import Any

import marshmallow as ma

from schemas.fields import EXAMPLE_ID, Choice, Dict, Flag, Id, Integer, ListOf, Nested, Raw, String

EXAMPLE_CURSOR = "1775034000000000.01978f2e7c1a7a4e9d571f3f7f8b7a01"


def camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(other.capitalize() for other in others)


class Schema(ma.Schema):
    """snake_case in code, camelCase in the API. Ignores unknown fields (R12)."""

    # True for responses: only fields with `optional` can be missing.
    always_complete = True
    # The schema of this response's replay (access/idempotency.py), if it differs.
    replay_schema: "type[Schema] | None" = None

    class Meta:
        unknown = ma.EXCLUDE
        description = ""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Use the docstring as the description in the API reference."""
        super().__init_subclass__(**kwargs)
        description = " ".join((cls.__doc__ or "").split())
        cls.Meta = type("Meta", (cls.Meta,), {"description": description})  # type: ignore[assignment, misc]

    def on_bind_field(self, field_name: str, field_obj: Any) -> None:
        field_obj.data_key = field_obj.data_key or camel(field_name)
        if self.always_complete and not field_obj.optional:
            field_obj.required = True


class Body(Schema):
    """Base of request bodies. Null means omitted, but in an update it clears the field (R6)."""

    always_complete = False
    error_messages = {"type": "Must be an object."}
    is_update = False
    # Mutually exclusive fields to omit from the documented example.
    alternatives: tuple[str, ...] = ()

    @ma.pre_load
    def omit_nulls(self, data: Any, **kwargs: Any) -> Any:
        if self.is_update or not isinstance(data, dict) or None not in data.values():
            return data
        nullable = {
            field.data_key for field in self.load_fields.values() if field.allow_none or field.required
        }
        return {name: value for name, value in data.items() if value is not None or name in nullable}


class CursorPageOf(Schema):
    """Base of lists that are paginated by cursor."""

    next = String("Value for `after`; null on the last page.", example=EXAMPLE_CURSOR, null=True)


class PageOf(CursorPageOf):
    """Base of lists that are paginated by cursor or offset."""

    total = Integer("Number of entries in the list; null with `after`.", example=47, null=True)
    limit = Integer("Limit that was applied.", example=50)
    offset = Integer("Number of entries skipped.", example=0)


class Deleted(Schema):
    """Base of responses to a deletion."""

    ok = Flag("Always true.", dump_default=True, example=True)
    id = Id("Id of the deleted object.")


def define_schema(
    name: str, description: str, base: type[Schema] = Schema, **declared: ma.fields.Field
) -> Any:
    """Define a schema class without methods, such as a wrapper around one object."""
    return type(name, (base,), {"__doc__": description, **declared})


def define_response(field_name: str, schema: type[Schema], description: str) -> Any:
    """Define the response that contains one object, such as `CandidateResponse` for Candidate."""
    fields: Any = {field_name: Nested(schema, description)}
    return define_schema(f"{schema.__name__}Response", description, **fields)


class ErrorDetail(Schema):
    """An error in one part of the request."""

    path = ListOf(Raw(["string", "integer"]), "Field names and indexes.", example=["candidateEmails", 2])
    message = String("Problem, and the accepted values.", example="Must be a valid email address.")


class NamedAssessment(Schema):
    """An assessment, by id and title."""

    id = Id("Assessment id.")
    title = String("Assessment name.", example="Backend API Challenge")


class Author(Schema):
    """A person or a service account that gave a score or made a decision."""

    id = Id("Id of the person, or of the service account's token.")
    name = String("Name of the person or service account.", example="Bob Sample")
    kind = Choice(["person", "serviceAccount"], "Kind of author.", example="person")


class Error(Schema):
    """The format of every error."""

    error = String("Message for people.", example="The request is invalid. See `details`.")
    code = String("Stable code for programs.", example="invalid_request")
    details = ListOf(
        ErrorDetail, "With `invalid_request` and `read_only_field`: the fields, at most 100.", optional=True
    )
    entries = ListOf(
        ErrorDetail,
        "With `already_started`, `duplicate_candidates`, `duplicate_external_id`: conflicts.",
        optional=True,
    )
    used = Integer("With `quota_exceeded`: assessments created this month.", example=10, optional=True)
    quota = Integer("With `quota_exceeded`: monthly quota.", example=10, optional=True)
    parts = Dict("With `not_ready`: the status of each component.", values=String(), optional=True)
    assessments = ListOf(NamedAssessment, "With `rubric_in_use`: assessments that use it.", optional=True)


def request_example(schema: ma.Schema) -> dict[str, Any]:
    """Build a valid body from the fields' examples. Omits optional ids, because unknown ids are rejected."""
    alternatives = getattr(schema, "alternatives", ())
    fields = [field for name, field in schema.load_fields.items() if name not in alternatives]
    examples = {str(field.data_key): _request_value(field) for field in fields}
    return {name: value for name, value in examples.items() if value is not None}


def response_example(schema: ma.Schema) -> dict[str, Any]:
    """Build a response from the fields' examples. A field without one is null, or omitted if optional."""
    fields = {str(field.data_key): field for field in schema.dump_fields.values()}
    examples = {name: _response_value(field) for name, field in fields.items()}
    return {name: value for name, value in examples.items() if value is not None or fields[name].required}


def _response_value(field: ma.fields.Field) -> Any:
    if (example := field.metadata.get("example")) is not None:
        return example
    if isinstance(field, Nested):
        return response_example(field.schema)
    if isinstance(field, ListOf):
        return [_response_value(field.inner)]
    return None


def _request_value(field: ma.fields.Field) -> Any:
    example = field.metadata.get("example")
    if isinstance(field, Nested):
        return request_example(field.schema)
    if isinstance(field, ListOf) and example is None:
        inner = _request_value(field.inner)
        return None if inner is None else [inner]
    return None if example == EXAMPLE_ID and not field.required else example
