"""Secrets and personal data stay where they belong: searches through everything that an integration writes."""

import json
import tarfile
from contextlib import closing
from datetime import timedelta

import pytest

import models
from tests.integrations.greenhouse_server import GreenhouseServer
from tests.integrations.slack_server import SlackServer
from tests.integrations.stand_in import serving
from tests.integrations.story import COLLECTING, DAY, LINK, SERVERS, Live, Story, in_process, text_of

FIRST, LAST, ADDRESS = "Zebulon", "Quartermain", "zq@quartermain.example"
# Only in webhooks and the system's answers: phone, photo, address, files, salary, IP address, team.
PAYLOAD = (
    *("zqphoto", "zqstreet", "zqresume", "zqsalary", "zqjobnotes", "zqteam", "zqagent"),
    *("555 0142", "203.0.113.142"),
)
CANDIDATE = ("zebulon", "quartermain")
# The candidate's own record: the key, and the emails to the candidate.
OWN_RECORD = {"candidate_keys", "deliveries"}
EVENTS = ["submitted", "scored", "expired", "attention", "emailFailed", "erasureRequested"]

pytestmark = pytest.mark.slow


@pytest.fixture(params=SERVERS)
def story(request, app_with, clock, tmp_path, organization):
    with in_process(app_with, clock, tmp_path, organization, request.param) as story:
        yield story.set_up(include=["score", "duration", "criteria", "tests"])


def dump():
    """Return the text of each table of the whole database."""
    tables = {}
    for name in models.db.get_tables():
        rows = models.db.execute_sql(f'SELECT * FROM "{name}"').fetchall()
        tables[name] = "\n".join(as_text(value) for row in rows for value in row).casefold()
    return tables


def as_text(value):
    if isinstance(value, bytes | memoryview):
        return bytes(value).decode("latin-1")
    return json.dumps(value, default=str) if isinstance(value, dict | list) else str(value)


def tables_with(*words):
    return {name for name, text in dump().items() if any(word.casefold() in text for word in words)}


def tell_story(
    story, slack_events=("submitted", "scored", "expired", "attention", "emailFailed", "erasureRequested")
):
    """Play until the corrected score. Return (application, candidate id, key, invitation link, channel's URL)."""
    channel = story.slack.add_channel()
    body = {"name": "Reviews", "url": channel, "events": EVENTS}
    story.api("POST", "/v1/notifications", body, 201)
    application = story.account.apply(story.job, story.other_stage, ADDRESS, first=FIRST, last=LAST)
    assert story.account.move(application, story.stage) == [200]
    key = story.key_for(ADDRESS)
    link = LINK.search(text_of(story.place.emails(ADDRESS)[0])).group(1)
    order = story.wait_for(application, "invited")
    # Faults and errors, whose texts could repeat something.
    story.account.server.misbehave("", status=500, data=f"{FIRST} {ADDRESS} {story.account.form} zqresume")
    session_id = story.start(key)
    story.place.advance(timedelta(minutes=30))
    story.submit(key, session_id)
    story.wait_for(application, "submitted")
    story.place.advance(COLLECTING)
    story.notes(application, 1)
    story.score(session_id, 5, comment="zqcomment")
    story.wait_for(application, "scored")
    story.place.advance(COLLECTING)
    story.notes(application, 2)
    story.score(session_id, 3, comment="zqcomment", reason="zqreason")
    story.place.advance(DAY)
    story.notes(application, 3)
    unnamed = story.account.apply(story.job, story.stage, first=FIRST, last=LAST)
    assert story.account.move(unnamed, story.stage) == [200]
    story.wait_for(unnamed, "attention", "no_address")
    story.api("POST", f"{story.path}/check")
    story.get(f"{story.path}/rules/{story.rule['id']}/catch-up")
    for path in ("", "/rules", "/jobs", f"/stages?jobId={story.job}"):
        story.get(f"{story.path}{path}")
    for path in ("/v1/integrations", "/v1/notifications"):
        story.get(path)
    return application, order["candidateId"], key, link, channel


def apply_again(story, application):
    """Add another application of the person, whose order is skipped. Return its id."""
    account = story.account
    other, person_id = account.apply(story.job, story.stage), account.candidate_of(application)["id"]
    is_ashby = account.system == "ashby"
    row = account.applications[other] if is_ashby else account.application(other)
    row["candidate" if is_ashby else "candidate_id"] = person_id
    account.leave(other)
    story.hint(other)
    story.wait_for(other, "skipped")
    return other


def credentials_of(story, channel):
    account = story.account
    own = [account.client_secret, *account.tokens] if account.system == "greenhouse" else [account.key]
    return [*own, *story.signing_secrets, channel, channel.rpartition("/")[2]]


def test_secrets_and_personal_data_stay_in_their_place(story):
    application, _, key, link, channel = tell_story(story)
    rotated = story.api("POST", f"{story.path}/rotate-secret")["secret"]
    story.use_secret(rotated)
    secrets = credentials_of(story, channel)
    notes, messages = story.account.notes_of(application), story.slack.texts(channel)
    assert notes
    assert messages
    for text in [*notes, *messages]:
        for word in (key, link, "/start", *secrets, *PAYLOAD, *CANDIDATE, "zqcomment", "zqreason"):
            assert word.casefold() not in text.casefold()
    audit = json.dumps(story.get("/v1/audit?limit=200"))
    feed = json.dumps(story.get("/v1/events?limit=200"))
    for text in (audit, feed):
        for word in (key, link, *secrets, *PAYLOAD, *CANDIDATE):
            assert word.casefold() not in text.casefold()
    assert story.answers
    for text in story.answers:
        for word in (key, link, *secrets, *PAYLOAD):
            assert word.casefold() not in text.casefold()
    # Names only in the list of those who wait, which is not stored.
    stored_answers = [text for text in story.answers if '"applications"' not in text]
    assert [text for text in stored_answers if any(word in text.casefold() for word in CANDIDATE)] == []
    assert tables_with(*secrets) == set()
    assert tables_with(*PAYLOAD) == set()
    assert tables_with(*CANDIDATE) <= OWN_RECORD
    assert "candidate_keys" in tables_with(*CANDIDATE)  # the search finds what is there


def test_an_erased_candidate_is_nowhere_and_is_not_invited_again(story):
    application, candidate_id, _, _, _ = tell_story(story)
    account = story.account
    in_system = account.candidate_of(application)["id"]
    hint = account.stage_change(application)
    other = apply_again(story, application)
    story.erase(candidate_id)
    story.place.until(
        lambda: "erased" in account.notes_of(application)[-1].casefold(), "No last note was written."
    )
    story.settle()
    assert (
        tables_with(
            application, other, str(in_system), ADDRESS, *CANDIDATE, *PAYLOAD, "zqcomment", "zqreason"
        )
        == set()
    )
    assert story.place.emails(ADDRESS) == []
    before = len(account.notes_of(application))
    for _ in range(2):
        assert account.send(*hint) == [200]
        story.place.advance(DAY)
        story.settle()
    assert story.place.emails(ADDRESS) == []
    assert len(account.notes_of(application)) == before
    assert tables_with(application, str(in_system), ADDRESS, *CANDIDATE) == set()
    path = f"{story.path}/rules/{story.rule['id']}/catch-up"
    assert application not in json.dumps(story.get(path))


def test_the_last_note_is_tried_for_a_day_and_forgotten(story):
    application, candidate_id, _, _, _ = tell_story(story)
    in_system = str(story.account.candidate_of(application)["id"])
    story.account.server.misbehave("", status=503, times=1000)
    story.erase(candidate_id)
    story.settle()
    story.place.advance(timedelta(hours=25))
    story.settle()
    story.account.server.behave()
    story.place.advance(DAY)
    story.settle()
    assert not any("erased" in note.casefold() for note in story.account.notes_of(application))
    assert tables_with(application, in_system, ADDRESS, *CANDIDATE) == set()


def test_a_hint_that_arrived_before_the_erasure_invites_nobody(story):
    """Erase between the webhook and the worker, for an application with a second rule."""
    application, candidate_id, _, _, _ = tell_story(story)
    account = story.account
    story.add_rule(stageId=story.other_stage)
    hint = account.stage_change(application, story.other_stage)
    account.set_stage(application, story.other_stage)
    assert account.send(*hint) == [200]
    story.erase(candidate_id)
    story.settle()
    assert story.place.emails(ADDRESS) == []
    assert tables_with(application, ADDRESS) == set()


def test_logs_and_backups_have_no_secrets(tmp_path):
    server, slack = GreenhouseServer(), SlackServer()
    # Messages that follow within a minute are collected, by a clock that the test moves.
    slack.SECONDS_BETWEEN_MESSAGES = 0
    with serving(server, slack):
        place = Live.start(tmp_path, None, server, slack, LOG_LEVEL="DEBUG")
        with place.service as service:
            token = service.flask("org", "create", "Acme").split()[-1]
            story = Story(place, token, server.add_account(), slack=slack).set_up()
            channel = slack.add_channel()
            story.api("POST", "/v1/notifications", {"name": "Reviews", "url": channel}, 201)
            with service.worker():
                server.misbehave("applications", status=500, data=f"{FIRST} {ADDRESS} {story.account.form}")
                application = story.invite(ADDRESS, first=FIRST, last=LAST)
                place.until(lambda: story.order(application)["lastError"], "The first read did not fail.")
                place.advance(timedelta(minutes=2))
                key = story.key_for(ADDRESS)
                story.work(ADDRESS)
                story.wait_for(application, "submitted")
                place.advance(COLLECTING)
                story.notes(application, 1)
                place.until(lambda: slack.messages(channel), "No message was sent.")
            link = LINK.search(text_of(place.emails(ADDRESS)[0])).group(1)
            secrets = credentials_of(story, channel)
            backup = tmp_path / "proofstone.tar"
            service.flask("backup", str(backup))
            log = service.log().casefold()
    for word in (key, link, *secrets, *PAYLOAD, *CANDIDATE):
        assert word.casefold() not in log
    content = read_archive(backup)
    assert application.encode() in content  # the search reads the database
    for word in [*secrets, *PAYLOAD]:
        assert word.encode() not in content


def read_archive(path):
    """Return the contents of all files in the backup."""
    with closing(tarfile.open(path)) as archive:
        return b"".join(archive.extractfile(member).read() for member in archive if member.isfile())
