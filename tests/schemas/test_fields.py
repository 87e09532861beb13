"""Fields: accepted values and error messages."""

from uuid import UUID

import pytest
from marshmallow import ValidationError, missing

from schemas import fields
from schemas.base import Schema
from schemas.queries import Filter, Limit, QueryInteger

ID = "01978f2e-7c1a-7a4e-9d57-1f3f7f8b7a01"
LONG = "x" * 256


@pytest.mark.parametrize(
    ("field", "value", "read"),
    [
        (fields.Text(255), "  a\nb ", "a\nb"),
        (fields.Line(255), " a ", "a"),
        (fields.Email(), " Alice@example.com ", "Alice@example.com"),
        (fields.Integer(min=1, max=50), 50, 50),
        (QueryInteger(min=0, max=9), "+0007", 7),
        (Limit(), "-5", 1),
        (Limit(), "9999", 200),
        (fields.Dollars(), 0.5, 500_000_000),
        (fields.Flag(), False, False),
        (fields.Id(), ID.upper(), UUID(ID)),
        (fields.LineList(10), None, []),
    ],
)
def test_accepted_values(field, value, read):
    assert field.deserialize(value) == read


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        (fields.String(required=True), missing, "Required."),
        (fields.String(), None, "Must not be null."),
        (fields.String(), 5, "Must be a string."),
        (fields.String(max=255), LONG, "Must have at most 255 characters."),
        (fields.String(min=1), "", "Must not be empty."),
        (fields.Text(255), LONG, "Must have 1 to 255 characters."),
        (fields.Text(255), "  ", "Must have 1 to 255 characters."),
        (fields.Line(255), "a\nb", "Must not contain control characters."),
        (fields.Email(), "alice", "Must be a valid email address of at most 254 characters."),
        (fields.Choice(["a", "b"]), "c", "Must be one of: a, b."),
        (fields.Integer(), 1.5, "Must be an integer."),
        (fields.Integer(min=1, max=50), 51, "Must be an integer between 1 and 50."),
        (fields.Integer(min=1, max=50), "5", "Must be an integer between 1 and 50."),
        (fields.Integer(min=1, max=50), True, "Must be an integer between 1 and 50."),
        (QueryInteger(min=0, max=9), "1.0", "Must be an integer between 0 and 9."),
        (fields.Number(), "1", "Must be a number."),
        (fields.Dollars(), 0, "Must be a number above 0 and at most 1000000."),
        (fields.Flag(), 1, "Must be true or false."),
        (fields.Id(), ID.replace("-", ""), "Must be a UUID."),
        (fields.ListOf(fields.String(), min=1, max=2), [], "Must have 1 to 2 entries."),
        (fields.ListOf(fields.String()), "a", "Must be a list."),
    ],
)
def test_rejected_values(field, value, message):
    with pytest.raises(ValidationError) as rejected:
        field.deserialize(value)
    assert rejected.value.messages == [message]


@pytest.mark.parametrize("entry", [fields.Email(), fields.Line(10)], ids=["email", "line"])
def test_a_list_reports_every_invalid_entry(entry):
    def read(value):
        try:
            return entry.deserialize(value)
        except ValidationError as error:
            return error.messages

    values = ["a@b.example", None, 5, " c@d.example ", "", "a\nb", LONG]
    results = [read(value) for value in values]
    with pytest.raises(ValidationError) as rejected:
        fields.ListOf(entry).deserialize(values)
    messages = {index: result for index, result in enumerate(results) if isinstance(result, list)}
    assert rejected.value.messages == messages


def test_response_fields_are_required_unless_optional():
    shape = Schema.from_dict({"always": fields.String(), "at_times": fields.String(optional=True)})()
    assert [field.required for field in shape.fields.values()] == [True, False]


def test_filters_have_no_examples():
    shape = Filter.from_dict({"assessment_id": fields.Id("Only candidates of this assessment.")})()
    assert shape.fields["assessment_id"].metadata == {"description": "Only candidates of this assessment."}
