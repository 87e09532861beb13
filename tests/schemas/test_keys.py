"""Keys and candidates are built from rows with the documented fields."""

import pytest
from factories import make_key, make_session

from models import CandidateList
from schemas.candidates import Candidate
from schemas.keys import Invite, Key, serialize_candidate, serialize_key


def names_of(schema):
    return [field.data_key for field in schema().fields.values()]


@pytest.mark.parametrize("email", ["alice@example.com", None])
def test_rows_have_the_documented_fields(assessment, email):
    make_session(make_key(assessment, email))
    (row,) = CandidateList(assessment.organization_id, None).rows()
    assert list(serialize_key(row, reveals_key=True)) == names_of(Key)
    assert list(serialize_candidate(row, reveals_key=True)) == names_of(Candidate)
    invite = serialize_key(row, reveals_key=True)["invite"]
    assert (invite and list(invite)) == (names_of(Invite) if email else None)
