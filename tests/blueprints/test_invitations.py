"""Invitations: resend, extend, reopen, accommodations, reminders, duplicates, messages."""

from datetime import timedelta

import pytest
from factories import make_assessment, make_key, make_session
from response_checks import body_of, error_of, error_paths

from delivery.worker import Worker
from models import Assessment, CandidateKey, Consent, Delivery, Session, invitations, privacy, sessions
from models.deliveries import outbox, outcomes


def at(key, path=""):
    return f"/v1/candidates/{key.id}{path}"


def only_candidate(reviewer):
    (candidate,) = reviewer.get("/v1/candidates").json["candidates"]
    return candidate


@pytest.fixture
def worker(app, tmp_path):
    return Worker(app.config | {"SMTP_URL": None, "MAIL_FOLDER": str(tmp_path)})


@pytest.fixture
def emails(tmp_path):
    """The saved emails."""
    return lambda: [file.read_text() for file in sorted(tmp_path.rglob("*.eml"))]


def history(reviewer, key):
    """(kind, state) of the messages to a candidate, newest first."""
    listed = reviewer.get(at(key, "/deliveries")).json["deliveries"]
    return [(message["kind"], message["state"]) for message in listed]


@pytest.mark.parametrize(("was_sent", "state"), [(True, "saved"), (False, "canceled")])
def test_resending_adds_a_message_and_cancels_a_queued_one(
    reviewer, assessment, worker, emails, was_sent, state
):
    (issued,) = issue(reviewer, assessment, "alice@example.com", orgName="Northwind").json["keys"]
    key = CandidateKey.get_by_id(issued["id"])
    if was_sent:
        worker.run_once()
    candidate = body_of(reviewer.post(at(key, "/invite")))["candidate"]
    assert (candidate["invite"]["state"], candidate["key"]) == ("queued", key.key)
    worker.run_once()
    assert history(reviewer, key) == [("invitation", "saved"), ("invitation", state)]
    assert [delivery.data["orgName"] for delivery in Delivery.select()] == ["Northwind", "Northwind"]
    assert len(emails()) == 1 + was_sent


def test_resending_needs_an_address_and_an_open_key(clock, reviewer, assessment, key):
    assert error_of(reviewer.post(at(make_key(assessment, None), "/invite"))) == (409, "no_email_address")
    session = make_session(make_key(assessment))
    sessions.complete(session)
    assert error_of(reviewer.post(at(session.key, "/invite"))) == (409, "session_ended")
    clock.fixed = key.expires_at
    assert error_of(reviewer.post(at(key, "/invite"))) == (409, "invitation_expired")
    key.revoke()
    for path, body in (("/invite", None), ("/extend", {"days": 1}), ("/reopen", {"days": 1})):
        assert error_of(reviewer.post(at(key, path), body)) == (404, "not_found")
    assert error_of(reviewer.get(at(key, "/deliveries"))) == (404, "not_found")


@pytest.mark.parametrize(
    ("body", "expires_at"),
    [
        ({"days": 3}, "2026-04-11T09:00:00.000Z"),
        ({"expiresAt": "2026-04-02T10:00:00+02:00"}, "2026-04-02T08:00:00.000Z"),
        ({"expiresAt": "2027-04-01T09:00:00Z"}, "2027-04-01T09:00:00.000Z"),
    ],
)
def test_a_key_is_extended(clock, reviewer, key, body, expires_at):
    assert body_of(reviewer.post(at(key, "/extend"), body))["candidate"]["expiresAt"] == expires_at


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "days"), ({"days": 0}, "days"), ({"days": "7"}, "days"), ({"days": 359}, "days"),
        ({"days": 7, "expiresAt": "2026-05-01T00:00:00Z"}, "days"),
        ({"expiresAt": "2026-04-01T09:00:00Z"}, "expiresAt"), ({"expiresAt": "2027-04-01T09:00:01Z"}, "expiresAt"),
        ({"expiresAt": "tomorrow"}, "expiresAt"), ({"expiresAt": 1}, "expiresAt"),
    ],
)  # fmt: skip
def test_an_expiry_is_in_the_future_and_within_a_year(clock, reviewer, key, body, field):
    assert error_paths(reviewer.post(at(key, "/extend"), body)) == [[field]]


def test_an_expired_key_is_reopened_and_redeemed(clock, reviewer, anonymous, key):
    Consent.record(key, None, None)
    clock.fixed = key.expires_at
    assert error_of(anonymous.post("/v1/candidate/redeem", {"key": key.key})) == (410, "key_expired")
    assert error_of(reviewer.post(at(key, "/extend"), {"days": 7})) == (409, "invitation_expired")
    candidate = body_of(reviewer.post(at(key, "/reopen"), {}))["candidate"]
    assert (candidate["status"], candidate["expiresAt"]) == ("pending", "2026-04-15T09:00:00.000Z")
    assert anonymous.post("/v1/candidate/redeem", {"key": key.key}).status_code == 200


def test_only_an_expired_key_that_was_not_redeemed_is_reopened(reviewer, clock, key):
    assert error_of(reviewer.post(at(key, "/reopen"), {"days": 1})) == (409, "not_expired")
    make_session(key)
    for path in ("/reopen", "/extend"):
        assert error_of(reviewer.post(at(key, path), {"days": 1})) == (409, "key_redeemed")


@pytest.mark.parametrize(
    ("name", "email", "state"), [("Bob", "Bob@Example.com", "saved"), (None, None, "canceled")]
)
def test_a_changed_name_and_address_apply_to_queued_messages(
    reviewer, key, worker, emails, name, email, state
):
    body = {"candidateName": name, "candidateEmail": email}
    assert body.items() <= body_of(reviewer.patch(at(key), body))["candidate"].items()
    assert [reviewer.get("/v1/candidates", q=q).json["total"] for q in ("bob@", "alice")] == [bool(name), 0]
    worker.run_once()
    assert history(reviewer, key) == [("invitation", state)]
    assert [f"To: {name} <{email}>" in mail for mail in emails()] == [True] * bool(name)


def test_external_id_and_metadata_are_shown_with_the_key(reviewer, assessment, key):
    values = {"externalId": "applicant-4711", "metadata": {"source": "careers page"}}
    candidate = body_of(reviewer.patch(at(key), values))["candidate"]
    (in_keys,) = reviewer.get(f"/v1/assessments/{assessment.id}/keys").json["keys"]
    for shown in (candidate, only_candidate(reviewer), in_keys):
        assert values.items() <= shown.items()
    cleared = body_of(reviewer.patch(at(key), {"externalId": None, "metadata": None}))["candidate"]
    assert (cleared["externalId"], cleared["metadata"]) == (None, {})


@pytest.mark.parametrize(
    "invalid",
    [
        [], "text", {"a": 1}, {"a": None}, {"a": {"b": "c"}}, {"a": "x" * 501}, {"": "x"}, {"a" * 41: "x"},
        {f"field {number}": "x" for number in range(21)},
    ],
)  # fmt: skip
def test_metadata_is_flat_and_small(reviewer, key, invalid):
    assert error_paths(reviewer.patch(at(key), {"metadata": invalid})) == [["metadata"]]


def test_metadata_has_up_to_20_fields_of_500_characters(reviewer, key):
    largest = {f"{number:040}": "x" * 500 for number in range(20)}
    assert body_of(reviewer.patch(at(key), {"metadata": largest}))["candidate"]["metadata"] == largest


def test_a_rejected_change_changes_nothing(reviewer, key):
    body = {"hired": True, "candidateName": "Bob"}
    assert error_of(reviewer.patch(at(key), body)) == (409, "not_finished")
    assert only_candidate(reviewer)["candidateName"] == "Alice"


def test_an_erasure_clears_everything(reviewer, key):
    reviewer.patch(at(key), {"externalId": "applicant-4711", "metadata": {"a": "b"}})
    reviewer.put(at(key, "/accommodation"), {"extraMinutes": 30})
    privacy.erase(key, reviewer.row)
    row = CandidateKey.get_by_id(key.id)
    assert (row.address, row.external_id, row.metadata, row.extra_minutes) == (None, None, None, None)


def issue(reviewer, assessment, *emails, **fields):
    body = {"count": len(emails), "candidateEmails": list(emails)} | fields
    return reviewer.post(f"/v1/assessments/{assessment.id}/keys", body)


def test_return_responds_with_the_open_key_of_an_address(reviewer, assessment, key):
    response = issue(reviewer, assessment, "bob@example.com", "ALICE@example.com", onDuplicate="return")
    bob, alice = response.json["keys"]
    assert (alice["id"], bob["candidateEmail"]) == (str(key.id), "bob@example.com")
    again = issue(reviewer, assessment, "bob@example.com", onDuplicate="return")
    assert (again.status_code, again.json["keys"]) == (201, [bob])
    assert CandidateKey.select().count() == Delivery.select().count() == 2


def test_return_issues_one_key_for_a_repeated_address(reviewer, assessment):
    response = issue(reviewer, assessment, "a@example.com", "A@example.com", onDuplicate="return")
    first, second = response.json["keys"]
    assert first == second
    assert first["candidateEmail"] == "a@example.com"
    assert CandidateKey.select().count() == 1


@pytest.mark.parametrize("on_duplicate", ["return", "reject"])
def test_keys_without_an_address_are_not_duplicates(reviewer, assessment, on_duplicate):
    body = {"count": 2, "onDuplicate": on_duplicate}
    response = reviewer.post(f"/v1/assessments/{assessment.id}/keys", body)
    assert len({key["id"] for key in response.json["keys"]}) == 2


def test_reject_names_the_duplicates(reviewer, assessment, key):
    emails = ("bob@example.com", "alice@example.com", "BOB@example.com")
    response = issue(reviewer, assessment, *emails, onDuplicate="reject")
    assert error_of(response) == (409, "duplicate_candidates")
    open_key, repeated = response.json["entries"]
    assert (open_key["path"], repeated["path"]) == (["candidateEmails", 1], ["candidateEmails", 2])
    assert str(key.id) in open_key["message"]
    assert CandidateKey.select().count() == 1


def test_only_an_open_key_is_a_duplicate(clock, reviewer, organization):
    assessment = make_assessment(organization, time_limit_minutes=60, expires_in_days=1)
    make_key(make_assessment(organization))
    make_key(assessment).revoke()
    sessions.complete(make_session(make_key(assessment)))
    make_session(make_key(assessment))
    for passed, status in ((0, 409), (65, 201), (0, 409), (24 * 60, 201)):  # in minutes
        clock.fixed += timedelta(minutes=passed)
        response = issue(reviewer, assessment, "alice@example.com", onDuplicate="reject")
        assert response.status_code == status


@pytest.fixture
def timed(organization):
    """A key to an assessment of 90 minutes."""
    return make_key(make_assessment(organization, time_limit_minutes=90))


def accommodate(reviewer, key, **body):
    return body_of(reviewer.put(at(key, "/accommodation"), body))["accommodation"]


@pytest.mark.parametrize(
    ("body", "minutes"),
    [
        ({"extraMinutes": 30}, 120),
        ({"timeMultiplier": 1.5}, 135),
        ({"timeMultiplier": 1.25}, 113),  # rounded up
        ({}, 90),
    ],
)
def test_the_candidate_sees_the_extended_time_limit(clock, reviewer, anonymous, timed, body, minutes):
    assert accommodate(reviewer, timed, **body)["timeLimitMinutes"] == minutes
    consent = anonymous.get("/v1/candidate/consent", key=timed.key).json
    Consent.record(timed, None, None)
    redeemed = anonymous.post("/v1/candidate/redeem", {"key": timed.key}).json
    assert consent["timeLimitMinutes"] == redeemed["timeLimitMinutes"] == minutes
    close = clock.fixed + timedelta(minutes=minutes + 5)
    assert Session.get(Session.key == timed).closes_at == close
    assert redeemed["expiresAt"] == (close + timedelta(hours=24)).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def test_the_email_has_the_extended_time_limit(reviewer, timed, worker, emails):
    accommodate(reviewer, timed, extraMinutes=30)
    worker.run_once()
    assert "Time limit:  2 hours" in emails()[0]


def test_more_time_during_a_session_moves_the_deadline(clock, reviewer, timed):
    make_session(timed)
    clock.fixed += timedelta(minutes=94)
    accommodate(reviewer, timed, extraMinutes=10)
    for minutes, status, code in ((10, "active", "time_limit_passed"), (1, "expired", "session_closed")):
        clock.fixed += timedelta(minutes=minutes)
        assert only_candidate(reviewer)["status"] == status
        assert error_of(reviewer.put(at(timed, "/accommodation"), {})) == (409, code)
        assert reviewer.get(at(timed, "/accommodation")).json["accommodation"]["extraMinutes"] == 10


def test_without_a_time_limit_there_is_nothing_to_extend(reviewer, key):
    for body in ({"timeMultiplier": 2}, {"extraMinutes": 30}):
        assert error_of(reviewer.put(at(key, "/accommodation"), body)) == (409, "no_time_limit")
    assert accommodate(reviewer, key)["timeLimitMinutes"] is None
    assert make_session(key).closes_at is None


@pytest.mark.parametrize(
    "body",
    [
        {"extraMinutes": 0}, {"extraMinutes": "30"}, {"timeMultiplier": 0.9}, {"timeMultiplier": 10.5},
        {"timeMultiplier": 1.0001}, {"timeMultiplier": True}, {"timeMultiplier": 1.5, "extraMinutes": 30},
    ],
)  # fmt: skip
def test_an_invalid_accommodation_is_rejected(reviewer, key, body):
    assert reviewer.put(at(key, "/accommodation"), body).status_code == 400


def test_an_accommodation_is_in_no_list(reviewer, session, key):
    key.assessment.update_columns(time_limit_minutes=60)
    accommodate(reviewer, key, extraMinutes=30)
    sessions.complete(session)
    for path in ("/v1/candidates", f"/v1/sessions/{session.id}", f"/v1/sessions/{session.id}/cohort-stats"):
        assert "extraMinutes" not in reviewer.get(path).text


@pytest.fixture
def reminding(clock, organization):
    """A key of seven days to an assessment that reminds two days before."""
    return make_key(make_assessment(organization, reminder_days_before=2))


def test_a_candidate_who_has_not_started_is_reminded_once(clock, reviewer, reminding, worker, emails):
    worker.run_once()
    clock.fixed += timedelta(days=5) - timedelta(minutes=1)
    worker.run_once()
    assert len(emails()) == 1
    clock.fixed += timedelta(minutes=1)
    for _ in range(2):
        worker.run_once()
        clock.fixed += timedelta(hours=1)
    assert history(reviewer, reminding) == [("reminder", "saved"), ("invitation", "saved")]
    (reminder,) = [mail for mail in emails() if "This is a reminder:" in mail]
    assert reminding.key in reminder


def test_later_emails_have_the_company_name_of_the_keys(clock, reviewer, organization, worker, emails):
    assessment = make_assessment(organization, reminder_days_before=2)
    (issued,) = issue(reviewer, assessment, count=1, candidateEmails=None, orgName="Northwind").json["keys"]
    key = CandidateKey.get_by_id(issued["id"])
    body_of(reviewer.patch(at(key), {"candidateEmail": "alice@example.com"}))
    body_of(reviewer.post(at(key, "/invite")))
    clock.fixed += timedelta(days=5)
    worker.run_once()
    assert history(reviewer, key) == [("reminder", "saved"), ("invitation", "saved")]
    assert all("Northwind invites you" in mail for mail in emails())
    assert sum("This is a reminder: Northwind has" in mail for mail in emails()) == 1
    assert not any(organization.public_name in mail for mail in emails())


def test_there_are_no_reminders_by_default(clock, key):
    clock.fixed = key.expires_at - timedelta(minutes=1)
    assert invitations.enqueue_reminders() == 0


@pytest.mark.parametrize("event", ["started", "revoked", "expired", "erased", "bounced", "no address"])
def test_no_reminder_is_queued_after(app, clock, reviewer, reminding, event):
    clock.fixed = reminding.expires_at - timedelta(days=0 if event == "expired" else 2)
    causes = {
        "expired": lambda: None,
        "started": lambda: make_session(reminding),
        "revoked": reminding.revoke,
        "erased": lambda: privacy.erase(reminding, reviewer.row),
        "bounced": lambda: bounce(app, "alice@example.com"),
        "no address": lambda: reviewer.patch(at(reminding), {"candidateEmail": None}),
    }
    causes[event]()
    assert invitations.enqueue_reminders() == 0


def test_a_queued_reminder_is_canceled_by_a_start(clock, reviewer, reminding, worker, emails):
    worker.run_once()
    clock.fixed += timedelta(days=5)
    assert invitations.enqueue_reminders() == 1
    make_session(reminding)
    worker.run_once()
    assert history(reviewer, reminding)[0] == ("reminder", "canceled")
    assert len(emails()) == 1


def test_an_extended_key_is_reminded_of_its_new_expiry_only(clock, reviewer, reminding, worker):
    clock.fixed += timedelta(days=5)
    assert invitations.enqueue_reminders() == 1
    reviewer.post(at(reminding, "/extend"), {"days": 7})
    assert invitations.enqueue_reminders() == 0
    worker.run_once()
    assert history(reviewer, reminding)[0] == ("reminder", "canceled")
    clock.fixed += timedelta(days=7)
    assert invitations.enqueue_reminders() == 1


def test_a_reminder_is_due_after_the_invitation(reviewer, assessment):
    new = {"title": "One more", "role": "Engineer", "taskBrief": "Fix it.", "reminderDaysBefore": 7}
    assert error_paths(reviewer.post("/v1/assessments", new)) == [["reminderDaysBefore"]]
    assert reviewer.post("/v1/assessments", new | {"expiresInDays": 8}).status_code == 201
    path = f"/v1/assessments/{assessment.id}"
    assert error_paths(reviewer.patch(path, {"reminderDaysBefore": 7})) == [["reminderDaysBefore"]]
    assert reviewer.patch(path, {"reminderDaysBefore": 7, "expiresInDays": 8}).status_code == 200
    assert reviewer.get(f"{path}/task").json["task"]["reminderDaysBefore"] == 7


def test_a_failed_message_is_listed_and_retried(reviewer, key, worker, emails):
    outcomes.fail(Delivery.get(), "550 5.1.1 No such user")
    (failed,) = reviewer.get("/v1/deliveries", state="failed").json["deliveries"]
    assert (failed["candidateId"], failed["lastError"]) == (str(key.id), "550 5.1.1 No such user")
    retried = reviewer.post(f"/v1/deliveries/{failed['id']}/retry").json["delivery"]
    assert (retried["id"], retried["state"], retried["attempts"]) == (failed["id"], "queued", 0)
    worker.run_once()
    assert len(emails()) == 1
    assert reviewer.get("/v1/deliveries", state="failed").json["total"] == 0
    assert error_of(reviewer.post(f"/v1/deliveries/{failed['id']}/retry")) == (409, "not_failed")


def test_removals_are_not_listed(reviewer, organization, key):
    outbox.enqueue_removals(organization.id, key.id, [("bundle", key.created_at)])
    assert reviewer.get("/v1/deliveries").json["total"] == 1
    removal = Delivery.get(Delivery.kind == "removal")
    assert error_of(reviewer.post(f"/v1/deliveries/{removal.id}/retry")) == (404, "not_found")


def test_messages_are_paginated_latest_first_and_have_no_name_or_address(reviewer, assessment):
    first, *_ = [make_key(assessment) for _ in range(3)]
    response = reviewer.get("/v1/deliveries", limit=2, offset=2)
    page = response.json
    assert [delivery["candidateId"] for delivery in page["deliveries"]] == [str(first.id)]
    assert (page["total"], page["limit"], page["offset"]) == (3, 2, 2)
    assert "alice" not in response.text.lower()


def bounce(app, address):
    return app.test_cli_runner().invoke(args=["deliveries", "bounce", address])


def test_messages_to_a_bounced_address_have_failed(app, reviewer, key, worker):
    worker.run_once()
    assert "1 candidate key" in bounce(app, "ALICE@example.com").output
    (failed,) = reviewer.get("/v1/deliveries", state="failed").json["deliveries"]
    assert failed["lastError"] == invitations.BOUNCED
    assert only_candidate(reviewer)["invite"]["state"] == "failed"
    reviewer.patch(at(key), {"candidateEmail": "alice@example.org"})
    assert not CandidateKey.get_by_id(key.id).bounced
    assert bounce(app, "alice@example.com").exit_code == 1


SHOWN_TO_CANDIDATES = {
    "title": "Other",
    "role": "Other",
    "taskBrief": "Other",
    "repoUrl": "https://github.com/example/other",
    "timeLimitMinutes": 45,
    "brief": {"groundRules": ["Ask."], "codebase": {"runCommand": "make run", "testCommand": "make test"}},
    "setupInstructions": "make other",
    "allowedTools": ["claude"],
    "tokenBudgetUsd": 5,
}


@pytest.fixture
def path(assessment):
    return f"/v1/assessments/{assessment.id}"


def test_everything_can_change_until_a_candidate_starts(clock, reviewer, path, key):
    clock.fixed += timedelta(hours=1)
    changed = reviewer.patch(path, SHOWN_TO_CANDIDATES | {"expiresInDays": 30}).json["assessment"]
    assert (changed["expiresInDays"], changed["updatedAt"]) == (30, "2026-04-01T10:00:00.000Z")
    shown = changed | reviewer.get(f"{path}/task").json["task"]
    assert SHOWN_TO_CANDIDATES.items() <= shown.items()


@pytest.mark.parametrize("field", SHOWN_TO_CANDIDATES)
def test_nothing_that_a_candidate_has_seen_can_change(reviewer, assessment, session, path, field):
    unseen = {"expiresInDays": 9, "reminderDaysBefore": 3, "title": assessment.title}
    assert reviewer.patch(path, unseen).json["assessment"]["expiresInDays"] == 9
    before = reviewer.get(path).json
    response = reviewer.patch(path, {field: SHOWN_TO_CANDIDATES[field], "expiresInDays": 8})
    assert error_of(response) == (409, "already_started")
    assert [entry["path"] for entry in response.json["entries"]] == [[field]]
    assert reviewer.get(path).json == before


def test_null_clears_optional_fields_and_a_new_repository_the_commit(reviewer, organization):
    values = {"time_limit_minutes": 60, "reminder_days_before": 2, "repo_commit": "abc"}
    assessment = make_assessment(organization, repo_url="https://github.com/a/b", **values)
    path = f"/v1/assessments/{assessment.id}"
    body = {"timeLimitMinutes": None, "reminderDaysBefore": None, "repoUrl": "https://github.com/a/c"}
    assert reviewer.patch(path, body).json["assessment"]["timeLimitMinutes"] is None
    row = Assessment.get_by_id(assessment.id)
    assert (row.time_limit_minutes, row.reminder_days_before, row.repo_commit) == (None, None, None)
    for field in ("title", "role", "taskBrief", "expiresInDays"):
        assert error_paths(reviewer.patch(path, {field: None})) == [[field]]
    assert error_paths(reviewer.patch(path, {"rubricId": str(assessment.id)})) == [["rubricId"]]
