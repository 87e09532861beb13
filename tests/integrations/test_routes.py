"""Integrations, their rules and orders, and webhooks, with the made-up system in tests/integrations/systems/."""

import json
from datetime import timedelta
from functools import partial

import factories
import pytest
from callers import Caller
from response_checks import body_of, error_of, error_paths

from integrations import secrets
from integrations.adapter import CredentialRejected, TemporaryFailure
from integrations.systems import adapters
from integrations.tables import ATTENTION, Integration, IntegrationCalls, IntegrationOrder
from models import AuditEntry, IdempotentRequest, db, new_id, privacy

PATH = "/v1/integrations"
NEW = {"system": "example", "name": "Hiring", "credential": {"apiKey": "secret-9f3a"}}
STAGE = {"stageId": "7021", "jobId": "4011"}
SQLITE_ONLY = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True, scope="session")


@pytest.fixture
def integration(organization):
    return factories.make_integration(organization)


@pytest.fixture
def path(integration):
    return f"{PATH}/{integration.id}"


@pytest.fixture
def rule(integration, assessment):
    return factories.make_rule(integration, assessment)


@pytest.fixture
def system():
    return adapters()["example"]


def make_rule(caller, path, assessment, **fields):
    return caller.post(f"{path}/rules", STAGE | {"assessmentId": str(assessment.id)} | fields)


def send(caller, path, secret, payload, headers=None):
    """Send a signed webhook; a `payload` of bytes is sent unchanged."""
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    signature = {"Signature": adapters()["example"].sign(body, secret)}
    return caller.request("POST", f"{path}/events", data=body, headers=signature | (headers or {}))


# Integrations


def test_the_systems_are_listed_with_the_values_to_enter(reviewer):
    response = body_of(reviewer.get("/v1/integration-systems"))
    assert response["enabled"] is True
    (example,) = [each for each in response["systems"] if each["system"] == "example"]
    assert example["name"] == "Example"
    assert [(each["name"], each["required"]) for each in example["credential"]] == [("apiKey", True)]
    assert [each["choices"] for each in example["settings"]] == [["public", "private"], []]


def test_secrets_are_shown_once_and_stored_encrypted(reviewer):
    created = body_of(reviewer.request("POST", PATH, json=NEW, headers={"Idempotency-Key": "one"}), 201)
    shown, secret = created["integration"], created["secret"]
    assert shown["credentialEnd"] == "9f3a"
    assert (shown["state"], shown["settings"]) == ("active", {"visibility": "public"})
    assert shown["eventsUrl"] == f"http://localhost:8000{PATH}/{shown['id']}/events"
    row = Integration.get()
    assert json.loads(secrets.decrypt(row.id, row.credential)) == {"apiKey": "secret-9f3a"}
    assert secrets.decrypt(row.id, row.secret) == secret
    stored = f"{row.__data__} {IdempotentRequest.get().answer}"
    responses = reviewer.get(PATH).text + reviewer.get(f"{PATH}/{row.id}").text
    assert not [text for text in (secret, "secret-9f3a") if text in stored + responses]


@pytest.mark.parametrize(
    ("fields", "paths"),
    [
        ({"system": "workday"}, [["system"]]),
        ({"credential": {}}, [["credential", "apiKey"]]),
        ({"credential": {"apiKey": "x", "token": "y"}}, [["credential", "token"]]),
        ({"settings": {"visibility": "everyone"}}, [["settings", "visibility"]]),
    ],
)
def test_values_that_the_system_does_not_have_are_rejected(reviewer, fields, paths):
    assert error_paths(reviewer.post(PATH, NEW | fields)) == paths
    assert not Integration.select().exists()


@pytest.mark.parametrize("keys", [{}, {"other": b"a key that encrypted nothing yet"}])
def test_nothing_is_connected_or_received_without_the_right_key(
    app, reviewer, anonymous, integration, path, keys
):
    (secret,) = secrets.signing_secrets(integration)
    secrets.use(keys)
    try:
        responses = [send(anonymous, path, secret, {})] + ([] if keys else [reviewer.post(PATH, NEW)])
    finally:
        secrets.use(app.config["INTEGRATION_KEYS"])
    assert {error_of(response) for response in responses} == {(409, "no_integration_keys")}
    assert Integration.select().count() == 1


def test_a_new_credential_resumes_a_stopped_integration(reviewer, integration, path):
    integration.update_columns(stopped_reason="credential_rejected", held_until=integration.created_at)
    before = body_of(reviewer.get(path))["integration"]
    assert (before["state"], before["stoppedReason"]) == ("stopped", "credential_rejected")
    after = body_of(reviewer.patch(path, {"credential": {"apiKey": "new-0b1c"}}))["integration"]
    assert (after["state"], after["stoppedReason"], after["credentialEnd"]) == ("active", None, "0b1c")
    paused = body_of(reviewer.patch(path, {"active": False, "settings": {"userId": "7"}}))["integration"]
    assert (paused["state"], paused["settings"]) == ("paused", {"visibility": "public", "userId": "7"})


def test_calls_do_not_change_the_etag(reviewer, integration, path, rule, clock):
    tag = reviewer.get(path).headers["ETag"]
    today, error = clock.now().date(), "The system responded with 503."
    for age in (0, 1, 7):
        day = (today - timedelta(days=age)).isoformat()
        IntegrationCalls.create(integration=integration, day=day, calls=age + 1, failures=1)
    integration.update_columns(last_call_at=clock.now(), last_error=error, last_error_at=clock.now())
    for number, reason in enumerate(("no_address", "email_suppressed")):
        factories.make_order(rule, str(number), state=ATTENTION, reason=reason)
    shown = reviewer.get(path)
    assert shown.headers["ETag"] == tag
    row = shown.json["integration"]
    assert (row["lastError"], row["attentionCount"]) == (error, 1)
    assert [each["calls"] for each in row["calls"]] == [0, 0, 0, 0, 0, 2, 1]
    unchanged = {"name": "Other", "lastError": None}
    update = reviewer.request("PATCH", path, json=unchanged, headers={"If-Match": tag})
    assert body_of(update)["integration"]["name"] == "Other"
    assert update.headers["ETag"] == reviewer.get(path).headers["ETag"] != tag


def test_a_deleted_integration_has_no_secrets_and_gets_no_webhooks(reviewer, anonymous, integration, path):
    (secret,) = secrets.signing_secrets(integration)
    body_of(reviewer.delete(path))
    row = Integration.get()
    assert (row.credential, row.secret, row.former_secret) == ("", "", None)
    for response in (reviewer.get(path), reviewer.delete(path), send(anonymous, path, secret, {})):
        assert error_of(response) == (404, "not_found")


def test_changes_are_audited_without_values(reviewer, path):
    reviewer.patch(path, {"credential": {"apiKey": "new-0b1c"}})
    entry = AuditEntry.get(AuditEntry.action == "updateIntegration")
    assert (entry.subject_kind, entry.body_fields) == ("integration", ["credential"])


# Calls to the system


def test_jobs_and_stages_are_the_systems(reviewer, path):
    jobs = body_of(reviewer.get(f"{path}/jobs"))["jobs"]
    assert jobs == [{"id": "4011", "name": "Backend Engineer"}]
    names = [stage["name"] for stage in body_of(reviewer.get(f"{path}/stages"))["stages"]]
    of_job = [stage["name"] for stage in body_of(reviewer.get(f"{path}/stages", jobId="4011"))["stages"]]
    assert (names, of_job) == (["Take-home", "Interview"], ["Take-home"])


def test_a_check_counts_the_applications_without_an_order(reviewer, path, rule, assessment):
    factories.make_rule(rule.integration, assessment, "7021", active=False)
    factories.make_order(rule, "265277")
    check = body_of(reviewer.post(f"{path}/check"))["check"]
    assert check == {"ok": True, "problem": None, "rules": [{"ruleId": str(rule.id), "waiting": 1}]}


def test_a_rejected_credential_is_a_checks_result(reviewer, path, system, monkeypatch):
    def reject(api):
        raise CredentialRejected("The system rejected the credential.", 401)

    monkeypatch.setattr(system, "jobs", reject)
    check = body_of(reviewer.post(f"{path}/check"))["check"]
    assert check == {"ok": False, "problem": "The system rejected the credential.", "rules": []}
    assert error_of(reviewer.get(f"{path}/jobs")) == (502, "system_failed")


def test_a_failing_system_is_a_502_with_the_reason(reviewer, path, rule, assessment, system, monkeypatch):
    def fail(*arguments):
        raise TemporaryFailure("The system did not respond in time.")

    for name in ("jobs", "stages", "in_stage"):
        monkeypatch.setattr(system, name, fail)
    responses = [reviewer.get(f"{path}/{name}") for name in ("jobs", "stages", f"rules/{rule.id}/catch-up")]
    responses += [reviewer.post(f"{path}/check"), make_rule(reviewer, path, assessment)]
    for response in responses:
        assert error_of(response) == (502, "system_failed")
        assert response.json["error"] == "The system did not respond in time."


def test_calls_are_made_outside_of_the_transaction(reviewer, path, assessment, system, monkeypatch):
    """Otherwise a slow system would block all other changes on SQLite."""
    outside, during = db.transaction_depth(), []

    def jobs(api):
        during.append(db.transaction_depth())
        return system.JOBS

    monkeypatch.setattr(system, "jobs", jobs)
    rule = STAGE | {"assessmentId": str(assessment.id)}
    for name, body, status in (("check", None, 200), ("rules", rule, 201)):
        headers = {"Idempotency-Key": name}
        body_of(reviewer.request("POST", f"{path}/{name}", json=body, headers=headers), status)
    assert during == [outside, outside]


def test_a_replay_does_not_call_the_system(reviewer, path, assessment, monkeypatch, system):
    body = STAGE | {"assessmentId": str(assessment.id)}
    create = partial(reviewer.request, "POST", f"{path}/rules", json=body, headers={"Idempotency-Key": "a"})
    rule = body_of(create(), 201)
    monkeypatch.setattr(system, "stages", None)
    again = create()
    assert (body_of(again, 201), again.headers["Idempotent-Replayed"]) == (rule, "true")


# Rules


def test_a_rule_gets_the_systems_names_and_defaults(reviewer, path, assessment):
    rule = body_of(make_rule(reviewer, path, assessment), 201)["rule"]
    assert (rule["stageName"], rule["jobName"]) == ("Take-home", "Backend Engineer")
    assert rule["reports"] == ["submitted", "scored", "expired", "revoked"]
    assert (rule["include"], rule["active"]) == (["score", "duration"], True)
    assert (rule["assessmentTitle"], rule["assessmentAvailable"]) == (assessment.title, True)
    for_all = body_of(make_rule(reviewer, path, assessment, stageId="7022", jobId=None), 201)["rule"]
    assert (for_all["stageName"], for_all["jobId"], for_all["jobName"]) == ("Interview", None, None)
    assert [each["id"] for each in body_of(reviewer.get(f"{path}/rules"))["rules"]] == [
        rule["id"],
        for_all["id"],
    ]


def test_a_stage_and_job_have_one_rule(reviewer, path, assessment):
    first = body_of(make_rule(reviewer, path, assessment), 201)["rule"]
    assert error_of(make_rule(reviewer, path, assessment)) == (409, "duplicate_rule")
    body_of(make_rule(reviewer, path, assessment, jobId=None), 201)
    body_of(reviewer.delete(f"{path}/rules/{first['id']}"))
    body_of(make_rule(reviewer, path, assessment), 201)


@pytest.mark.parametrize("field", ["stageId", "jobId"])
def test_an_unknown_stage_or_job_is_rejected(reviewer, path, assessment, field):
    assert error_paths(make_rule(reviewer, path, assessment, **{field: "9999"})) == [[field]]


@pytest.mark.parametrize(("field", "value"), [("reports", "submitted"), ("include", "score")])
def test_a_rules_lists_have_distinct_entries(reviewer, path, rule, assessment, field, value):
    lists = {field: [value, value]}
    assert error_paths(make_rule(reviewer, path, assessment, **lists)) == [[field]]
    assert error_paths(reviewer.patch(f"{path}/rules/{rule.id}", lists)) == [[field]]


def test_a_rule_shows_whether_its_assessment_is_available(reviewer, path, rule, assessment, organization):
    rule_path = f"{path}/rules/{rule.id}"
    assessment.update_columns(archived_at=assessment.created_at)
    assert body_of(reviewer.get(rule_path))["rule"]["assessmentAvailable"] is False
    other = factories.make_assessment(organization, title="Other")
    changed = body_of(reviewer.patch(rule_path, {"assessmentId": str(other.id), "include": []}))["rule"]
    assert (changed["assessmentTitle"], changed["assessmentAvailable"]) == ("Other", True)
    assert (changed["include"], changed["reports"]) == ([], ["submitted", "scored"])


def test_another_integrations_rules_and_orders_are_not_found(reviewer, organization, rule):
    order, other = factories.make_order(rule), factories.make_integration(organization)
    for path in (f"rules/{rule.id}", f"rules/{rule.id}/catch-up"):
        assert error_of(reviewer.get(f"{PATH}/{other.id}/{path}")) == (404, "not_found")
    retry = reviewer.post(f"{PATH}/{other.id}/orders/{order.id}/retry", {})
    assert error_of(retry) == (404, "not_found")


# Orders


def test_only_confirmed_applications_are_invited(reviewer, path, rule):
    catch_up = f"{path}/rules/{rule.id}/catch-up"
    listed = body_of(reviewer.get(catch_up))["applications"]
    assert [(each["applicationId"], each["name"]) for each in listed] == [
        ("265277", "Name of 265277"),
        ("265278", "Name of 265278"),
    ]
    assert not IntegrationOrder.select().exists()
    body = {"applicationIds": ["265278", "265278"]}
    (order,) = body_of(reviewer.post(catch_up, body), 201)["orders"]
    assert (order["applicationId"], order["state"], order["candidateId"]) == ("265278", "received", None)
    assert [each["applicationId"] for each in reviewer.get(catch_up).json["applications"]] == ["265277"]
    entry = AuditEntry.get(AuditEntry.action == "catchUpRule")
    assert (entry.subject_kind, entry.subject_id) == ("rule", rule.id)


def test_an_inactive_rule_invites_nobody(reviewer, path, rule):
    body_of(reviewer.patch(f"{path}/rules/{rule.id}", {"active": False}))
    response = reviewer.post(f"{path}/rules/{rule.id}/catch-up", {"applicationIds": ["265277"]})
    assert error_of(response) == (409, "conflict")
    assert not IntegrationOrder.select().exists()


def test_names_of_waiting_candidates_are_for_admins(app, organization, path, rule):
    for role, status in (("observer", 403), ("reviewer", 403), ("admin", 200)):
        caller = Caller.person(app, factories.make_person(organization, role, name=role))
        assert caller.get(f"{path}/rules/{rule.id}/catch-up").status_code == status


def test_orders_show_candidate_session_and_what_to_do(reviewer, path, rule, key, session, assessment):
    received = factories.make_order(rule, "1")
    problem = {"state": ATTENTION, "reason": "already_assessed", "key": key}
    other_rule = factories.make_rule(rule.integration, assessment, "7021")
    factories.make_order(other_rule, "2", **problem)
    orders = body_of(reviewer.get(f"{path}/orders"))["orders"]
    assert [(order["applicationId"], order["state"]) for order in orders] == [
        ("1", "received"),
        ("2", "attention"),
    ]
    assert (orders[0]["message"], orders[0]["remedy"], orders[0]["reports"]) == (None, None, [])
    assert (orders[1]["candidateId"], orders[1]["sessionId"]) == (str(key.id), str(session.id))
    assert orders[1]["message"]
    assert orders[1]["remedy"]
    for filters in ({"state": "received"}, {"ruleId": str(rule.id)}):
        found = body_of(reviewer.get(f"{path}/orders", **filters))["orders"]
        assert [order["id"] for order in found] == [str(received.id)]


def test_orders_of_hidden_candidates_say_so(
    app, reviewer, path, rule, key, session, assessment, organization
):
    factories.make_order(rule, "1", state="submitted", key=key)
    factories.make_order(rule, "2")
    person = Caller.person(app, factories.make_person(organization, "admin"))

    def hidden(caller):
        return [order["candidateHidden"] for order in body_of(caller.get(f"{path}/orders"))["orders"]]

    assert hidden(person) == [False, False]
    assessment.update_columns(blind=True)
    assert (hidden(person), hidden(reviewer)) == ([True, False], [False, False])


def test_stored_responses_do_not_keep_an_erased_application(reviewer, path, rule, key):
    body = {"applicationIds": ["265277", "265278"]}
    send_again = partial(
        reviewer.request,
        "POST",
        f"{path}/rules/{rule.id}/catch-up",
        json=body,
        headers={"Idempotency-Key": "a"},
    )
    first, second = send_again().json["orders"]
    IntegrationOrder.get_by_id(first["id"]).update_columns(key=key)
    privacy.erase(key)
    assert not IdempotentRequest.select().where(IdempotentRequest.answer.contains("265277")).exists()
    assert send_again().json["orders"] == [first | {"applicationId": None}, second]


# Webhooks


def test_a_signed_webhook_is_answered_with_200(anonymous, integration, path):
    (secret,) = secrets.signing_secrets(integration)
    hint = {"application": "265277", "stage": "7021", "unknown": {"a": "\x00", "b": "\ud800"}}
    for payload in (hint, hint, {"ping": True}, {}):
        response = send(anonymous, path, secret, payload)
        assert (response.status_code, response.json) == (200, {"ok": True})


def test_an_unsigned_or_changed_webhook_is_rejected(anonymous, integration, path, organization):
    (secret,) = secrets.signing_secrets(integration)
    (other,) = secrets.signing_secrets(factories.make_integration(organization))
    signature = adapters()["example"].sign(b"{}", secret)
    for body, headers in (
        (b"{}", {}),
        (b"{}", {"Signature": ""}),
        (b"{}", {"Signature": "\xff"}),
        (b"{ }", {"Signature": signature}),
        (b"", {"Signature": signature}),
    ):
        response = anonymous.request("POST", f"{path}/events", data=body, headers=headers)
        assert error_of(response) == (403, "invalid_signature")
    assert error_of(send(anonymous, path, other, {})) == (403, "invalid_signature")


def test_a_webhook_has_at_most_1_mib(anonymous, integration, path):
    (secret,) = secrets.signing_secrets(integration)
    largest = b"{}".ljust(2**20)
    assert send(anonymous, path, secret, largest).status_code == 200
    assert error_of(send(anonymous, path, secret, largest + b" ")) == (413, "too_large")


def test_both_secrets_count_for_a_day_after_a_rotation(reviewer, anonymous, integration, path, clock):
    (former,) = secrets.signing_secrets(integration)
    secret = body_of(reviewer.post(f"{path}/rotate-secret"))["secret"]

    def statuses():
        return [send(anonymous, path, each, {}).status_code for each in (former, secret)]

    assert statuses() == [200, 200]
    clock.fixed += timedelta(days=1)
    assert statuses() == [403, 200]


@SQLITE_ONLY
def test_only_unsigned_webhooks_are_limited_per_integration_and_address(
    app_with, integration, path, organization
):
    app = app_with(RATELIMIT_DEFAULT="2 per minute", TRUSTED_PROXIES="1")
    other = f"{PATH}/{factories.make_integration(organization).id}"
    caller, elsewhere = (Caller(app, **{"X-Forwarded-For": f"203.0.113.{n}"}) for n in (7, 8))
    (secret,) = secrets.signing_secrets(integration)
    assert [send(caller, path, "x", {}).status_code for _ in range(3)] == [403, 403, 429]
    assert [send(caller, path, secret, {}).status_code for _ in range(4)] == [200] * 4
    assert [send(*each, "x", {}).status_code for each in ((caller, other), (elsewhere, path))] == [403, 403]
    unknown = [f"{PATH}/{new_id()}" for _ in range(3)]
    assert [send(caller, each, "x", {}).status_code for each in unknown] == [404, 404, 429]
