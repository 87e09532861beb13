"""What goes in and out, one module a resource; here the base: camelCase names, strict values, the form of time."""

import re
import uuid
from datetime import datetime
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

import marshmallow as ma
from marshmallow import fields, validate

from rules.timestamps import format_timestamp as moment
from rules.timestamps import parse_timestamp_ns, timestamp_from_ns

LIMIT_DEFAULT, LIMIT_MOST = 50, 200
OFFSET_MOST = 2**63 - 1
# Leading noughts are taken once and never given back: to try each way of sharing them takes quadratic time.
_WHOLE_NUMBER = re.compile(r"([+-]?)(?=[0-9])0*+([0-9]*)")
# More digits than any range here has; further ones change nothing, and Python refuses to read thousands.
_MOST_DIGITS = 20
_SOURCE_OF_A_RULE = re.compile(r" \((?:R\d|client contract)[^)]*\)")
EXAMPLE_ID = "01978f2e-7c1a-7a4e-9d57-1f3f7f8b7a01"
_NOT_IN_A_URL = re.compile(r'[\x00-\x1f\x7f-\x9f\s"<>\\^`{|}]')
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(other.capitalize() for other in others)


class Schema(ma.Schema):
    """snake_case inside, camelCase outside; unknown members are ignored (R12)."""

    # Responses carry every member, except those whose metadata says `sometimes`.
    always_complete = True

    class Meta:
        unknown = ma.EXCLUDE
        description = ""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """A shape's docstring is its description in the docs, without the source of a rule."""
        super().__init_subclass__(**kwargs)
        description = _SOURCE_OF_A_RULE.sub("", " ".join((cls.__doc__ or "").split()))
        cls.Meta = type("Meta", (cls.Meta,), {"description": description})  # type: ignore[assignment, misc]

    def on_bind_field(self, field_name: str, field_obj: fields.Field) -> None:
        field_obj.data_key = field_obj.data_key or camel(field_name)
        if self.always_complete and "sometimes" not in field_obj.metadata:
            field_obj.required = True


class Filter(Schema):
    """A request's query."""

    always_complete = False

    def on_bind_field(self, field_name: str, field_obj: fields.Field) -> None:
        super().on_bind_field(field_name, field_obj)
        # The docs page fills examples in, and a filter that nobody asked for hides what is there.
        shown = {name: value for name, value in field_obj.metadata.items() if name != "example"}
        field_obj.metadata = shown


class Body(Schema):
    """A request's body: an explicit null equals leaving the member out, save where null clears it (R6)."""

    always_complete = False
    error_messages = {"type": "Must be an object."}
    # In a PATCH null clears; where there is nothing to clear a member to, it is refused.
    is_change = False

    @ma.pre_load
    def leave_out_nulls(self, data: Any, **kwargs: Any) -> Any:
        if self.is_change or not isinstance(data, dict) or None not in data.values():
            return data
        clearing = {
            field.data_key for field in self.load_fields.values() if field.allow_none or field.required
        }
        return {name: value for name, value in data.items() if value is not None or name in clearing}


class Timestamp(fields.Field):
    """A moment in UTC with milliseconds, `2026-04-01T09:00:00.000Z` (R25)."""

    def __init__(self, **kwargs: Any):
        metadata = {"type": "string", "format": "date-time", "example": "2026-04-01T09:00:00.000Z"}
        super().__init__(dump_only=True, metadata=metadata | kwargs.pop("metadata", {}), **kwargs)

    def _serialize(self, value: datetime | None, attr: Any, obj: Any, **kwargs: Any) -> str | None:
        return None if value is None else moment(value)


class TimestampInput(fields.Field):
    """A moment on its way in: RFC 3339 in any offset; inside in UTC with whole milliseconds."""

    def __init__(self, **kwargs: Any):
        super().__init__(
            metadata={"type": "string", "format": "date-time"} | kwargs.pop("metadata", {}), **kwargs
        )

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> datetime:
        if not isinstance(value, str):
            raise ma.ValidationError("Not a valid string.")
        try:
            return timestamp_from_ns(parse_timestamp_ns(value))
        except ValueError as error:
            raise ma.ValidationError(str(error)) from None


class Text(fields.String):
    """A text of 1 to `longest` characters after trimming; with `one_line` without control characters."""

    def __init__(self, longest: int, *, one_line: bool = False, **kwargs: Any):
        self.one_line = one_line
        super().__init__(validate=validate.Length(min=1, max=longest), **kwargs)

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> str:
        text = super()._deserialize(value, attr, data, **kwargs).strip()
        if self.one_line and _CONTROL.search(text):
            raise ma.ValidationError("Must not contain control characters.")
        return text


class Count(fields.Integer):
    """A whole number within a range; texts, fractions and booleans are refused."""

    def __init__(self, least: int, most: int, **kwargs: Any):
        super().__init__(strict=True, validate=validate.Range(min=least, max=most), **kwargs)


class Flag(fields.Boolean):
    """True or false; texts and numbers are refused."""

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> bool:
        if not isinstance(value, bool):
            raise self.make_error("invalid", input=value)
        return value


class Distinct(validate.Validator):
    """Entries of a list that differ in one member; a field's own validator, so that it only sees whole entries."""

    def __init__(self, member: str):
        self.member = member

    def __call__(self, entries: list[dict]) -> list[dict]:
        if len({entry[self.member] for entry in entries}) < len(entries):
            raise ma.ValidationError(f"Entries must differ in `{self.member}`.")
        return entries


class Dollars(fields.Field):
    """An amount above zero in USD, at most a million; inside an integer of billionths."""

    def __init__(self, **kwargs: Any):
        super().__init__(metadata={"type": "number"} | kwargs.pop("metadata", {}), **kwargs)

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ma.ValidationError("Not a valid number.")
        nano = int(Decimal(repr(value)) * 10**9) if 0 < value <= 10**6 else 0
        if nano < 1:
            raise ma.ValidationError("Must be above 0 and at most 1000000.")
        return nano

    def _serialize(self, value: int | None, attr: Any, obj: Any, **kwargs: Any) -> float | None:
        return None if value is None else value / 10**9


class Id(fields.UUID):
    """A UUID in its usual form; on the way out in lower case."""

    def __init__(self, **kwargs: Any):
        super().__init__(metadata={"example": EXAMPLE_ID} | kwargs.pop("metadata", {}), **kwargs)

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> Any:
        found = parse_id(value) if isinstance(value, str) else None
        if found is None:
            raise self.make_error("invalid_uuid")
        return found


def parse_id(text: str) -> uuid.UUID | None:
    """The UUID in a text of the usual form with hyphens, in any letter case, or None."""
    try:
        found = uuid.UUID(text)
    except ValueError:
        return None
    return found if str(found) == text.lower() else None


class Words(fields.List):
    """A list of short texts; null clears it to the empty one."""

    def __init__(self, longest: int, **kwargs: Any):
        each = Text(longest, one_line=True)
        super().__init__(each, allow_none=True, validate=validate.Length(max=50), **kwargs)

    def deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        return super().deserialize([] if value is None else value, *args, **kwargs)


class RepositoryUrl(fields.String):
    """An absolute http, https or ssh URL with a host, without password, of at most 2,048 characters (R7)."""

    def __init__(self, **kwargs: Any):
        metadata = {"format": "uri", "maxLength": 2048} | kwargs.pop("metadata", {})
        super().__init__(metadata=metadata, **kwargs)

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> str:
        text = super()._deserialize(value, attr, data, **kwargs).strip()
        if len(text) > 2048 or not is_repository_url(text):
            raise ma.ValidationError(
                "Must be an absolute http, https or ssh URL with a host, without a password, "
                "of at most 2048 characters."
            )
        return text


def is_repository_url(text: str) -> bool:
    if _NOT_IN_A_URL.search(text):
        return False
    try:
        parts = urlsplit(text)
        parts.port  # noqa: B018 - a port that is no number is refused by reading it
    except ValueError:
        return False
    host = parts.hostname or ""
    has_host = host != "" and "%" not in host
    return parts.scheme in ("http", "https", "ssh") and has_host and parts.password is None


class QueryNumber(fields.Integer):
    """A whole number in a query: digits with an optional sign (R24)."""

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> int:
        match = _WHOLE_NUMBER.fullmatch(value)
        if match is None:
            raise ma.ValidationError("Must be a whole number.")
        sign, digits = match.groups()
        return int(sign + (digits[:_MOST_DIGITS] or "0"))


class Limit(QueryNumber):
    """How many results; clamped to 1 to 200 (R24)."""

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> int:
        return max(1, min(LIMIT_MOST, super()._deserialize(value, attr, data, **kwargs)))


class PageQuery(Filter):
    """Which part of a list."""

    limit = Limit(
        load_default=LIMIT_DEFAULT,
        metadata={"description": "Maximum number of results; clamped to 1 to 200.", "example": 50},
    )
    offset = QueryNumber(
        load_default=0,
        validate=validate.Range(min=0, max=OFFSET_MOST),
        metadata={"description": "Number of results to skip.", "example": 0},
    )


class PageOf(Schema):
    """What every page of a list carries beside its entries."""

    total = fields.Integer(metadata={"description": "How many entries the whole list has.", "example": 47})
    limit = fields.Integer(metadata={"description": "The limit that was applied.", "example": 50})
    offset = fields.Integer(metadata={"description": "How many entries were skipped.", "example": 0})


class Deleted(Schema):
    """What a deletion answers."""

    ok = fields.Boolean(dump_default=True, metadata={"description": "Always true.", "example": True})
    id = Id(metadata={"description": "The id of what was deleted."})


class ErrorDetail(Schema):
    """One place in the request that is not as it should be."""

    path = fields.List(
        fields.Raw(
            metadata={"description": "A member's name, or an entry's number.", "type": ["string", "integer"]}
        ),
        metadata={"description": "Where: member names and entry numbers.", "example": ["candidateEmails", 2]},
    )
    message = fields.String(
        metadata={"description": "What is wanted there.", "example": "Not a valid email address."}
    )


class NamedAssessment(Schema):
    """An assessment, by id and title."""

    id = Id(metadata={"description": "Its id."})
    title = fields.String(metadata={"description": "Its title.", "example": "Backend API Challenge"})


class Error(Schema):
    """The shape of every refusal."""

    error = fields.String(
        required=True,
        metadata={"description": "A sentence for people.", "example": "The request is not valid."},
    )
    code = fields.String(
        required=True, metadata={"description": "A stable code for programs.", "example": "invalid_request"}
    )
    details = fields.List(
        fields.Nested(ErrorDetail),
        metadata={
            "description": "Only where query or body are not valid: each place that is wrong.",
            "sometimes": True,
        },
    )
    entries = fields.List(
        fields.Nested(ErrorDetail),
        metadata={
            "description": "Only with `already_begun` and `duplicate_candidates`: each place that is in the way.",
            "sometimes": True,
        },
    )
    used = fields.Integer(
        metadata={
            "description": "Only with `quota_exceeded`: assessments created this month.",
            "example": 10,
            "sometimes": True,
        }
    )
    quota = fields.Integer(
        metadata={
            "description": "Only with `quota_exceeded`: how many the plan allows.",
            "example": 10,
            "sometimes": True,
        }
    )
    parts = fields.Dict(
        keys=fields.String(),
        values=fields.String(),
        metadata={
            "description": "Only with `not_ready`: each part of the service, and whether it is `ok`.",
            "sometimes": True,
        },
    )
    assessments = fields.List(
        fields.Nested(NamedAssessment),
        metadata={
            "description": "Only with `rubric_in_use`: assessments that refer to the rubric.",
            "sometimes": True,
        },
    )


def described(sentence: str, example: Any = None, **more: Any) -> dict[str, Any]:
    """Metadata of a field: what it means, and an example."""
    return {"description": sentence} | ({} if example is None else {"example": example}) | more


def example_of(schema: ma.Schema) -> dict[str, Any]:
    """A body that the service would take as it is, from its fields' examples.

    Ids are left out where they can be, since an invented one is refused; so is what has no example.
    """
    shown = {str(field.data_key): _example(field) for field in schema.load_fields.values()}
    return {name: value for name, value in shown.items() if value is not None}


def _example(field: fields.Field) -> Any:
    example = field.metadata.get("example")
    if isinstance(field, fields.Nested):
        return example_of(field.schema)
    if isinstance(field, fields.List) and example is None:
        inner = _example(field.inner)
        return None if inner is None else [inner]
    return None if example == EXAMPLE_ID and not field.required else example
