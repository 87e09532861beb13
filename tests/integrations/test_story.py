"""A whole hiring story with each system, and a short one for everything that could not be verified.

The stand-ins were written from the vendors' documentation, without reading the implementation. Each fixture checks at
its end that every request was as documented.
"""

import re
import uuid
from datetime import timedelta

import pytest

from tests.integrations.slack_server import buttons
from tests.integrations.stand_in import RateLimit
from tests.integrations.story import (
    COLLECTING,
    DAY,
    SERVERS,
    in_process,
    reference,
)

ADA = "ada@example.com"
BASE_URL = "http://localhost:8000"
FIELD = str(uuid.uuid4())

pytestmark = pytest.mark.slow
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def start(app_with, clock, tmp_path, organization):
    """A function that yields a story with a system and an account's options."""
    return lambda system, **options: in_process(app_with, clock, tmp_path, organization, system, **options)


@pytest.fixture(params=SERVERS)
def story(request, start):
    with start(request.param) as story:
        yield story


def event_types(story):
    return [event["type"] for event in story.get("/v1/events?limit=200")["events"]]


def test_a_hiring_story(story):
    account, slack = story.account, story.slack
    if account.system == "ashby":
        account.mark_field = FIELD
    # Connect: the system pings, and its names are listed.
    story.job = account.add_job("Backend <Engineer> & more")
    story.stage, story.other_stage = (account.add_stage(name, story.job) for name in ("Take-home", "Onsite"))
    story.connect()
    assert account.ping() == [200]
    check = story.api("POST", f"{story.path}/check")["check"]
    assert (check["ok"], check["problem"], check["rules"]) == (True, None, [])
    assert [job["name"] for job in story.get(f"{story.path}/jobs")["jobs"]] == ["Backend <Engineer> & more"]
    stages = story.get(f"{story.path}/stages?jobId={story.job}")["stages"]
    assert {stage["name"]: str(stage["id"]) for stage in stages} == {
        "Take-home": story.stage,
        "Onsite": story.other_stage,
    }
    story.assessment = story.create_assessment()
    rule = story.add_rule(include=["score", "duration", "criteria"])
    assert (rule["stageName"], rule["reports"]) == (
        "Take-home",
        ["submitted", "scored", "expired", "revoked"],
    )
    duplicate = {"stageId": story.stage, "assessmentId": story.assessment["id"]}
    assert story.send("POST", f"{story.path}/rules", duplicate).error == (409, "duplicate_rule")
    channel = slack.add_channel()
    events = ["submitted", "scored", "attention", "erasureRequested"]
    story.api("POST", "/v1/notifications", {"name": "Reviews", "url": channel, "events": events}, 201)

    # The stage changes: the candidate gets one email.
    application = account.apply(story.job, story.other_stage, ADA)
    assert account.move(application, story.other_stage) == [200]  # no rule
    story.settle()
    assert story.orders() == []
    assert account.move(application, story.stage) == [200]
    key = story.key_for(ADA)
    order = story.wait_for(application, "invited")
    assert (order["sessionId"], order["reports"]) == (None, [])
    candidate = story.get(f"/v1/candidates/{order['candidateId']}")["candidate"]
    assert (candidate["candidateName"], candidate["candidateEmail"]) == ("Ada Lovelace", ADA)
    assert candidate["externalId"] == f"{account.system}:{application}"

    # The candidate works and submits.
    session_id = story.start(key)
    assert story.wait_for(application, "started")["sessionId"] == session_id
    story.place.advance(timedelta(minutes=30))
    story.settle()
    story.submit(key, session_id)
    story.wait_for(application, "submitted")
    assert account.notes_of(application) == []  # still collecting
    story.place.advance(COLLECTING)
    (submitted,) = story.notes(application, 1)
    link = f"{BASE_URL}/console#/sessions/{session_id}"
    assert story.assessment["title"] in submitted
    assert link in submitted
    assert re.search("submi", submitted, re.IGNORECASE)
    assert "Score" not in submitted

    # The reviewers score, and correct a score.
    story.score(session_id, 5)
    story.wait_for(application, "scored")
    story.place.advance(COLLECTING)
    scored = story.notes(application, 2)[1]
    assert re.search(r"^Score: 10(\.0)? of 10", scored, re.MULTILINE), scored
    assert link in scored
    story.score(session_id, 3, reason="Misread.")
    story.place.advance(DAY)
    corrected = story.notes(application, 3)[2]
    assert re.search(r"^Score: 6(\.0)? of 10", corrected, re.MULTILINE), corrected
    story.score(session_id, 1, reason="Misread again.")
    story.place.advance(COLLECTING)
    story.settle()
    assert len(account.notes_of(application)) == 3  # at most one a day
    story.place.advance(DAY)
    story.notes(application, 4)

    # The candidate asks for erasure: the saved email goes, and there is one last note.
    assert len(story.place.emails()) == 1
    story.candidate_call(key, "POST", "/v1/candidate/me/erasure-request")
    story.settle()
    story.erase(order["candidateId"])
    last = story.notes(application, 5)[4]
    assert "erased" in last.casefold()
    assert session_id not in last
    story.settle()
    order = story.only_order()
    assert (order["state"], order["applicationId"]) == ("erased", None)

    # Every note has its own reference, with rising numbers.
    references = [reference(note) for note in account.notes_of(application)]
    assert len({part for part, _ in references}) == 1
    numbers = [number for _, number in references]
    assert numbers == sorted(set(numbers))
    for note in account.notes_of(application):
        for secret in (key, "start?key", "Ada", ADA, "Misread"):
            assert secret not in note

    # A repeated hint invites nobody.
    assert account.move(application, story.stage) == [200]
    story.settle()
    assert len(story.orders()) == 1
    assert story.place.emails() == []
    assert len(account.notes_of(application)) == 5

    # The channel, the feed, the audit log and the counts tell the same story.
    texts = slack.texts(channel)
    assert any(story.assessment["title"] in text and "submi" in text.casefold() for text in texts)
    for text in texts:
        for secret in (key, "Ada", ADA, "Score: ", " of 10"):
            assert secret not in text
    for message in slack.messages(channel):
        assert all(button["url"].startswith(BASE_URL) for button in buttons(message.get("blocks", [])))
    types = event_types(story)
    assert {"order.created", "order.reported", "candidate.erasure_requested"} <= set(types)
    assert types.count("order.created") == 1
    audit = story.get("/v1/audit?limit=200")["entries"]
    actors = {(entry["actorKind"], entry["actorId"]) for entry in audit}
    assert ("integration", story.integration["id"]) in actors
    calls = story.get(story.path)["integration"]["calls"]
    assert sum(day["calls"] for day in calls) > 0
    if account.system == "ashby":
        assert {id for id, _ in account.marks} == {application}


def invite_and_report(story):
    """Set up, invite, and report a submission. Return the application and its note."""
    story.set_up()
    assert story.account.ping() == [200]
    application = story.account.apply(story.job, story.other_stage, ADA)
    assert story.account.move(application, story.stage) == [200]
    story.work(ADA)
    story.wait_for(application, "submitted")
    story.place.advance(COLLECTING)
    (note,) = story.notes(application, 1)
    story.settle()
    (report,) = story.only_order()["reports"]
    assert (report["state"], report["reference"]) == ("sent", f"{reference(note)[0]}-1")
    assert len(story.account.notes_of(application)) == 1
    assert len(story.place.emails()) == 1
    return application, note


@on_sqlite
@pytest.mark.parametrize(
    "options",
    [
        {"sub": None},
        {"expiry": "expires_at"},
        {"expiry": None},
        {"can_email": True},
        {"note_user": 99, "visibility": "admin_only"},
        {"visibility": "private"},
        {"can_list_notes": False},
        {"page_size": 1},
        {"has_rate_headers": True, "limit": RateLimit(50, 10)},
    ],
    ids=lambda options: "-".join(options),
)
def test_unverified_details_of_greenhouse(start, options):
    with start("greenhouse", **options) as story:
        invite_and_report(story)
        if limit := story.account.limit:
            assert limit.rejected == 0


@on_sqlite
@pytest.mark.parametrize(
    "options",
    [
        {"has_titles": False},
        {"has_address": False},
        {"note_field": "note"},
        {"note_field": "value"},
        {"mark_field": FIELD},
    ],
    ids=lambda options: "-".join(map(str, options)),
)
def test_unverified_details_of_ashby(start, options):
    with start("ashby", **options) as story:
        application, _ = invite_and_report(story)
        if story.account.mark_field:
            assert {id for id, _ in story.account.marks} == {application}


@on_sqlite
def test_a_greenhouse_link_header_may_name_the_replaced_origin(start):
    with start("greenhouse", page_size=1) as story:
        story.account.server.link_origin = story.account.server.origin
        story.set_up()
        assert len(story.get(f"{story.path}/stages?jobId={story.job}")["stages"]) == 2


@on_sqlite
def test_stages_are_read_over_all_pages(start):
    with start("greenhouse", page_size=2) as story:
        story.set_up()
        for number in range(6):
            story.account.add_stage(f"Interview {number}", story.job)
            story.account.add_job(f"Job {number}")
        assert len(story.get(f"{story.path}/stages?jobId={story.job}")["stages"]) == 8
        assert len(story.get(f"{story.path}/jobs")["jobs"]) == 7


@on_sqlite
@pytest.mark.parametrize("payload", [{}, None, [], {"settings": ["candidate_stage_change"]}])
def test_a_signed_ping_is_accepted_with_any_body(story, payload):
    story.set_up()
    assert story.send("GET", story.path).status == 200
    body, headers = story.account.event("ping", payload)
    assert story.account.send_once(body, headers) == 200
    assert story.orders() == []


@on_sqlite
def test_an_unsigned_ping_is_rejected_and_the_enabled_webhook_works(story):
    story.set_up()
    assert story.account.ping(signed=False) == [403]
    application = story.account.apply(story.job, story.stage, ADA)
    assert story.account.move(application, story.stage) == [200]
    story.key_for(ADA)


@on_sqlite
@pytest.mark.parametrize("repeats", [True, False])
def test_a_retry_with_or_without_the_same_id_is_the_same_order(start, repeats):
    with start("greenhouse", repeats_event_id=repeats) as story:
        story.set_up()
        application = story.account.apply(story.job, story.stage, ADA)
        body, headers = story.account.stage_change(application)
        for _ in range(3):
            assert story.account.send_once(body, headers) == 200
            headers = story.account.headers_of_retry(headers)
            story.settle()
        assert story.only_order()["state"] == "invited"
        assert len(story.place.emails()) == 1
