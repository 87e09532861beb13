"""Erasures remove candidates from every table, the bundle store and the email folder, but not from statistics.

A new table needs `personal_data` on its model, and a row: from a POST, or in `make_session_rows` or
`make_organization_rows` (tests/factories.py).
"""

import io
import json
import re
from datetime import timedelta
from pathlib import Path

import pytest
from bundle_stores import bundle_files, use_folder
from callers import Caller
from factories import (
    add_event,
    envelope,
    make_assessment,
    make_closed_session,
    make_job,
    make_key,
    make_model_call,
    make_organization_rows,
    make_rubric,
    make_session,
    make_session_rows,
    make_webhook,
    record,
)
from peewee import BlobField, JSONField, TextField

import models
from delivery.worker import Worker
from models import (
    AcceptedSender,
    AccessHour,
    BundleUpload,
    CandidateKey,
    Consent,
    DailyTask,
    Delivery,
    Erasure,
    Event,
    IdempotentRequest,
    ModelReservation,
    ServiceSecret,
    Session,
    Submission,
    WebhookDelivery,
    privacy,
    sessions,
    tables,
)
from models.deliveries.outbox import MAX_UPLOAD_DURATION
from models.leases import LEASE
from models.ledger import checkpoints, numbering
from models.sessions.submissions import GIT, TAR, reading
from models.task_failures import run_each
from rules.events.recorded_events import RecordedEvent
from storage import new_object_key
from tests.access.rows import ROWS
from tests.hostile.operations import create_missing, fill

NAME, EMAIL, WORD = "Zebulon Quartermain", "zq@quartermain.example", "zqmarker"
PUBLIC_KEY = "A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg="
# In lower case, because the search is case-insensitive.
TRACES = ("zebulon", "quartermain", WORD, PUBLIC_KEY.casefold())

MAX_BYTES = 2**29
# Rows with personal data, but without free text.
WITHOUT_FREE_TEXT = {"AcceptedSender", "BundleUpload", "Notification", "RecordedText"}
# The service writes these, or allows only a few values.
COLUMNS_WITHOUT_FREE_TEXT = {
    "AcceptedSender.credential", "AcceptedSender.fingerprint", "CandidateKey.decision", "CandidateKey.key",
    "ClientReport.kind", "Delivery.kind", "Delivery.state", "Event.arrival_mac", "Event.verdict",
    "Event.channel", "Event.joins", "IntegrationOrder.application_id", "IntegrationOrder.erased_mac",
    "IntegrationOrder.person_id", "IntegrationOrder.reason", "IntegrationOrder.state",
    "IntegrationReport.application_id", "IntegrationReport.state", "IntegrationReport.status",
    "Notification.event", "Notification.reason",
    "ModelUsage.arrival_mac", "ModelUsage.model",
    "ModelUsage.provider", "Submission.files_sha256",
    "SubmissionFile.not_recorded_ranges", "SubmissionFile.new_mode", "SubmissionFile.old_mode", "SubmissionFile.status",
    "IdempotentRequest.digest", "IdempotentRequest.fingerprint", "IdempotentRequest.path", "Score.criterion",
    "Session.closed_by", "Session.integrity_codes", "Session.repository_token",
    "Session.score_criteria", "TestRun.purpose", "TestRun.state", "TestRun.submission_sha256",
    "Submission.claimed_sha256",
    "Submission.format", "Submission.object_key", "Submission.sha256", "Submission.source_key", "Submission.state",
    "BundleUpload.object_key",
    "WebhookDelivery.last_error", "WebhookDelivery.state", "WebhookDelivery.traceparent", "WebhookDelivery.type",
}  # fmt: skip


@pytest.fixture
def bundles(app, tmp_path, monkeypatch):
    return use_folder(app, tmp_path / "bundles", monkeypatch)


@pytest.fixture
def emails(app, tmp_path, monkeypatch):
    monkeypatch.setitem(app.config, "MAIL_FOLDER", tmp_path / "emails")
    return tmp_path / "emails"


@pytest.fixture
def cohort(organization, clock):
    """An assessment with three other candidates' closed sessions."""
    assessment = make_assessment(organization, rubric_id=make_rubric(organization).id)
    for number in range(3):
        make_closed_session(assessment, *make_events("other", prompts=number))
        clock.fixed += timedelta(minutes=7)
    return assessment


def make_events(word, prompts):
    """Yield events with the word in every field that a client can set."""
    yield envelope("session_start", data={word: word}, source=word, actor={"type": word}) | {
        "id": f"{word}-start"
    }
    for number in range(prompts):
        yield envelope("prompt", 10 + number, {"text": word}) | {"id": f"{word}-{number}"}
    yield envelope("command", 50, {"command": f"cat {word}", "exitCode": prompts % 2})
    yield envelope("file_diff", 60, {"path": word, "diff": word}, provenance={"attribution": word})
    yield envelope("tool_use", 70, {"toolName": word})
    yield envelope(word, 75)
    yield envelope("ai_response", 80, {"model": word, "usage": {"input_tokens": 10, "output_tokens": 5}})


@pytest.fixture
def person(app, cohort, reviewer, bundles, emails, clock):
    """The key of a candidate with personal data in every table."""
    make_webhook(cohort.organization, types=["key.created"], include_personal=True)
    key = make_key(cohort, EMAIL, NAME)
    details = {"candidateName": NAME, "externalId": WORD, "metadata": {WORD: WORD}}
    assert reviewer.patch(f"/v1/candidates/{key.id}", details).status_code == 200
    key.update_columns(invitation_data={"orgName": f"For {NAME}"}, erasure_dismissal=f"Not from {NAME}.")
    Worker(app.config).run_once()
    WebhookDelivery.update(answer=f"Welcome, {NAME}").where(WebhookDelivery.candidate_id == key.id).execute()
    assert NAME in email_texts(emails)
    failure = {"last_error": f"550 {EMAIL} is unknown", "data": {"orgName": f"For {NAME}"}}
    Delivery.update(failure).where(Delivery.subject_id == key.id).execute()
    Consent.record(key, "2026-11", None)
    session = sessions.redeem(key.key, PUBLIC_KEY)
    for event in make_events(WORD, prompts=4):
        add_event(session, event)
    Consent.record(key, "2026-11", "0" * 64, ["proxy"])
    recorded = RecordedEvent("prompt", {"text": WORD}, WORD)
    assert record(session, "proxy", recorded, agent_session=WORD) == 1
    ids = make_session_rows(session, reviewer.row, WORD)
    submit_bundle(session, bundles, ids["object_key"])
    BundleUpload.open(session, new_object_key(str(session.id)), MAX_BYTES)
    submit_work(session, bundles)
    traces = {"request_id": WORD, "tool": WORD, "agent_session": WORD}
    make_model_call(session, "gpt-5.5", provider="openai", first_token_ms=120, is_recorded=True, **traces)
    ModelReservation.reserve(session, 1, 10**9)
    sessions.complete(session)
    sessions.submit_test_result(session, 3, 1, None, f"{NAME}'s clone")
    clock.fixed += timedelta(hours=1)
    add_event(session, envelope("prompt", data={"text": WORD}))
    numbering.number_new()
    checkpoints.publish_due()
    store_response(reviewer.row, key, session)
    ids |= make_organization_rows(key.organization)
    ids |= {"assessment_id": cohort.id, "candidate_id": key.id, "key_id": key.id}
    create_missing(reviewer, ids, candidate_suffix=WORD)
    ServiceSecret.create(name="one", value=b"secret")
    AcceptedSender.record("203.0.113.7", key.key)
    AccessHour.add_invalid_credentials(1)
    DailyTask.claim("one")
    run_each("one", [key], lambda key: int(key.candidate_email))
    return key


def store_response(reviewer, key, session):
    """Store a response about the candidate and another key."""
    entry = {"id": str(key.id), "candidateName": NAME, "candidateEmail": EMAIL, "metadata": {WORD: WORD}}
    about_session = {"id": "another", "sessionId": str(session.id), "text": NAME}
    other = {"id": "other", "candidateName": "Alice"}
    with IdempotentRequest.claim(reviewer, NAME, "/v1/path", "digest") as first:
        first.store(201, json.dumps({"keys": [entry, other], "entry": about_session}))


def submit_bundle(session, bundles, object_key):
    bundles.receive(object_key, io.BytesIO(WORD.encode()), len(WORD))
    submission = Submission.reserve(session, TAR, new_object_key(str(session.id)), object_key)
    bundles.copy(object_key, submission.object_key)
    size, digest = bundles.size_and_sha256(submission.object_key)
    claims = {"claimed_size": size, "claimed_sha256": digest, "repo_url": WORD, "base_sha": WORD}
    submission.record_claims((size, digest), claims | {"diff": WORD, "file_tree": [WORD]}, MAX_BYTES)


def submit_work(session, bundles):
    submission = Submission.reserve(session, GIT, new_object_key(str(session.id), "bundle"))
    bundles.receive(submission.object_key, io.BytesIO(WORD.encode()), len(WORD))
    submission.record(len(WORD), "0" * 64, MAX_BYTES)
    lines = {"lines_added": 1, "lines_removed": 0, "counted_lines": 1, "not_recorded_lines": 1}
    file = {"path": WORD, "status": "added", "is_binary": False, "is_truncated": False, "diff": WORD}
    file |= {"is_too_large": False}
    file |= lines | {"old_path": WORD, "old_mode": None, "new_mode": None, "not_recorded_ranges": [[1, 1]]}
    reading.record_diff(submission, {"base": None, "head": WORD, "isVerified": True}, [file], None)
    submission.update_columns(problem=WORD)


def personal_tables():
    return {table.__name__ for table in privacy.personal_tables()}


def tables_with_traces():
    return {table.__name__ for table in tables() if any(has_trace(row) for row in table.select().dicts())}


def has_trace(row):
    text = json.dumps(row, default=to_text, ensure_ascii=False).casefold()
    return any(trace in text for trace in TRACES)


def to_text(value):
    return bytes(value).decode("latin-1") if isinstance(value, bytes | memoryview) else str(value)


def email_texts(folder):
    return "".join(file.read_text() for file in folder.glob("*"))


def erase(reviewer, key):
    response = reviewer.delete(f"/v1/candidates/{key.id}/data")
    assert response.status_code == 200, response.json
    return response.json["receipt"]


# Tables


def test_every_table_declares_its_personal_data():
    missing = [table.__name__ for table in tables() if not hasattr(table, "personal_data")]
    assert missing == [], "Set `personal_data` in these models, to None for no personal data of candidates."


def test_the_docs_list_every_kind_of_personal_data():
    text = (Path(privacy.__file__).parent.parent / "docs" / "privacy.md").read_text()
    names = [table.personal_data.name for table in privacy.personal_tables()]
    assert [name for name in names if f"`{name}`" not in text] == []


def test_no_table_has_traces_after_an_erasure(reviewer, person):
    # The ledger lists the client's event ids until the erasure.
    assert tables_with_traces() == personal_tables() - WITHOUT_FREE_TEXT | {"LedgerEntry"}
    erase(reviewer, person)
    assert tables_with_traces() == set()


def test_no_idempotent_response_has_traces_after_an_erasure(reviewer, person):
    session = Session.get(Session.key == person)
    Delivery.update(state="failed").where(Delivery.subject_id == person.id).execute()
    message = WebhookDelivery.get(WebhookDelivery.candidate_id == person.id)
    ids = {"assessment_id": person.assessment_id, "candidate_id": person.id, "session_id": session.id}
    ids |= {"delivery_id": person.invitation_id, "webhook_id": message.webhook_id, "message_id": message.id}
    texts = {"candidateName": NAME, "candidateNames": [NAME], "candidateEmails": [EMAIL]}
    texts |= {"note": WORD, "count": 1}
    for route, row in ROWS.items():
        method, path = route.split(" ")
        if method in ("POST", "PUT", "PATCH") and set(re.findall(r"<(\w+)>", path)) <= ids.keys():
            path = fill(path, ids)
            headers = {"Idempotency-Key": f"{method}{path}"}
            body = {name: value for name, value in (row.body or {}).items() if not str(value).startswith("<")}
            response = reviewer.request(method, path, json=body | texts, headers=headers)
            if response.status_code == 400:  # the operation has no such fields
                reviewer.request(method, path, json=body, headers=headers)
    answer = IdempotentRequest.answer
    stored = IdempotentRequest.select().where(answer.contains(NAME) | answer.contains(EMAIL))
    assert {row.path.rpartition("/")[2] for row in stored} >= {"keys", "redeliver", "retry"}
    is_theirs = (CandidateKey.candidate_name == NAME) | (CandidateKey.id == person)
    for key in CandidateKey.select().where(is_theirs):
        erase(reviewer, key)
    assert tables_with_traces() == set()


def test_responses_are_found_by_their_path(reviewer, person):
    session = Session.get(Session.key == person)
    body = {"note": {"text": NAME, "count": 3, "seen": True, "tags": [NAME]}}
    with IdempotentRequest.claim(reviewer.row, "one", f"/v1/sessions/{session.id}/notes", "digest") as first:
        first.store(201, json.dumps(body))
    erase(reviewer, person)
    row = IdempotentRequest.get(IdempotentRequest.path.contains("notes"))
    assert json.loads(row.answer) == {"note": {"text": "", "count": 0, "seen": False, "tags": [""]}}


@pytest.mark.usefixtures("person")
def test_the_fixture_fills_every_table_and_every_free_text_column():
    empty = [table.__name__ for table in tables() if not table.select().exists()]
    assert empty == ["Erasure"], (
        "Add a row to make_session_rows or make_organization_rows in tests/factories.py."
    )
    without_trace = {
        f"{table.__name__}.{column.name}"
        for table in privacy.personal_tables()
        for column in table._meta.sorted_fields
        if isinstance(column, TextField | JSONField | BlobField)
        and column.name != "ledger_salt"
        and not any(has_trace({"": value}) for (value,) in table.select(column).tuples())
    }
    # Without an optional package, its tables are missing.
    expected = {each for each in COLUMNS_WITHOUT_FREE_TEXT if each.partition(".")[0] in personal_tables()}
    assert without_trace == expected, (
        "Let make_session_rows in tests/factories.py put `word` into these columns."
    )


def test_other_candidates_data_remains(reviewer, person):
    others = Event.select().join(Session).where(Session.key != person)
    before = list(others.order_by(Event.seq).dicts())
    erase(reviewer, person)
    assert list(others.order_by(Event.seq).dicts()) == before != []
    assert CandidateKey.select().where(CandidateKey.candidate_name == "Alice").count() == 3


def test_the_worker_deletes_bundles_and_emails(app, clock, reviewer, person, bundles, emails):
    submission = Submission.current(Session.get(key=person), TAR)
    clock.fixed = submission.expires_at - timedelta(seconds=1)
    erase(reviewer, person)
    assert bundles.size(submission.object_key)
    Worker(app.config, bundles).run_once()
    assert bundle_files(bundles.folder) == []
    assert EMAIL not in email_texts(emails)
    assert NAME not in email_texts(emails)
    # An upload that started before its URL expired.
    bundles.receive(submission.object_key, io.BytesIO(b"late"), 4)
    clock.fixed = submission.expires_at + MAX_UPLOAD_DURATION
    Worker(app.config, bundles).run_once()
    assert bundle_files(bundles.folder) == []


@pytest.mark.parametrize("change", ["SMTP_URL", "bounce"])
def test_a_saved_email_is_deleted_after_a_change(app, clock, flask, reviewer, key, emails, change):
    Worker(app.config).run_once()
    assert len(list(emails.glob("*.eml"))) == 1
    settings = dict(app.config)
    if change == "SMTP_URL":
        settings["SMTP_URL"] = "smtp://mail.invalid:25"
    else:
        flask("deliveries", "bounce", key.candidate_email)
    privacy.erase(key, reviewer.row)
    clock.fixed += LEASE  # Until then, a worker could save it.
    Worker(settings).run_once()
    assert list(emails.glob("*.eml")) == []


def test_failing_removals_are_retried_without_limit(app, clock, reviewer, person, bundles):
    erase(reviewer, person)
    for storage in (*[None] * 12, bundles, bundles):
        Worker(app.config, storage).run_once()
        clock.fixed += timedelta(days=1)
    assert bundle_files(bundles.folder) == []


# Statistics


def get_statistics(reviewer, assessment):
    """Get the statistics of the cohort, of each session, and of the organization."""
    path = f"/v1/assessments/{assessment.id}/cohort-stats"
    sessions = Session.select().where(Session.assessment == assessment).order_by(Session.id)
    return [
        reviewer.get(path).get_data(),
        *[reviewer.get(path, sessionId=session.id).get_data() for session in sessions],
        reviewer.get("/v1/analytics/overview").get_data(),
    ]


def test_erasures_do_not_change_statistics(reviewer, cohort, person):
    before = get_statistics(reviewer, cohort)
    erase(reviewer, person)
    assert get_statistics(reviewer, cohort) == before
    assert reviewer.get(f"/v1/assessments/{cohort.id}/cohort-stats").json["cohortStats"]["sessionCount"] == 4


def test_rederiving_erased_sessions_keeps_their_metrics(reviewer, cohort, person):
    session = Session.get(Session.key == person)
    erase(reviewer, person)
    before = reviewer.get(f"/v1/sessions/{session.id}").json
    assert before["metrics"]["promptCount"] == 4
    assert before["metrics"]["toolUsage"] == {"other": 1}
    assert sessions.rederive(Session.get_by_id(session.id)) == {}
    assert reviewer.get(f"/v1/sessions/{session.id}").json == before


def test_open_sessions_are_closed_and_count_their_events(clock, reviewer, cohort):
    session = make_session(make_key(cohort))
    for event in make_events("other", prompts=9):
        add_event(session, event)
    erase(reviewer, session.key)
    response = reviewer.get(f"/v1/sessions/{session.id}").json
    assert (response["status"], response["metrics"]["promptCount"], response["eventCount"]) == (
        "expired",
        9,
        15,
    )
    assert (response["candidateName"], response["candidateEmail"]) == (None, None)
    now = clock.fixed.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    assert (response["erasedAt"], response["closedAt"]) == (now, now)


def test_late_metrics_are_derived_before_the_erasure(clock, reviewer, cohort):
    session = make_closed_session(cohort, *make_events("other", prompts=1))
    clock.fixed += timedelta(minutes=9)
    add_event(session, envelope("prompt", 100))
    erase(reviewer, session.key)
    assert reviewer.get(f"/v1/sessions/{session.id}").json["metrics"]["promptCount"] == 2


# Receipt


def test_receipts_count_the_erased_rows(clock, reviewer, person):
    session = Session.get(Session.key == person)
    receipt = erase(reviewer, person)
    assert receipt == {
        "id": receipt["id"],
        "candidateId": str(person.id),
        "sessionId": str(session.id),
        "kind": "reviewer",
        "reviewerId": str(reviewer.row.id),
        "erasedAt": receipt["erasedAt"],
        "counts": dict.fromkeys([table.personal_data.name for table in privacy.personal_tables()], 1)
        | {"events": 13, "submissions": 2},
    }


def test_erasures_are_idempotent(app, clock, organization, reviewer, session):
    receipt = erase(reviewer, session.key)
    clock.fixed += timedelta(days=1)
    assert erase(Caller.reviewer(app, organization), session.key) == receipt
    assert Erasure.select().count() == 1


def test_unredeemed_and_revoked_keys_can_be_erased(reviewer, organization, assessment):
    unredeemed, revoked = make_key(assessment, EMAIL, NAME), make_key(assessment, EMAIL, NAME)
    deleted = make_key(make_assessment(organization), EMAIL, NAME)
    make_session(revoked)
    revoked.revoke()
    deleted.assessment.soft_delete()
    assert erase(reviewer, unredeemed)["sessionId"] is None
    assert Delivery.get(Delivery.subject_id == unredeemed.id).state == "canceled"
    for key in (revoked, deleted):
        erase(reviewer, key)
    assert tables_with_traces() == set()
    assert reviewer.get("/v1/candidates").json["total"] == 0


def test_the_erasure_of_an_unredeemed_key_keeps_the_runs_of_task_checks(reviewer, organization, assessment):
    make_job(organization)
    runs = {run.id for run in models.TestRun.select()}
    erase(reviewer, make_key(assessment, EMAIL, NAME))
    assert len(runs) == 6
    assert {run.id for run in models.TestRun.select()} == runs


def test_erasures_do_not_change_the_funnel(clock, reviewer, assessment):
    first, second, revoked = (make_key(assessment) for _ in range(3))
    revoked.revoke()
    clock.fixed += timedelta(hours=1)
    funnel = reviewer.get("/v1/analytics/overview").json["funnel"]
    assert funnel["invited"] == 2
    for erased_key in (first, second, revoked):
        erase(reviewer, erased_key)
    assert reviewer.get("/v1/analytics/overview").json["funnel"] == funnel
