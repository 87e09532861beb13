"""People: roles, invitations and tokens, and the last admin (R41)."""

import pytest
from callers import Caller
from factories import make_organization, make_person
from response_checks import body_of, error_of, error_paths

from models import ApiToken, AuditEntry, User

PEOPLE, TOKENS = "/v1/org/people", "/v1/org/tokens"
BOB = {"name": "Bob Sample", "email": "Bob@Example.com", "role": "reviewer"}
NOT_ALLOWED = (403, "insufficient_role")


@pytest.fixture
def ada(organization):
    return make_person(organization, "admin", "Ada")


@pytest.fixture
def admin(app, ada):
    return Caller.person(app, ada)


def add(caller, **fields):
    return body_of(caller.post(PEOPLE, BOB | fields), 201)["person"]


def create_token_for(app, caller, person, scope="write"):
    response = caller.post(TOKENS, {"name": "Laptop", "scopes": [scope], "personId": person["id"]})
    return Caller(app, Authorization=f"Bearer {body_of(response, 201)['secret']}")


def update(caller, person, **fields):
    return caller.patch(f"{PEOPLE}/{person['id']}", fields)


def test_people_can_be_added_listed_and_updated(clock, reviewer):
    person = add(reviewer)
    now = "2026-04-01T09:00:00.000Z"
    invite = {"state": "queued", "attempts": 0, "lastError": None, "sentAt": None}
    expected = BOB | {
        "id": person["id"],
        "active": True,
        "invite": invite,
        "createdAt": now,
        "updatedAt": now,
    }
    assert person == expected
    assert reviewer.get(f"{PEOPLE}/{person['id']}").json == {"person": person}
    assert reviewer.get(PEOPLE).json["people"] == [person]
    updated = body_of(update(reviewer, person, name="Robert", role="observer"))["person"]
    assert updated == expected | {"name": "Robert", "role": "observer"}
    assert body_of(update(reviewer, person))["person"] == updated


def test_new_people_are_invited_by_email(worker, app, admin):
    add(admin)
    assert update(admin, add(admin, email="left@example.com"), active=False).status_code == 200
    worker.run_once()
    (email,) = (email for email in saved_emails(app) if "To: Bob Sample <Bob@Example.com>" in email)
    assert "Subject: You have been added to Acme on Proofstone" in email
    assert "Ada has added you to Acme on Proofstone. Your role is reviewer." in email
    assert f"{app.config['BASE_URL']}/v1" in email
    states = [person["invite"]["state"] for person in admin.get(PEOPLE).json["people"]]
    assert states == ["saved", "saved", "canceled"]
    assert admin.get("/v1/deliveries").json["total"] == 0


def saved_emails(app):
    return [file.read_text() for file in app.config["MAIL_FOLDER"].glob("*.eml")]


def test_deleting_a_person_removes_the_email_address_everywhere(worker, app, admin):
    headers = {"Idempotency-Key": "bob"}
    person = body_of(admin.request("POST", PEOPLE, headers, json=BOB), 201)["person"]
    worker.run_once()
    assert BOB["email"] in "".join(saved_emails(app))
    assert admin.delete(f"{PEOPLE}/{person['id']}").status_code == 200
    worker.run_once()
    assert BOB["email"] not in "".join(saved_emails(app))
    replayed = admin.request("POST", PEOPLE, headers, json=BOB)
    assert (replayed.status_code, replayed.json["person"]) == (201, person | {"email": None})


@pytest.mark.parametrize("field", ["name", "email", "role"])
def test_invalid_people_are_rejected(reviewer, field):
    assert error_paths(reviewer.post(PEOPLE, {name: BOB[name] for name in BOB if name != field})) == [[field]]
    for value in ("", None, 1, "\x07"):
        assert error_paths(reviewer.post(PEOPLE, BOB | {field: value})) == [[field]]


def test_an_organization_has_only_one_person_per_email_address(app, reviewer):
    person, other = add(reviewer), add(reviewer, email="other@example.com")
    duplicate = BOB | {"email": "bob@EXAMPLE.com"}
    assert error_of(reviewer.post(PEOPLE, duplicate)) == (409, "duplicate_person")
    assert error_of(update(reviewer, other, email="BOB@example.com")) == (409, "duplicate_person")
    assert body_of(update(reviewer, person, email="bob@example.com"))["person"]["email"] == "bob@example.com"
    assert Caller.reviewer(app, make_organization("Other")).post(PEOPLE, duplicate).status_code == 201
    body_of(reviewer.delete(f"{PEOPLE}/{person['id']}"))
    assert add(reviewer, **duplicate)["id"] != person["id"]


def test_only_admins_can_manage_admins(admin, reviewer, ada):
    person = add(admin)
    token = {"name": "Mine", "scopes": ["write"], "personId": str(ada.id)}
    for response in (
        reviewer.post(PEOPLE, BOB | {"email": "more@example.com", "role": "admin"}),
        update(reviewer, person, role="admin"),
        update(reviewer, {"id": ada.id}, email="mallory@example.com"),
        reviewer.delete(f"{PEOPLE}/{ada.id}"),
        reviewer.post(TOKENS, token),
        reviewer.delete(f"{TOKENS}/{admin.row.id}"),
    ):
        assert error_of(response) == NOT_ALLOWED
    assert body_of(update(admin, person, role="admin"))["person"]["role"] == "admin"
    body_of(admin.post(TOKENS, token), 201)


def test_the_last_active_admin_cannot_be_removed(admin, ada):
    second = add(admin, role="admin")
    assert update(admin, second, active=False).status_code == 200
    for response in (
        update(admin, {"id": ada.id}, role="reviewer"),
        update(admin, {"id": ada.id}, active=False),
        admin.delete(f"{PEOPLE}/{ada.id}"),
    ):
        assert error_of(response) == (409, "last_admin")
    assert update(admin, second, active=True).status_code == 200
    body_of(admin.delete(f"{PEOPLE}/{ada.id}"))
    assert error_of(admin.get("/v1/me")) == (401, "unauthorized")


def test_the_last_write_token_cannot_be_removed(admin, ada, organization):
    make_person(organization, "admin", "Without a token")
    for token in ApiToken.select().where(ApiToken.user.is_null()):
        assert admin.delete(f"{TOKENS}/{token.id}").status_code == 200
    for response in (
        admin.delete(f"{PEOPLE}/{ada.id}"),
        update(admin, {"id": ada.id}, role="reviewer"),
        admin.delete(f"{TOKENS}/{admin.row.id}"),
    ):
        assert error_of(response) == (409, "last_write_token")


def test_tokens_stop_working_when_their_owner_is_deactivated_or_deleted(app, reviewer):
    person = add(reviewer)
    caller = create_token_for(app, reviewer, person)
    me = caller.get("/v1/me").json
    assert me["person"] == {name: person[name] for name in ("id", "name", "email", "role")}
    assert (me["name"], me["scopes"]) == ("Laptop", ["read", "write"])
    for active, status in ((False, 401), (True, 200)):
        assert update(reviewer, person, active=active).status_code == 200
        assert caller.get("/v1/me").status_code == status
    assert person["id"] in reviewer.get(TOKENS).text
    assert body_of(reviewer.delete(f"{PEOPLE}/{person['id']}")) == {"ok": True, "id": person["id"]}
    assert error_of(caller.get("/v1/me")) == (401, "unauthorized")
    assert person["id"] not in reviewer.get(TOKENS).text
    assert error_of(reviewer.get(f"{PEOPLE}/{person['id']}")) == (404, "not_found")
    row = User.get_by_id(person["id"])
    assert (row.name, row.email, row.address) == ("Bob Sample", None, None)


def test_the_role_limits_a_tokens_scope(app, reviewer):
    person = add(reviewer)
    caller = create_token_for(app, reviewer, person)
    assert update(reviewer, person, role="observer").status_code == 200
    assert caller.get("/v1/me").json["scopes"] == ["read"]
    assert error_of(caller.post("/v1/rubrics", {})) == NOT_ALLOWED
    body = {"name": "Second", "scopes": ["write"], "personId": person["id"]}
    assert error_paths(reviewer.post(TOKENS, body)) == [["scopes"]]
    caller = create_token_for(app, reviewer, person, "read")
    assert error_of(caller.post("/v1/rubrics", {})) == (403, "insufficient_scope")


def test_tokens_require_an_active_person_in_the_organization(reviewer):
    inactive, other_org_person = add(reviewer), make_person(make_organization("Other"))
    update(reviewer, inactive, active=False)
    for person_id in (inactive["id"], other_org_person.id, ApiToken.get().id):
        body = {"name": "Laptop", "personId": str(person_id)}
        assert error_paths(reviewer.post(TOKENS, body)) == [["personId"]]


def test_audit_entries_record_the_person(app, reviewer):
    person = add(reviewer)
    create_token_for(app, reviewer, person).post("/v1/issues", {"title": "One", "taskBrief": "Fix it."})
    (entry,) = reviewer.get("/v1/audit", actorId=person["id"]).json["entries"]
    actor = [entry[name] for name in ("action", "actorKind", "actorName")]
    assert actor == ["createIssue", "person", "Bob Sample"]
    created = AuditEntry.get(AuditEntry.action == "createPerson")
    assert (created.actor_kind, str(created.subject_id)) == ("apiToken", person["id"])


@pytest.mark.usefixtures("organization")
def test_cli_creates_the_first_admin_and_token(app, flask):
    flask("person", "create", "Acme", "ada@example.com", "--name", "Ada")
    assert "admin  active  Ada <ada@example.com>" in flask("person", "list", "Acme")
    token = flask("token", "create", "Acme", "--person", "ADA@example.com").strip()
    me = Caller(app, Authorization=f"Bearer {token}").get("/v1/me").json
    assert (me["person"]["name"], me["person"]["role"]) == ("Ada", "admin")
    assert "(Ada)" in flask("token", "list", "Acme")
    assert "No such person" in flask("token", "create", "Acme", "--person", "x@example.com", fails=True)
