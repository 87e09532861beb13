"""An invitation's whole life: send again, extend, reopen, accommodations, reminders, duplicates, messages."""

from datetime import timedelta

import pytest
from answers import places, refusal
from factories import make_assessment, make_key, make_organization, make_session

from delivery.worker import Worker
from models import Assessment, CandidateKey, Consent, Delivery, Session, invitations, privacy, sessions

NOWHERE = "00000000-0000-7000-8000-000000000000"


def at(key, what=""):
    return f"/v1/candidates/{key.id}{what}"


def candidate_of(answer):
    assert answer.status_code == 200, answer.json
    return answer.json["candidate"]


@pytest.fixture
def worker(app, tmp_path):
    return Worker(app.config | {"SMTP_URL": None, "MAIL_FOLDER": str(tmp_path)})


@pytest.fixture
def mails(tmp_path):
    """What is in the folder of mails."""
    return lambda: [file.read_text() for file in sorted(tmp_path.rglob("*.eml"))]


def history(reviewer, key):
    """(kind, state) of the messages to a candidate, the latest first."""
    found = reviewer.get(at(key, "/deliveries")).json["deliveries"]
    return [(each["kind"], each["state"]) for each in found]


# Send again


def test_sending_again_is_a_new_message_and_the_old_one_stays(reviewer, key, worker, mails):
    worker.work_off()
    candidate = candidate_of(reviewer.post(at(key, "/invite")))
    assert candidate["invite"]["state"] == "queued"
    assert candidate["key"] == key.key
    worker.work_off()
    assert history(reviewer, key) == [("invitation", "saved"), ("invitation", "saved")]
    assert len(mails()) == 2


def test_an_invitation_that_waits_is_not_sent_beside_the_newer_one(reviewer, key, worker, mails):
    reviewer.post(at(key, "/invite"))
    worker.work_off()
    assert history(reviewer, key) == [("invitation", "saved"), ("invitation", "canceled")]
    assert len(mails()) == 1


def test_sending_again_keeps_the_name_in_which_was_invited(reviewer, assessment):
    path = f"/v1/assessments/{assessment.id}/keys"
    body = {"count": 1, "candidateEmails": ["alice@example.com"], "orgName": "Northwind"}
    (issued,) = reviewer.post(path, body).json["keys"]
    reviewer.post(f"/v1/candidates/{issued['id']}/invite")
    assert [delivery.data["orgName"] for delivery in Delivery.select()] == ["Northwind", "Northwind"]


def test_who_has_no_address_cannot_be_invited(reviewer, assessment):
    assert refusal(reviewer.post(at(make_key(assessment, None), "/invite"))) == (409, "no_address")


def test_who_expired_or_ended_is_not_invited(clock, reviewer, assessment, key):
    session = make_session(make_key(assessment))
    sessions.complete(session)
    assert refusal(reviewer.post(f"/v1/candidates/{session.key_id}/invite")) == (409, "session_ended")
    clock.fixed = key.expires_at
    assert refusal(reviewer.post(at(key, "/invite"))) == (409, "expired")


def test_a_revoked_key_is_not_there_for_any_of_it(reviewer, key):
    key.revoke()
    for what in ("/invite", "/extend", "/reopen"):
        assert refusal(reviewer.post(at(key, what), {"days": 1})) == (404, "not_found")
    assert refusal(reviewer.get(at(key, "/deliveries"))) == (404, "not_found")


# Extend and reopen


def test_days_are_counted_from_the_present_expiry(clock, reviewer, key):
    candidate = candidate_of(reviewer.post(at(key, "/extend"), {"days": 3}))
    assert candidate["expiresAt"] == "2026-04-11T09:00:00.000Z"


def test_a_key_gets_another_expiry_earlier_or_later(clock, reviewer, key):
    for given, shown in [
        ("2026-04-02T10:00:00+02:00", "2026-04-02T08:00:00.000Z"),
        ("2027-04-01T09:00:00Z", "2027-04-01T09:00:00.000Z"),
    ]:
        candidate = candidate_of(reviewer.post(at(key, "/extend"), {"expiresAt": given}))
        assert candidate["expiresAt"] == shown


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({}, "days"),
        ({"days": 0}, "days"),
        ({"days": "7"}, "days"),
        ({"days": 359}, "days"),
        ({"days": 7, "expiresAt": "2026-05-01T00:00:00Z"}, "days"),
        ({"expiresAt": "2026-04-01T09:00:00Z"}, "expiresAt"),
        ({"expiresAt": "2027-04-01T09:00:01Z"}, "expiresAt"),
        ({"expiresAt": "tomorrow"}, "expiresAt"),
        ({"expiresAt": 1}, "expiresAt"),
    ],
)
def test_an_expiry_is_in_the_future_and_within_a_year(clock, reviewer, key, body, place):
    assert places(reviewer.post(at(key, "/extend"), body)) == [[place]]


def test_an_expired_key_is_reopened_and_can_be_redeemed(clock, reviewer, anonymous, key):
    Consent.give(key, None, None)
    clock.fixed = key.expires_at
    assert refusal(anonymous.post("/v1/candidate/redeem", {"key": key.key})) == (410, "key_expired")
    assert refusal(reviewer.post(at(key, "/extend"), {"days": 7})) == (409, "expired")
    candidate = candidate_of(reviewer.post(at(key, "/reopen"), {}))
    assert (candidate["status"], candidate["expiresAt"]) == ("pending", "2026-04-15T09:00:00.000Z")
    assert anonymous.post("/v1/candidate/redeem", {"key": key.key}).status_code == 200


def test_only_an_expired_key_that_was_never_redeemed_is_reopened(reviewer, clock, key):
    assert refusal(reviewer.post(at(key, "/reopen"), {"days": 1})) == (409, "not_expired")
    make_session(key)
    assert refusal(reviewer.post(at(key, "/reopen"), {"days": 1})) == (409, "key_redeemed")
    assert refusal(reviewer.post(at(key, "/extend"), {"days": 1})) == (409, "key_redeemed")


# What is known of a candidate


def test_a_candidate_is_renamed_and_found_by_the_new_name(reviewer, key, worker, mails):
    body = {"candidateName": "Bob", "candidateEmail": "Bob@Example.com"}
    candidate = candidate_of(reviewer.patch(at(key), body))
    assert (candidate["candidateName"], candidate["candidateEmail"]) == ("Bob", "Bob@Example.com")
    assert reviewer.get("/v1/candidates", q="bob@").json["total"] == 1
    assert reviewer.get("/v1/candidates", q="alice").json["total"] == 0
    worker.work_off()
    assert "To: Bob <Bob@Example.com>" in mails()[0]


def test_name_and_address_are_cleared_by_null(reviewer, key, worker, mails):
    candidate = candidate_of(reviewer.patch(at(key), {"candidateName": None, "candidateEmail": None}))
    assert (candidate["candidateName"], candidate["candidateEmail"]) == (None, None)
    worker.work_off()
    assert mails() == []
    assert history(reviewer, key) == [("invitation", "canceled")]


def test_what_the_own_system_knows_is_in_every_answer(reviewer, assessment, key):
    known = {"externalId": "applicant-4711", "metadata": {"source": "careers page"}}
    candidate = candidate_of(reviewer.patch(at(key), known))
    (in_list,) = reviewer.get("/v1/candidates").json["candidates"]
    (in_keys,) = reviewer.get(f"/v1/assessments/{assessment.id}/keys").json["keys"]
    for shown in (candidate, in_list, in_keys):
        assert {name: shown[name] for name in known} == known
    cleared = candidate_of(reviewer.patch(at(key), {"externalId": None, "metadata": None}))
    assert (cleared["externalId"], cleared["metadata"]) == (None, {})


@pytest.mark.parametrize(
    "wrong",
    [
        [],
        "text",
        {"a": 1},
        {"a": None},
        {"a": {"b": "c"}},
        {"a": "x" * 501},
        {"": "x"},
        {"a" * 41: "x"},
        {f"member {number}": "x" for number in range(21)},
    ],
)
def test_metadata_is_flat_and_small(reviewer, key, wrong):
    assert places(reviewer.patch(at(key), {"metadata": wrong})) == [["metadata"]]


def test_twenty_members_of_five_hundred_characters_are_kept(reviewer, key):
    most = {f"member {number}": "x" * 500 for number in range(20)}
    assert candidate_of(reviewer.patch(at(key), {"metadata": most}))["metadata"] == most


def test_where_one_change_is_refused_none_is_made(reviewer, key):
    body = {"hired": True, "candidateName": "Bob"}
    assert refusal(reviewer.patch(at(key), body)) == (409, "not_finished")
    assert reviewer.get("/v1/candidates").json["candidates"][0]["candidateName"] == "Alice"


def test_an_erasure_takes_all_of_it(reviewer, key):
    reviewer.patch(at(key), {"externalId": "applicant-4711", "metadata": {"a": "b"}})
    reviewer.put(at(key, "/accommodation"), {"extraMinutes": 30})
    privacy.erase(key, reviewer.row)
    row = CandidateKey.get_by_id(key.id)
    assert (row.address, row.external_id, row.metadata, row.extra_minutes) == (None, None, None, None)


# Duplicates


def issue(reviewer, assessment, *emails, **more):
    body = {"count": len(emails), "candidateEmails": list(emails)} | more
    return reviewer.post(f"/v1/assessments/{assessment.id}/keys", body)


def test_the_open_key_of_an_address_stands_in_the_answer(reviewer, assessment, key):
    answer = issue(reviewer, assessment, "bob@example.com", "ALICE@example.com", onDuplicate="return")
    bob, alice = answer.json["keys"]
    assert alice["id"] == str(key.id)
    assert bob["candidateEmail"] == "bob@example.com"
    assert CandidateKey.select().count() == 2
    assert Delivery.select().count() == 2


def test_where_all_have_one_nothing_is_issued(reviewer, assessment):
    first = issue(reviewer, assessment, "a@example.com").json["keys"]
    again = issue(reviewer, assessment, "a@example.com", onDuplicate="return")
    assert (again.status_code, again.json["keys"]) == (201, first)
    assert CandidateKey.select().count() == 1


def test_an_address_that_stands_twice_gets_one_key(reviewer, assessment):
    answer = issue(reviewer, assessment, "a@example.com", "A@example.com", onDuplicate="return")
    first, second = answer.json["keys"]
    assert first == second
    assert first["candidateEmail"] == "a@example.com"
    assert CandidateKey.select().count() == 1


def test_nobody_is_a_duplicate_without_an_address(reviewer, assessment):
    for on_duplicate in ("return", "refuse"):
        answer = reviewer.post(
            f"/v1/assessments/{assessment.id}/keys", {"count": 2, "onDuplicate": on_duplicate}
        )
        assert len({key["id"] for key in answer.json["keys"]}) == 2


def test_duplicates_are_refused_by_their_entries(reviewer, assessment, key):
    emails = ("bob@example.com", "alice@example.com", "BOB@example.com")
    answer = issue(reviewer, assessment, *emails, onDuplicate="refuse")
    assert refusal(answer) == (409, "duplicate_candidates")
    assert answer.json["entries"] == [
        {"path": ["candidateEmails", 1], "message": f"Has the open key {key.id}."},
        {"path": ["candidateEmails", 2], "message": "Appears twice."},
    ]
    assert CandidateKey.select().count() == 1


def test_by_default_duplicates_are_allowed(reviewer, assessment, key):
    assert issue(reviewer, assessment, "alice@example.com").json["keys"][0]["id"] != str(key.id)


def test_only_a_key_that_can_be_worked_with_is_a_duplicate(clock, reviewer, organization, assessment):
    make_key(make_assessment(organization))
    make_key(assessment).revoke()
    sessions.complete(make_session(make_key(assessment)))
    expired = make_key(assessment)
    clock.fixed = expired.expires_at
    assert issue(reviewer, assessment, "alice@example.com", onDuplicate="refuse").status_code == 201
    assert issue(reviewer, assessment, "alice@example.com", onDuplicate="refuse").status_code == 409


def test_a_session_in_progress_makes_a_duplicate_until_its_limit(clock, reviewer, organization):
    assessment = make_assessment(organization, time_limit_minutes=60)
    make_session(make_key(assessment))
    assert issue(reviewer, assessment, "alice@example.com", onDuplicate="refuse").status_code == 409
    clock.fixed += timedelta(minutes=65)
    assert issue(reviewer, assessment, "alice@example.com", onDuplicate="refuse").status_code == 201


# Accommodations


@pytest.fixture
def timed(organization):
    """A key to an assessment of 90 minutes."""
    return make_key(make_assessment(organization, time_limit_minutes=90))


def accommodate(reviewer, key, **body):
    answer = reviewer.put(at(key, "/accommodation"), body)
    assert answer.status_code == 200, answer.json
    return answer.json["accommodation"]


@pytest.mark.parametrize(
    ("body", "minutes"),
    [
        ({"extraMinutes": 30}, 120),
        ({"timeMultiplier": 1.5}, 135),
        ({"timeMultiplier": 1.25}, 113),  # half a minute in the candidate's favour
        ({}, 90),
    ],
)
def test_more_time_before_the_work_is_what_the_candidate_is_told(
    clock, reviewer, anonymous, timed, body, minutes
):
    assert accommodate(reviewer, timed, **body)["timeLimitMinutes"] == minutes
    consent = anonymous.get("/v1/candidate/consent", key=timed.key).json
    assert consent["timeLimitMinutes"] == minutes
    Consent.give(timed, None, None)
    told = anonymous.post("/v1/candidate/redeem", {"key": timed.key}).json
    assert told["timeLimitMinutes"] == minutes
    close = clock.fixed + timedelta(minutes=minutes + 5)
    assert Session.get(Session.key == timed).closes_at == close
    assert told["expiresAt"] == (close + timedelta(hours=24)).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def test_the_mail_says_the_time_that_the_candidate_has(reviewer, timed, worker, mails):
    accommodate(reviewer, timed, extraMinutes=30)
    worker.work_off()
    assert "Time limit:  2 hours" in mails()[0]


def test_more_time_during_the_work_moves_the_deadline(clock, reviewer, timed):
    make_session(timed)
    clock.fixed += timedelta(minutes=94)
    accommodate(reviewer, timed, extraMinutes=10)
    clock.fixed += timedelta(minutes=10)
    assert reviewer.get("/v1/candidates").json["candidates"][0]["status"] == "active"
    clock.fixed += timedelta(minutes=1)
    assert reviewer.get("/v1/candidates").json["candidates"][0]["status"] == "expired"


def test_time_that_has_passed_is_not_taken_back(clock, reviewer, timed):
    make_session(timed)
    accommodate(reviewer, timed, extraMinutes=60)
    clock.fixed += timedelta(minutes=100)
    assert refusal(reviewer.put(at(timed, "/accommodation"), {})) == (409, "time_is_over")
    assert reviewer.get(at(timed, "/accommodation")).json["accommodation"]["extraMinutes"] == 60


def test_after_the_end_there_is_no_more_time(clock, reviewer, timed):
    make_session(timed)
    clock.fixed += timedelta(minutes=95)
    assert refusal(reviewer.put(at(timed, "/accommodation"), {"extraMinutes": 60})) == (
        409,
        "session_closed",
    )
    assert CandidateKey.get_by_id(timed.id).extra_minutes is None


def test_work_without_a_limit_stays_without_one(reviewer, key):
    assert accommodate(reviewer, key, timeMultiplier=2)["timeLimitMinutes"] is None
    assert make_session(key).closes_at is None


@pytest.mark.parametrize(
    "body",
    [
        {"extraMinutes": 0},
        {"extraMinutes": "30"},
        {"timeMultiplier": 0.9},
        {"timeMultiplier": 10.5},
        {"timeMultiplier": 1.0001},
        {"timeMultiplier": True},
        {"timeMultiplier": 1.5, "extraMinutes": 30},
    ],
)
def test_a_wrong_accommodation_is_refused(reviewer, key, body):
    assert reviewer.put(at(key, "/accommodation"), body).status_code == 400


def test_an_accommodation_is_for_those_who_may_write_and_in_no_list(reviewer, reader, session, key):
    accommodate(reviewer, key, extraMinutes=30)
    assert refusal(reader.get(at(key, "/accommodation"))) == (403, "insufficient_scope")
    sessions.complete(session)
    for path in ("/v1/candidates", f"/v1/sessions/{session.id}", f"/v1/sessions/{session.id}/cohort-stats"):
        assert "extraMinutes" not in reviewer.get(path).text


# Reminders


@pytest.fixture
def reminding(organization):
    """A key of seven days to an assessment that reminds two days before."""
    return make_key(make_assessment(organization, reminder_days_before=2))


def test_who_has_not_begun_is_reminded_once(clock, reviewer, reminding, worker, mails):
    worker.work_off()
    clock.fixed += timedelta(days=5) - timedelta(minutes=1)
    worker.work_off()
    assert len(mails()) == 1
    clock.fixed += timedelta(minutes=1)
    for _ in range(2):
        worker.work_off()
        clock.fixed += timedelta(hours=1)
    assert history(reviewer, reminding) == [("reminder", "saved"), ("invitation", "saved")]
    (reminder,) = [mail for mail in mails() if "This is a reminder:" in mail]
    assert reminding.key in reminder


def test_nobody_is_reminded_by_default(clock, key, worker, mails):
    worker.work_off()
    clock.fixed = key.expires_at - timedelta(minutes=1)
    worker.work_off()
    assert len(mails()) == 1


@pytest.mark.parametrize("event", ["begun", "revoked", "expired", "erased", "bounced", "no address"])
def test_who_must_not_be_reminded_is_not(app, clock, reviewer, reminding, worker, mails, event):
    worker.work_off()
    before = len(mails())
    clock.fixed += timedelta(days=5)
    match event:
        case "begun":
            make_session(reminding)
        case "revoked":
            reminding.revoke()
        case "expired":
            clock.fixed = reminding.expires_at
        case "erased":
            privacy.erase(reminding, reviewer.row)
        case "bounced":
            bounce(app, "alice@example.com")
        case "no address":
            reviewer.patch(at(reminding), {"candidateEmail": None})
    worker.work_off()
    assert len(mails()) <= before
    assert Delivery.select().where(Delivery.kind == "reminder").count() == 0


def test_who_begins_between_queue_and_mail_is_not_reminded(clock, reviewer, reminding, worker, mails):
    worker.work_off()
    clock.fixed += timedelta(days=5)
    assert invitations.enqueue_reminders() == 1
    make_session(reminding)
    worker.work_off()
    assert history(reviewer, reminding)[0] == ("reminder", "canceled")
    assert len(mails()) == 1


def test_an_extended_key_is_reminded_of_its_new_expiry(clock, reviewer, reminding, worker):
    worker.work_off()
    clock.fixed += timedelta(days=5)
    worker.work_off()
    reviewer.post(at(reminding, "/extend"), {"days": 7})
    worker.work_off()
    clock.fixed += timedelta(days=7)
    worker.work_off()
    assert [kind for kind, _ in history(reviewer, reminding)] == ["reminder", "reminder", "invitation"]


def test_a_reminder_comes_after_the_invitation(reviewer, assessment):
    new = {"title": "One more", "role": "Engineer", "taskBrief": "Fix it.", "reminderDaysBefore": 7}
    assert places(reviewer.post("/v1/assessments", new)) == [["reminderDaysBefore"]]
    assert reviewer.post("/v1/assessments", new | {"expiresInDays": 8}).status_code == 201
    path = f"/v1/assessments/{assessment.id}"
    assert places(reviewer.patch(path, {"reminderDaysBefore": 7})) == [["reminderDaysBefore"]]
    assert reviewer.patch(path, {"reminderDaysBefore": 7, "expiresInDays": 8}).status_code == 200
    assert reviewer.get(f"{path}/task").json["task"]["reminderDaysBefore"] == 7


# Messages


def test_what_failed_is_listed_and_tried_again_with_one_call(reviewer, key, worker, mails):
    Delivery.get().fail("550 5.1.1 No such user")
    (failed,) = reviewer.get("/v1/deliveries", state="failed").json["deliveries"]
    assert failed["candidateId"] == str(key.id)
    assert failed["lastError"] == "550 5.1.1 No such user"
    again = reviewer.post(f"/v1/deliveries/{failed['id']}/retry").json["delivery"]
    assert (again["id"], again["state"], again["attempts"]) == (failed["id"], "queued", 0)
    worker.work_off()
    assert len(mails()) == 1
    assert reviewer.get("/v1/deliveries", state="failed").json["total"] == 0
    assert refusal(reviewer.post(f"/v1/deliveries/{failed['id']}/retry")) == (409, "not_failed")


def test_messages_show_no_name_and_no_address(reviewer, key):
    assert "alice" not in reviewer.get("/v1/deliveries").text.lower()


def test_only_ones_own_messages_are_seen(reviewer, neighbour, key):
    assert reviewer.get("/v1/deliveries").json["total"] == 1
    assert neighbour.get("/v1/deliveries").json["total"] == 0
    Delivery.get().fail("550")
    for who, delivery_id in [(neighbour, key.invitation_id), (reviewer, NOWHERE), (reviewer, "x")]:
        assert refusal(who.post(f"/v1/deliveries/{delivery_id}/retry")) == (404, "not_found")


def test_what_has_to_go_from_the_store_is_no_message(reviewer, organization, key):
    Delivery.enqueue_removals(organization.id, key.id, [("bundle", key.created_at)])
    assert reviewer.get("/v1/deliveries").json["total"] == 1
    removal = Delivery.get(Delivery.kind == "removal")
    assert refusal(reviewer.post(f"/v1/deliveries/{removal.id}/retry")) == (404, "not_found")


def test_messages_come_in_pages(reviewer, assessment):
    for _ in range(3):
        make_key(assessment)
    page = reviewer.get("/v1/deliveries", limit=2, offset=2).json
    assert (len(page["deliveries"]), page["total"], page["limit"], page["offset"]) == (1, 3, 2, 2)


def bounce(app, address):
    return app.test_cli_runner().invoke(args=["deliveries", "bounce", address])


def test_a_bounced_address_counts_as_failed(app, reviewer, key, worker):
    worker.work_off()
    assert "1 candidate keys" in bounce(app, "ALICE@example.com").output
    (failed,) = reviewer.get("/v1/deliveries", state="failed").json["deliveries"]
    assert "bouncing" in failed["lastError"]
    assert reviewer.get("/v1/candidates").json["candidates"][0]["invite"]["state"] == "failed"
    assert bounce(app, "nobody@example.com").exit_code == 1


def test_another_address_is_no_bounced_one(app, reviewer, key):
    bounce(app, "alice@example.com")
    reviewer.patch(at(key), {"candidateEmail": "alice@example.org"})
    assert not CandidateKey.get_by_id(key.id).bounced


# Assessments


SHOWN = {
    "title": "Other",
    "role": "Other",
    "taskBrief": "Other",
    "repoUrl": "https://github.com/example/other",
    "timeLimitMinutes": 45,
    "brief": {"scenario": "Other"},
    "setupInstructions": "make other",
    "allowedTools": ["claude"],
    "tokenBudgetUsd": 5,
}


def test_everything_can_change_while_nobody_has_begun(clock, reviewer, assessment, key):
    clock.fixed += timedelta(hours=1)
    answer = reviewer.patch(f"/v1/assessments/{assessment.id}", SHOWN | {"expiresInDays": 30})
    changed = answer.json["assessment"]
    assert (changed["title"], changed["timeLimitMinutes"], changed["expiresInDays"]) == ("Other", 45, 30)
    assert changed["updatedAt"] == "2026-04-01T10:00:00.000Z"
    task = reviewer.get(f"/v1/assessments/{assessment.id}/task").json["task"]
    assert {name: task[name] for name in ("allowedTools", "tokenBudgetUsd", "setupInstructions")} == {
        "allowedTools": ["claude"],
        "tokenBudgetUsd": 5,
        "setupInstructions": "make other",
    }


@pytest.mark.parametrize("member", SHOWN)
def test_what_a_candidate_was_shown_stays(reviewer, assessment, session, member):
    before = reviewer.get(f"/v1/assessments/{assessment.id}").json
    answer = reviewer.patch(f"/v1/assessments/{assessment.id}", {member: SHOWN[member], "expiresInDays": 9})
    assert refusal(answer) == (409, "already_begun")
    assert [detail["path"] for detail in answer.json["entries"]] == [[member]]
    assert reviewer.get(f"/v1/assessments/{assessment.id}").json == before


def test_what_candidates_are_not_shown_can_always_change(reviewer, assessment, session):
    path = f"/v1/assessments/{assessment.id}"
    body = {"expiresInDays": 9, "reminderDaysBefore": 3, "title": assessment.title}
    assert reviewer.patch(path, body).json["assessment"]["expiresInDays"] == 9


def test_null_clears_what_can_be_missing(reviewer, organization):
    assessment = make_assessment(organization, time_limit_minutes=60, reminder_days_before=2)
    path = f"/v1/assessments/{assessment.id}"
    cleared = reviewer.patch(path, {"timeLimitMinutes": None, "reminderDaysBefore": None})
    assert cleared.json["assessment"]["timeLimitMinutes"] is None
    assert Assessment.get_by_id(assessment.id).reminder_days_before is None
    for member in ("title", "role", "taskBrief", "expiresInDays"):
        assert places(reviewer.patch(path, {member: None})) == [[member]]


def test_another_repository_begins_at_its_own_place(reviewer, organization):
    assessment = make_assessment(organization, repo_url="https://github.com/a/b", repo_commit="abc")
    reviewer.patch(f"/v1/assessments/{assessment.id}", {"repoUrl": "https://github.com/a/c"})
    assert Assessment.get_by_id(assessment.id).repo_commit is None


def test_an_unknown_rubric_is_refused(reviewer, assessment):
    assert places(reviewer.patch(f"/v1/assessments/{assessment.id}", {"rubricId": NOWHERE})) == [["rubricId"]]


def test_only_ones_own_assessments_change(app, reviewer):
    foreign = make_assessment(make_organization("Others"))
    answer = reviewer.patch(f"/v1/assessments/{foreign.id}", {"title": "Mine"})
    assert refusal(answer) == (404, "not_found")
