"""Field classes for schemas. Arguments of the class come first, then the description, then options."""

import re
import uuid
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any
from urllib.parse import unquote, urlsplit

import marshmallow as ma
from marshmallow import validate

EXAMPLE_ID = "01978f2e-7c1a-7a4e-9d57-1f3f7f8b7a01"
MAX_URL_CHARACTERS = 2048
MAX_LINES = 50
MAX_INVALID_ENTRIES = 100  # the maximum in an error response
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_INVALID_IN_URL = re.compile(r'[\x00-\x1f\x7f-\x9f\s"<>\\^`{|}]')
_check_email = validate.Email()


class DocumentedField(ma.fields.Field):
    """Base of all field classes, with metadata for the API reference.

    description, example -- shown in the API reference
    null -- true if the value can be null
    optional -- true if a response can omit the field
    openapi -- JSON Schema keywords, added to the class's
    """

    openapi: dict[str, Any] = {}
    default_error_messages = {"required": "Required.", "null": "Must not be null."}

    def __init__(
        self,
        description: str | None = None,
        *,
        example: Any = None,
        null: bool = False,
        optional: bool = False,
        openapi: dict[str, Any] | None = None,
        **options: Any,
    ):
        metadata = self.openapi | (openapi or {})
        metadata |= {} if description is None else {"description": description}
        metadata |= {} if example is None else {"example": example}
        super().__init__(metadata=metadata, allow_none=null, **options)
        self.optional = optional


class String(DocumentedField, ma.fields.String):
    """A string of `min` to `max` characters, not trimmed."""

    default_error_messages = {"invalid": "Must be a string."}

    def __init__(self, *args: Any, min: int | None = None, max: int | None = None, **options: Any):
        if min or max:
            options["validate"] = _length(min, max, "characters")
        super().__init__(*args, **options)


class Pattern(String):
    """A string that fully matches a pattern, which must mean the same in Python and ECMA-262."""

    def __init__(self, pattern: str, error: str, *args: Any, **options: Any):
        super().__init__(*args, openapi={"pattern": f"^{pattern}$"}, **options)
        self.pattern, self.error = re.compile(pattern), error

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> str:
        text = super()._deserialize(value, attr, data, **kwargs)
        if not self.pattern.fullmatch(text):
            raise ma.ValidationError(self.error)
        return text


class Choice(String):
    """One of the strings `choices`."""

    def __init__(self, choices: Iterable[str], *args: Any, **options: Any):
        super().__init__(*args, validate=validate.OneOf(list(choices)), **options)


class Text(String):
    """A trimmed string of 1 to `max` characters."""

    def __init__(self, max: int, *args: Any, **options: Any):
        super().__init__(*args, openapi={"minLength": 1, "maxLength": max}, **options)
        self.max = max

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> str:
        if not isinstance(value, str):
            raise self.make_error("invalid")
        trimmed = value.strip()
        if not 1 <= len(trimmed) <= self.max:
            raise ma.ValidationError(f"Must have 1 to {self.max} characters.")
        return trimmed


class Line(Text):
    """A trimmed string without control characters, and so without line breaks."""

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> str:
        text = super()._deserialize(value, attr, data, **kwargs)
        if _CONTROL.search(text):
            raise ma.ValidationError("Must not contain control characters.")
        return text


class Email(String):
    """A syntactically valid email address of at most 254 characters (R14)."""

    openapi = {"format": "email", "maxLength": 254}
    default_error_messages = {"invalid": "Must be a valid email address of at most 254 characters."}

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> str:
        text = value.strip() if isinstance(value, str) else ""
        # Quoted local parts can contain unprintable characters, but email headers cannot.
        if len(text) > 254 or not text.isprintable():
            raise self.make_error("invalid")
        try:
            return _check_email(text)
        except ma.ValidationError:
            raise self.make_error("invalid") from None


class RepositoryUrl(String):
    """An absolute http, https or ssh URL with a host and no password (R7)."""

    openapi = {"format": "uri", "maxLength": MAX_URL_CHARACTERS}
    default_error_messages = {
        "invalid": "Must be an absolute http, https or ssh URL with a host, without a password, "
        f"of at most {MAX_URL_CHARACTERS} characters."
    }

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> str:
        text = value.strip() if isinstance(value, str) else ""
        if len(text) > MAX_URL_CHARACTERS or not self.accepts(text):
            raise self.make_error("invalid")
        return text

    def accepts(self, text: str) -> bool:
        if _INVALID_IN_URL.search(text):
            return False
        try:
            parts = urlsplit(text)
            parts.port  # noqa: B018 - raises ValueError for an invalid port
        except ValueError:
            return False
        host = parts.hostname or "%"
        # Git and ssh could parse a leading hyphen, even an encoded one, as an option.
        is_option = host.startswith("-") or unquote(parts.netloc).startswith("-")
        is_known = parts.scheme in ("http", "https", "ssh") and "%" not in host
        return is_known and not is_option and parts.password is None


class Integer(DocumentedField, ma.fields.Integer):
    """An integer from `min` to `max`. Strings, fractions and booleans are rejected."""

    def __init__(self, *args: Any, min: int | None = None, max: int | None = None, **options: Any):
        message = "Must be an integer."
        if max is not None:
            message = f"Must be an integer between {min} and {max}."
            options["validate"] = validate.Range(min, max, error=message)
        super().__init__(*args, strict=True, error_messages={"invalid": message}, **options)


class Number(DocumentedField, ma.fields.Float):
    """A number. Strings and booleans are rejected."""

    default_error_messages = {"invalid": "Must be a number."}

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.make_error("invalid")
        return super()._deserialize(value, attr, data, **kwargs)


class Dollars(DocumentedField):
    """An amount in USD above 0 and at most a million, stored in billionths."""

    openapi = {"type": "number"}
    default_error_messages = {"invalid": "Must be a number above 0 and at most 1000000."}

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> int:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        nano_usd = int(Decimal(repr(value)) * 10**9) if is_number and 0 < value <= 10**6 else 0
        if nano_usd < 1:
            raise self.make_error("invalid")
        return nano_usd

    def _serialize(self, value: int | None, attr: Any, obj: Any, **kwargs: Any) -> float | None:
        return None if value is None else value / 10**9


class Flag(DocumentedField, ma.fields.Boolean):
    """True or false. Strings and numbers are rejected."""

    default_error_messages = {"invalid": "Must be true or false."}

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> bool:
        if not isinstance(value, bool):
            raise self.make_error("invalid")
        return value


class Id(DocumentedField, ma.fields.UUID):
    """A hyphenated UUID, lowercase in responses (R25)."""

    openapi = {"example": EXAMPLE_ID}
    default_error_messages = {"invalid_uuid": "Must be a UUID."}

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> uuid.UUID:
        parsed = parse_id(value) if isinstance(value, str) else None
        if parsed is None:
            raise self.make_error("invalid_uuid")
        return parsed


class Reference(Id):
    """An id in a request body, such as `rubric_id`, for `find_referenced` (models/base.py).

    The path parameter of the same name identifies the same kind of row.
    """


def parse_id(text: str) -> uuid.UUID | None:
    """Parse a hyphenated UUID in any letter case. Return None if it is invalid."""
    try:
        parsed = uuid.UUID(text)
    except ValueError:
        return None
    return parsed if str(parsed) == text.lower() else None


class Nested(DocumentedField, ma.fields.Nested):
    """An object described by `schema`."""

    def __init__(self, schema: type[ma.Schema], *args: Any, **options: Any):
        super().__init__(*args, nested=schema, **options)


class Verbatim(Nested):
    """An object that is neither validated nor converted. `schema` only documents its fields."""

    def _serialize(self, value: Any, attr: Any, obj: Any, **kwargs: Any) -> Any:  # type: ignore[override]
        return value

    def _deserialize(self, value: Any, attr: Any, data: Any, partial: Any = None, **kwargs: Any) -> Any:
        return value


class ListOf(DocumentedField, ma.fields.List):
    """A list of `min` to `max` entries.

    Checks the length first, then the entries, stopping at MAX_INVALID_ENTRIES invalid ones.

    entry -- a field, or a schema for objects
    distinct -- name of a field that must be unique among the entries, or true if the entries themselves must be
    """

    default_error_messages = {"invalid": "Must be a list."}

    def __init__(
        self,
        entry: ma.fields.Field | type[ma.Schema],
        *args: Any,
        min: int | None = None,
        max: int | None = None,
        distinct: str | bool = False,
        **options: Any,
    ):
        # Also passed as `validate`, for the API reference.
        self.length_checks: list[Callable] = [_length(min, max, "entries")] if min or max else []
        checks = self.length_checks + ([_distinct(distinct)] if distinct else [])
        inner = entry if isinstance(entry, ma.fields.Field) else Nested(entry)
        super().__init__(*args, cls_or_instance=inner, validate=checks, **options)

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> list:
        if not isinstance(value, list):
            raise self.make_error("invalid")
        for check in self.length_checks:
            check(value)
        entries, messages = [], {}
        for index, entry in enumerate(value):
            try:
                entries.append(self.inner.deserialize(entry, **kwargs))
            except ma.ValidationError as error:
                messages[index] = error.messages
                if len(messages) == MAX_INVALID_ENTRIES:
                    break
        if messages:
            raise ma.ValidationError(messages)
        return entries


class LineList(ListOf):
    """A list of single-line strings; null clears it."""

    def __init__(self, max_characters: int, *args: Any, **options: Any):
        super().__init__(Line(max_characters), *args, max=MAX_LINES, null=True, **options)

    def deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        return super().deserialize([] if value is None else value, *args, **kwargs)


class Dict(DocumentedField, ma.fields.Dict):
    """An object with arbitrary keys."""

    default_error_messages = {"invalid": "Must be an object."}

    def _deserialize(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super()._deserialize(*args, **kwargs)
        except ma.ValidationError as error:
            if isinstance(error.messages, dict):  # of an entry's `key` or `value`, which are no members
                entries = {name: [*inner.values()] for name, inner in error.messages.items()}
                raise ma.ValidationError(entries) from None
            raise


class Raw(DocumentedField, ma.fields.Raw):
    """A value that is not validated. `type` is its JSON type or types, for the API reference."""

    def __init__(self, type: str | list[str], *args: Any, **options: Any):
        super().__init__(*args, openapi={"type": type}, **options)


def _length(low: int | None, high: int | None, unit: str) -> validate.Length:
    if high is None:
        message = "Must not be empty."
    else:
        message = f"Must have {low} to {high} {unit}." if low else f"Must have at most {high} {unit}."
    return validate.Length(low, high, error=message)


def _distinct(field: str | bool) -> Callable:
    def check(entries: list) -> None:
        values = entries if field is True else [entry[field] for entry in entries]
        if len(set(values)) < len(values):
            rule = "be distinct" if field is True else f"have distinct values of `{field}`"
            raise ma.ValidationError(f"Entries must {rule}.")

    return check
