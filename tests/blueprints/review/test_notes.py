"""The team's notes on a session."""

import pytest
from callers import Caller
from factories import make_person
from response_checks import body_of, error_of

from models import privacy


@pytest.fixture
def people(app, organization):
    roles = {"Ann": "reviewer", "Bob": "reviewer", "Carol": "admin"}
    return [Caller.person(app, make_person(organization, role, name)) for name, role in roles.items()]


@pytest.fixture
def path(session):
    return f"/v1/sessions/{session.id}/notes"


def add(caller, path, text="Ask about the retry loop."):
    return body_of(caller.post(path, {"text": text}), 201)["note"]


def test_the_team_sees_notes_oldest_first_with_their_authors(people, reader, path):
    ann, bob, _ = people
    first, second = add(ann, path), add(bob, path, "Done.\n\nShe explained it well.")
    assert body_of(reader.get(path))["notes"] == [first, second]
    assert [first["author"]["name"], second["author"]["name"]] == ["Ann", "Bob"]


def test_only_its_author_and_admins_can_delete_a_note(people, path):
    ann, bob, carol = people
    first, second = add(ann, path), add(ann, path)
    assert error_of(bob.delete(f"{path}/{first['id']}")) == (403, "insufficient_role")
    body_of(ann.delete(f"{path}/{first['id']}"))
    body_of(carol.delete(f"{path}/{second['id']}"))
    assert body_of(ann.get(path))["notes"] == []


def test_an_erasure_deletes_the_notes(reviewer, session, path):
    add(reviewer, path)
    assert privacy.erase(session.key).counts["notes"] == 1
    assert body_of(reviewer.get(path))["notes"] == []
    assert error_of(reviewer.post(path, {"text": "Late"})) == (409, "erased")
