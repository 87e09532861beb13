"""People in the organization: list, add, get, update, delete."""

from typing import Any

from access import audit, auth, caller, etags, raises
from access.idempotency import idempotent
from blueprints import Blueprint, find, page, with_location
from errors import DuplicatePerson, LastAdmin, LastWriteToken
from models import ApiToken, User, users
from schemas import people as schemas
from schemas.queries import PageQuery

blp = Blueprint("People", __name__, description="People who work for your organization, and their roles.")


def find_person(person_id: Any) -> User:
    return find(User, person_id, among=users.visible_to(caller))


@blp.get("/org/people")
@auth.required(ApiToken)
@blp.arguments(PageQuery, location="query")
@blp.response(200, schemas.People)
def list_people(query):
    """List people

    All people except deleted ones, oldest first, with their roles.
    """
    return page("people", users.visible_to(caller), query)


@blp.post("/org/people")
@auth.required(ApiToken, scope="admin")
@with_location
@idempotent
@raises(DuplicatePerson)
@blp.arguments(schemas.NewPerson)
@blp.response(201, schemas.PersonResponse)
@audit.record_change(created="person")
def create_person(data):
    """Add a person

    Invites them by email. Create a token for them with `POST /v1/org/tokens`. Only admins can add admins: service
    accounts get 403 `insufficient_role`. Use `flask person create` to add the first admin.
    """
    person = users.add(caller.organization, caller, **data)
    return {"person": find_person(person.id)}


@blp.get("/org/people/<id:person_id>")
@auth.required(ApiToken)
@etags.with_etag
@blp.response(200, schemas.PersonResponse)
def get_person(person_id):
    """Get a person

    Includes the state of the invitation.
    """
    return {"person": find_person(person_id)}


@blp.patch("/org/people/<id:person_id>")
@auth.required(ApiToken, scope="admin")
@etags.with_if_match
@raises(DuplicatePerson, LastAdmin, LastWriteToken)
@blp.arguments(schemas.PersonUpdate)
@blp.response(200, schemas.PersonResponse)
@audit.record_change()
def update_person(data, person_id):
    """Update a person

    A new role applies to all their tokens immediately. The last active admin can be neither demoted nor deactivated.
    Only admins can update other admins.
    """
    check = etags.precondition(lambda: schemas.PersonResponse().dump({"person": find_person(person_id)}))
    users.update(find_person(person_id), caller, data, check)
    return {"person": find_person(person_id)}


@blp.delete("/org/people/<id:person_id>")
@auth.required(ApiToken, scope="admin")
@raises(LastAdmin, LastWriteToken)
@blp.response(200, schemas.DeletedPerson)
@audit.record_change()
def delete_person(person_id):
    """Delete a person

    Their tokens stop working immediately, and their email address is removed. Their name stays on their scores,
    decisions and audit entries. The last active admin cannot be deleted, and only admins can delete other admins.
    """
    users.remove(find_person(person_id), caller)
    return {"ok": True, "id": person_id}
