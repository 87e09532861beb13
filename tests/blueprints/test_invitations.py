"""Invitations, accommodations, reminders, duplicates and messages; updates to assessments with candidates."""

from datetime import timedelta
from email import message_from_string

import pytest
from factories import make_assessment, make_key, make_session
from response_checks import body_of, error_of, error_paths

from models import Assessment, CandidateKey, Consent, Delivery, Session, invitations, privacy, sessions
from models.deliveries import outbox, outcomes
from models.invitations import UNDO_PERIOD
from models.leases import LEASE


def path_of(key, path=""):
    return f"/v1/candidates/{key.id}{path}"


def only_candidate(reviewer):
    (candidate,) = reviewer.get("/v1/candidates").json["candidates"]
    return candidate


def test_invitations_and_reminders_say_what_is_recorded_but_not_the_task(clock, organization, worker, emails):
    make_key(make_assessment(organization, task_brief="Find the lost orders.", reminder_days_before=3))
    worker.run_once()
    clock.fixed += timedelta(days=5)
    worker.run_once()
    texts = [message_from_string(text).get_payload(0).get_payload() for text in emails()]
    assert len(texts) == 2
    for text in texts:
        assert "- Prompts you write to AI tools, and their answers" in text
        assert "lost orders" not in text


def history(reviewer, key):
    """Return the kind and state of each message to a candidate, newest first."""
    messages = reviewer.get(path_of(key, "/deliveries")).json["deliveries"]
    return [(message["kind"], message["state"]) for message in messages]


@pytest.mark.parametrize(("was_sent", "state"), [(True, "saved"), (False, "canceled")])
def test_resending_queues_a_message_and_cancels_the_queued_one(
    clock, reviewer, assessment, worker, emails, was_sent, state
):
    (generated,) = generate_keys(reviewer, assessment, "alice@example.com", orgName="Northwind").json["keys"]
    key = CandidateKey.get_by_id(generated["id"])
    if was_sent:
        worker.run_once()
    candidate = body_of(reviewer.post(path_of(key, "/invite")))["candidate"]
    assert (candidate["invite"]["state"], candidate["key"]) == ("queued", key.key)
    clock.fixed += UNDO_PERIOD
    worker.run_once()
    assert history(reviewer, key) == [("invitation", "saved"), ("invitation", state)]
    assert [delivery.data["orgName"] for delivery in Delivery.select()] == ["Northwind", "Northwind"]
    assert len(emails()) == 1 + was_sent


def test_resending_requires_an_address_and_an_open_key(clock, reviewer, assessment, key):
    without_address = make_key(assessment, email=None)
    assert error_of(reviewer.post(path_of(without_address, "/invite"))) == (409, "no_email_address")
    session = make_session(make_key(assessment))
    sessions.complete(session)
    assert error_of(reviewer.post(path_of(session.key, "/invite"))) == (409, "session_ended")
    clock.fixed = key.expires_at
    assert error_of(reviewer.post(path_of(key, "/invite"))) == (409, "invitation_expired")
    key.revoke()
    for path, body in (("/invite", None), ("/extend", {"days": 1}), ("/reopen", {"days": 1})):
        assert error_of(reviewer.post(path_of(key, path), body)) == (404, "not_found")


@pytest.mark.parametrize(
    ("body", "expires_at"),
    [
        ({"days": 3}, "2026-04-11T09:00:00.000Z"),
        ({"expiresAt": "2026-04-02T10:00:00+02:00"}, "2026-04-02T08:00:00.000Z"),
        ({"expiresAt": "2027-04-01T09:00:00Z"}, "2027-04-01T09:00:00.000Z"),
    ],
)
def test_a_keys_expiry_can_be_extended(clock, reviewer, key, body, expires_at):
    assert body_of(reviewer.post(path_of(key, "/extend"), body))["candidate"]["expiresAt"] == expires_at


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "days"), ({"days": 0}, "days"), ({"days": "7"}, "days"), ({"days": 359}, "days"),
        ({"days": 7, "expiresAt": "2026-05-01T00:00:00Z"}, "days"),
        ({"expiresAt": "2026-04-01T09:00:00Z"}, "expiresAt"), ({"expiresAt": "2027-04-01T09:00:01Z"}, "expiresAt"),
        ({"expiresAt": "tomorrow"}, "expiresAt"), ({"expiresAt": 1}, "expiresAt"),
    ],
)  # fmt: skip
def test_the_new_expiry_must_be_within_a_year(clock, reviewer, key, body, field):
    assert error_paths(reviewer.post(path_of(key, "/extend"), body)) == [[field]]


def test_a_reopened_key_can_be_redeemed(clock, reviewer, anonymous, key):
    Consent.record(key, None, None)
    clock.fixed = key.expires_at
    assert error_of(anonymous.post("/v1/candidate/redeem", {"key": key.key})) == (410, "key_expired")
    assert error_of(reviewer.post(path_of(key, "/extend"), {"days": 7})) == (409, "invitation_expired")
    candidate = body_of(reviewer.post(path_of(key, "/reopen"), {}))["candidate"]
    assert (candidate["status"], candidate["expiresAt"]) == ("pending", "2026-04-15T09:00:00.000Z")
    assert anonymous.post("/v1/candidate/redeem", {"key": key.key}).status_code == 200


def test_only_expired_unredeemed_keys_can_be_reopened(reviewer, clock, key):
    assert error_of(reviewer.post(path_of(key, "/reopen"), {"days": 1})) == (409, "not_expired")
    make_session(key)
    for path in ("/reopen", "/extend"):
        assert error_of(reviewer.post(path_of(key, path), {"days": 1})) == (409, "key_redeemed")


@pytest.mark.parametrize(
    ("name", "email", "state"), [("Bob", "Bob@Example.com", "saved"), (None, None, "canceled")]
)
def test_name_and_email_updates_apply_to_queued_messages(reviewer, key, worker, emails, name, email, state):
    body = {"candidateName": name, "candidateEmail": email}
    assert body.items() <= body_of(reviewer.patch(path_of(key), body))["candidate"].items()
    assert [reviewer.get("/v1/candidates", q=q).json["total"] for q in ("bob@", "alice")] == [bool(name), 0]
    worker.run_once()
    assert history(reviewer, key) == [("invitation", state)]
    assert [f"To: {name} <{email}>" in text for text in emails()] == [True] * bool(name)


def test_external_id_and_metadata_can_be_set_and_cleared(reviewer, key):
    values = {"externalId": "applicant-4711", "metadata": {"source": "careers page"}}
    candidate = body_of(reviewer.patch(path_of(key), values))["candidate"]
    for body in (candidate, only_candidate(reviewer)):
        assert values.items() <= body.items()
    cleared = body_of(reviewer.patch(path_of(key), {"externalId": None, "metadata": None}))["candidate"]
    assert (cleared["externalId"], cleared["metadata"]) == (None, {})


def test_metadata_can_contain_20_values_of_500_characters(reviewer, key):
    largest = {f"{number:040}": "x" * 500 for number in range(20)}
    assert body_of(reviewer.patch(path_of(key), {"metadata": largest}))["candidate"]["metadata"] == largest
    for invalid in (
        [], "text", {"a": 1}, {"a": None}, {"a": {"b": "c"}}, {"a": "x" * 501}, {"": "x"}, {"a" * 41: "x"},
        {f"field {number}": "x" for number in range(21)},
    ):  # fmt: skip
        assert error_paths(reviewer.patch(path_of(key), {"metadata": invalid})) == [["metadata"]], invalid


def test_updates_are_atomic(reviewer, key):
    body = {"hired": True, "candidateName": "Bob"}
    assert error_of(reviewer.patch(path_of(key), body)) == (409, "not_finished")
    assert only_candidate(reviewer)["candidateName"] == "Alice"


def test_erasure_clears_the_accommodation(reviewer, timed):
    accommodate(reviewer, timed, extraMinutes=30)
    privacy.erase(timed, reviewer.row)
    assert CandidateKey.get_by_id(timed.id).extra_minutes is None


def generate_keys(reviewer, assessment, *emails, **fields):
    body = {"count": len(emails), "candidateEmails": list(emails)} | fields
    return reviewer.post(f"/v1/assessments/{assessment.id}/keys", body)


def test_on_duplicate_return_returns_the_open_key(reviewer, assessment, key):
    response = generate_keys(
        reviewer, assessment, "bob@example.com", "ALICE@example.com", onDuplicate="return"
    )
    bob, alice = response.json["keys"]
    assert (alice["id"], bob["candidateEmail"]) == (str(key.id), "bob@example.com")
    response = generate_keys(reviewer, assessment, "bob@example.com", onDuplicate="return")
    assert (response.status_code, response.json["keys"]) == (201, [bob])
    assert CandidateKey.select().count() == Delivery.select().count() == 2


def test_on_duplicate_return_generates_one_key_for_a_repeated_address(reviewer, assessment):
    response = generate_keys(reviewer, assessment, "a@example.com", "A@example.com", onDuplicate="return")
    first, second = response.json["keys"]
    assert first == second
    assert first["candidateEmail"] == "a@example.com"
    assert CandidateKey.select().count() == 1


@pytest.mark.parametrize("on_duplicate", ["return", "reject"])
def test_keys_without_an_address_are_not_duplicates(reviewer, assessment, on_duplicate):
    body = {"count": 2, "onDuplicate": on_duplicate}
    response = reviewer.post(f"/v1/assessments/{assessment.id}/keys", body)
    assert len({key["id"] for key in response.json["keys"]}) == 2


def test_on_duplicate_reject_lists_the_duplicates(reviewer, assessment, key):
    emails = ("bob@example.com", "alice@example.com", "BOB@example.com")
    response = generate_keys(reviewer, assessment, *emails, onDuplicate="reject")
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
    for minutes, status in ((0, 409), (65, 201), (0, 409), (24 * 60, 201)):
        clock.fixed += timedelta(minutes=minutes)
        response = generate_keys(reviewer, assessment, "alice@example.com", onDuplicate="reject")
        assert response.status_code == status


@pytest.fixture
def timed(organization):
    """A key to a 90-minute assessment."""
    return make_key(make_assessment(organization, time_limit_minutes=90))


def accommodate(reviewer, key, **body):
    return body_of(reviewer.put(path_of(key, "/accommodation"), body))["accommodation"]


# 112.5 minutes are rounded up.
@pytest.mark.parametrize(
    ("body", "minutes"), [({"extraMinutes": 30}, 120), ({"timeMultiplier": 1.25}, 113), ({}, 90)]
)
def test_candidates_get_the_extended_time_limit(clock, reviewer, anonymous, timed, body, minutes):
    assert accommodate(reviewer, timed, **body)["timeLimitMinutes"] == minutes
    consent = anonymous.get("/v1/candidate/consent", key=timed.key).json
    Consent.record(timed, None, None)
    redeemed = anonymous.post("/v1/candidate/redeem", {"key": timed.key}).json
    assert consent["timeLimitMinutes"] == redeemed["timeLimitMinutes"] == minutes
    closes_at = clock.fixed + timedelta(minutes=minutes + 5)
    assert Session.get(Session.key == timed).closes_at == closes_at
    assert redeemed["expiresAt"] == (closes_at + timedelta(hours=24)).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def test_the_invitation_contains_the_extended_time_limit(reviewer, timed, worker, emails):
    accommodate(reviewer, timed, extraMinutes=30)
    worker.run_once()
    assert "Time limit:  2 hours" in emails()[0]


def test_extra_time_during_a_session_moves_the_deadline(clock, reviewer, timed):
    make_session(timed)
    clock.fixed += timedelta(minutes=94)
    accommodate(reviewer, timed, extraMinutes=10)
    for minutes, status, code in ((10, "active", "time_limit_passed"), (1, "expired", "session_closed")):
        clock.fixed += timedelta(minutes=minutes)
        assert only_candidate(reviewer)["status"] == status
        assert error_of(reviewer.put(path_of(timed, "/accommodation"), {})) == (409, code)
        assert reviewer.get(path_of(timed, "/accommodation")).json["accommodation"]["extraMinutes"] == 10


def test_accommodations_require_a_time_limit(reviewer, key):
    for body in ({"timeMultiplier": 2}, {"extraMinutes": 30}):
        assert error_of(reviewer.put(path_of(key, "/accommodation"), body)) == (409, "no_time_limit")
    assert accommodate(reviewer, key)["timeLimitMinutes"] is None
    assert make_session(key).closes_at is None


def test_invalid_accommodations_are_rejected(reviewer, key):
    for body in (
        {"extraMinutes": 0}, {"extraMinutes": "30"}, {"timeMultiplier": 0.9}, {"timeMultiplier": 10.5},
        {"timeMultiplier": 1.0001}, {"timeMultiplier": True}, {"timeMultiplier": 1.5, "extraMinutes": 30},
    ):  # fmt: skip
        assert reviewer.put(path_of(key, "/accommodation"), body).status_code == 400, body


def test_lists_and_statistics_do_not_include_accommodations(reviewer, session, key):
    key.assessment.update_columns(time_limit_minutes=60)
    accommodate(reviewer, key, extraMinutes=30)
    sessions.complete(session)
    for path in ("/v1/candidates", f"/v1/sessions/{session.id}", f"/v1/sessions/{session.id}/cohort-stats"):
        assert "extraMinutes" not in reviewer.get(path).text


@pytest.fixture
def reminded_key(clock, organization):
    """A key that expires after seven days, with a reminder two days before."""
    return make_key(make_assessment(organization, reminder_days_before=2))


def test_candidates_who_have_not_started_are_reminded_once(clock, reviewer, reminded_key, worker, emails):
    worker.run_once()
    clock.fixed += timedelta(days=5) - timedelta(minutes=1)
    worker.run_once()
    assert len(emails()) == 1
    clock.fixed += timedelta(minutes=1)
    for _ in range(2):
        worker.run_once()
        clock.fixed += timedelta(hours=1)
    assert history(reviewer, reminded_key) == [("reminder", "saved"), ("invitation", "saved")]
    (reminder,) = [email for email in emails() if "This is a reminder:" in email]
    assert reminded_key.key in reminder


def test_later_emails_use_the_company_name_from_key_generation(clock, reviewer, organization, worker, emails):
    assessment = make_assessment(organization, reminder_days_before=2)
    (generated,) = generate_keys(
        reviewer, assessment, count=1, candidateEmails=None, orgName="Northwind"
    ).json["keys"]
    key = CandidateKey.get_by_id(generated["id"])
    body_of(reviewer.patch(path_of(key), {"candidateEmail": "alice@example.com"}))
    body_of(reviewer.post(path_of(key, "/invite")))
    clock.fixed += timedelta(days=5)
    worker.run_once()
    assert history(reviewer, key) == [("reminder", "saved"), ("invitation", "saved")]
    assert all("Northwind invites you" in email for email in emails())
    assert sum("This is a reminder: Northwind has" in email for email in emails()) == 1
    assert not any(organization.public_name in email for email in emails())


def test_no_reminder_follows_an_invitation_at_once(clock, reviewer, organization):
    assessment = make_assessment(organization, expires_in_days=8, reminder_days_before=7)
    body = {"count": 1, "candidateEmails": ["ada@example.com"], "expiresInDays": 7}
    key = body_of(reviewer.post(f"/v1/assessments/{assessment.id}/keys", body), 201)["keys"][0]
    assert invitations.enqueue_reminders() == 0
    clock.fixed += timedelta(days=2)
    path = f"/v1/candidates/{key['id']}/extend"
    body_of(reviewer.post(path, {"days": 1, "sendEmail": True}))
    assert invitations.enqueue_reminders() == 0
    body_of(reviewer.post(path, {"days": 2}))
    clock.fixed += timedelta(days=1)
    assert invitations.enqueue_reminders() == 1


def test_no_reminder_precedes_a_late_invitation(clock, reviewer, organization):
    assessment = make_assessment(organization, expires_in_days=7, reminder_days_before=3)
    key = body_of(reviewer.post(f"/v1/assessments/{assessment.id}/keys", {"count": 1}), 201)["keys"][0]
    clock.fixed += timedelta(days=5)
    body_of(reviewer.patch(f"/v1/candidates/{key['id']}", {"candidateEmail": "ada@example.com"}))
    assert invitations.enqueue_reminders() == 0
    body_of(reviewer.post(f"/v1/candidates/{key['id']}/invite"))
    assert invitations.enqueue_reminders() == 0


def test_reminders_are_not_sent_by_default(clock, key):
    clock.fixed = key.expires_at - timedelta(minutes=1)
    assert invitations.enqueue_reminders() == 0


@pytest.mark.parametrize(
    "event",
    [
        *("started", "revoked", "expired", "erased", "bounced", "no address"),
        *("rejected", "erasure requested"),
    ],
)
def test_reminders_are_not_queued_after(flask, clock, reviewer, reminded_key, event):
    clock.fixed = reminded_key.expires_at - timedelta(days=0 if event == "expired" else 2)
    causes = {
        "expired": lambda: None,
        "started": lambda: make_session(reminded_key),
        "revoked": reminded_key.revoke,
        "erased": lambda: privacy.erase(reminded_key, reviewer.row),
        "bounced": lambda: flask("deliveries", "bounce", "alice@example.com"),
        "no address": lambda: reviewer.patch(path_of(reminded_key), {"candidateEmail": None}),
        "rejected": lambda: invitations.decide(reminded_key, reviewer.row, "rejected", None),
        "erasure requested": reminded_key.request_erasure,
    }
    causes[event]()
    assert invitations.enqueue_reminders() == 0


def test_starting_cancels_a_queued_reminder(clock, reviewer, reminded_key, worker, emails):
    worker.run_once()
    clock.fixed += timedelta(days=5)
    assert invitations.enqueue_reminders() == 1
    make_session(reminded_key)
    worker.run_once()
    assert history(reviewer, reminded_key)[0] == ("reminder", "canceled")
    assert len(emails()) == 1


def test_reminders_follow_an_extended_expiry(clock, reviewer, reminded_key, worker):
    clock.fixed += timedelta(days=5)
    assert invitations.enqueue_reminders() == 1
    reviewer.post(path_of(reminded_key, "/extend"), {"days": 7})
    assert invitations.enqueue_reminders() == 0
    worker.run_once()
    assert history(reviewer, reminded_key)[0] == ("reminder", "canceled")
    clock.fixed += timedelta(days=7)
    assert invitations.enqueue_reminders() == 1


def test_a_reminder_after_an_extension_is_sent_although_the_former_one_was_queued(
    clock, reviewer, reminded_key, worker
):
    clock.fixed += timedelta(days=5)
    assert invitations.enqueue_reminders() == 1
    body_of(reviewer.post(path_of(reminded_key, "/extend"), {"days": 7}))
    body_of(reviewer.post(path_of(reminded_key, "/remind")))
    clock.fixed += timedelta(minutes=1)
    worker.run_once()
    assert history(reviewer, reminded_key)[:2] == [("reminder", "saved"), ("reminder", "canceled")]


def test_failed_messages_can_be_listed_and_retried(reviewer, key, worker, emails):
    outcomes.fail(Delivery.get(), "550 5.1.1 No such user")
    (delivery,) = reviewer.get("/v1/deliveries", state="failed").json["deliveries"]
    assert (delivery["candidateId"], delivery["lastError"]) == (str(key.id), "550 5.1.1 No such user")
    retried = reviewer.post(f"/v1/deliveries/{delivery['id']}/retry").json["delivery"]
    assert (retried["id"], retried["state"], retried["attempts"]) == (delivery["id"], "queued", 0)
    worker.run_once()
    assert len(emails()) == 1
    assert reviewer.get("/v1/deliveries", state="failed").json["total"] == 0
    assert error_of(reviewer.post(f"/v1/deliveries/{delivery['id']}/retry")) == (409, "not_failed")


def test_waiting_messages_are_retried_after_an_outage_by_command(
    clock, flask, assessment, key, worker, emails
):
    waiting, sending = Delivery.get(), make_key(assessment, "bob@example.com").invitation_id
    Delivery.update(attempts=4, due_at=clock.fixed + timedelta(hours=1), last_error="Busy.").execute()
    # Another worker is sending this one.
    Delivery.update(due_at=clock.fixed + LEASE).where(Delivery.id == sending).execute()
    worker.run_once()
    assert emails() == []
    assert (
        flask("deliveries", "retry", "--waiting")
        == "Retrying 1 deliveries now. Those that are due within 5 minutes are not changed.\n"
    )
    worker.run_once()
    assert (len(emails()), Delivery.get_by_id(waiting.id).state) == (1, "saved")
    assert "--waiting" in flask("deliveries", "retry", fails=True)


def test_removals_are_not_listed(reviewer, organization, key):
    outbox.enqueue_removals(organization.id, key.id, [("bundle", key.created_at)])
    assert reviewer.get("/v1/deliveries").json["total"] == 1
    removal = Delivery.get(Delivery.kind == "removal")
    assert error_of(reviewer.post(f"/v1/deliveries/{removal.id}/retry")) == (404, "not_found")


def test_a_bounce_marks_messages_as_failed(flask, reviewer, key, worker):
    worker.run_once()
    assert "1 candidate key" in flask("deliveries", "bounce", "ALICE@example.com")
    (delivery,) = reviewer.get("/v1/deliveries", state="failed").json["deliveries"]
    assert delivery["lastError"] == invitations.BOUNCED
    assert only_candidate(reviewer)["invite"]["state"] == "failed"
    reviewer.patch(path_of(key), {"candidateEmail": "alice@example.org"})
    assert not CandidateKey.get_by_id(key.id).bounced
    flask("deliveries", "bounce", "alice@example.com", fails=True)


CANDIDATE_FIELDS = {
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


def test_every_field_can_be_updated_until_a_candidate_starts(clock, reviewer, path, key):
    clock.fixed += timedelta(hours=1)
    updated = reviewer.patch(path, CANDIDATE_FIELDS | {"expiresInDays": 30}).json["assessment"]
    assert (updated["expiresInDays"], updated["updatedAt"]) == (30, "2026-04-01T10:00:00.000Z")
    task = reviewer.get(f"{path}/task").json["task"]
    assert CANDIDATE_FIELDS.items() <= (updated | task).items()


@pytest.mark.parametrize("field", CANDIDATE_FIELDS)
def test_candidate_fields_are_locked_once_a_candidate_starts(reviewer, assessment, session, path, field):
    team_fields = {"expiresInDays": 9, "reminderDaysBefore": 3, "title": assessment.title}
    assert reviewer.patch(path, team_fields).json["assessment"]["expiresInDays"] == 9
    before = reviewer.get(path).json
    response = reviewer.patch(path, {field: CANDIDATE_FIELDS[field], "expiresInDays": 8})
    assert error_of(response) == (409, "already_started")
    assert [entry["path"] for entry in response.json["entries"]] == [[field]]
    assert reviewer.get(path).json == before


def test_null_clears_optional_fields_and_a_new_repository_clears_the_commit(reviewer, organization):
    values = {"time_limit_minutes": 60, "reminder_days_before": 2, "repo_commit": "abc"}
    assessment = make_assessment(organization, repo_url="https://github.com/a/b", **values)
    path = f"/v1/assessments/{assessment.id}"
    body = {"timeLimitMinutes": None, "reminderDaysBefore": None, "repoUrl": "https://github.com/a/c"}
    assert reviewer.patch(path, body).json["assessment"]["timeLimitMinutes"] is None
    row = Assessment.get_by_id(assessment.id)
    assert (row.time_limit_minutes, row.reminder_days_before, row.repo_commit) == (None, None, None)
    for field in ("title", "role", "taskBrief"):
        assert error_paths(reviewer.patch(path, {field: None})) == [[field]]
    body_of(reviewer.patch(path, {"expiresInDays": 30, "blind": True, "archived": True}))
    cleared = body_of(reviewer.patch(path, {"expiresInDays": None, "blind": None, "archived": None}))
    names = ("expiresInDays", "blind", "archivedAt")
    assert [cleared["assessment"][name] for name in names] == [7, False, None]
    assert error_paths(reviewer.patch(path, {"rubricId": str(assessment.id)})) == [["rubricId"]]
