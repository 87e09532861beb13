"""Notifications: channels through the API, and messages as a Slack channel receives them."""

import json
from datetime import timedelta

import pytest
from factories import make_assessment, make_closed_session, make_key, make_session
from response_checks import body_of, error_of, error_paths

from integrations import integrations as connected
from integrations import notifications, rules, states, worker
from integrations.tables import IntegrationReport, Notification, NotificationChannel
from models import Delivery, privacy, sessions
from models.deliveries import outcomes
from models.webhooks.outbox import publish_new
from rules.delivery import webhook_addresses
from rules.delivery.retries import RETRY_DELAYS
from tests.delivery.receiver import receiving

CHANNELS = "/v1/notifications"
URL = "https://hooks.slack.com/services/T000/B000/abcdWXYZ"


@pytest.fixture
def slack(app, monkeypatch):
    with receiving() as receiver:
        origin = receiver.url("")
        monkeypatch.setitem(app.config, "INTEGRATION_HOSTS", {"hooks.slack.com": origin})
        loopback = webhook_addresses.parse_networks("127.0.0.0/8")
        monkeypatch.setitem(app.config, "WEBHOOK_ALLOWED_NETWORKS", loopback)
        yield receiver


@pytest.fixture
def deliver(app):
    """A function that publishes new events and sends what is due."""

    def run():
        publish_new()
        notifications.collect()
        notifications.send_due(app.config)

    return run


def create(reviewer, **values):
    response = reviewer.post(CHANNELS, {"name": "#hiring", "url": URL} | values)
    return body_of(response, 201)["channel"]


def texts(slack):
    return [json.loads(message.body)["text"] for message in slack.messages]


def test_a_channel_is_created_changed_and_deleted(reviewer, assessment):
    channel = create(reviewer, assessmentIds=[str(assessment.id)])
    assert (channel["kind"], channel["urlEnd"], channel["events"]) == (
        "slack",
        "WXYZ",
        ["submitted", "attention"],
    )
    path = f"{CHANNELS}/{channel['id']}"
    changed = body_of(reviewer.patch(path, {"events": ["scored"], "enabled": False}))["channel"]
    assert (changed["events"], changed["enabled"], changed["disabledReason"]) == (["scored"], False, "paused")
    assert body_of(reviewer.get(CHANNELS))["channels"] == [changed]
    assert (
        body_of(reviewer.patch(path, {"enabled": True, "assessmentIds": None}))["channel"]["enabled"] is True
    )
    body_of(reviewer.delete(path))
    assert error_of(reviewer.get(path)) == (404, "not_found")
    assert NotificationChannel.get().url == ""


def test_the_url_is_stored_encrypted_and_never_returned(reviewer):
    channel = create(reviewer)
    assert URL not in json.dumps([channel, body_of(reviewer.get(CHANNELS))])
    assert "abcd" not in NotificationChannel.get().url


@pytest.mark.parametrize(
    "url",
    # Not of Slack, or not encrypted.
    [
        "http://hooks.slack.com/services/x",
        "https://hooks.slack.com.example/x",
        "https://example.com/hooks.slack.com",
        7,
    ],
)
def test_only_urls_of_the_chat_system_are_accepted(reviewer, url):
    response = reviewer.post(CHANNELS, {"name": "#hiring", "url": url})
    assert error_paths(response) == [["url"]]


def test_another_organizations_assessment_is_rejected(reviewer, neighbour, app):
    other = body_of(neighbour.post("/v1/assessments", {"title": "a", "role": "b", "taskBrief": "c"}), 201)
    values = {"name": "#hiring", "url": URL, "assessmentIds": [other["assessment"]["id"]]}
    assert error_paths(reviewer.post(CHANNELS, values)) == [["assessmentIds", 0]]


def test_a_submission_is_sent_with_one_button(reviewer, assessment, slack, deliver):
    create(reviewer)
    session = make_closed_session(assessment)
    deliver()
    (message,) = slack.messages
    assert message.path == "/services/T000/B000/abcdWXYZ"
    subject = f"{assessment.title}, candidate {session.key.id.hex[-6:]}."
    url = f"http://localhost:8000/console#/sessions/{session.id}"
    assert json.loads(message.body) == {
        "text": f"Submission received: {subject}",
        "blocks": [
            {"type": "section", "text": {"type": "mrkdwn", "text": f"Submission received: {subject}"}},
            {
                "type": "actions",
                "elements": [{"type": "button", "text": {"type": "plain_text", "text": "Open"}, "url": url}],
            },
        ],
    }
    deliver()
    assert len(slack.messages) == 1


def test_events_before_the_channel_and_of_other_assessments_are_not_sent(
    reviewer, organization, assessment, slack, deliver
):
    make_closed_session(assessment)
    publish_new()
    create(reviewer, assessmentIds=[str(make_assessment(organization).id)])
    make_closed_session(assessment)
    deliver()
    assert slack.messages == []


def test_names_are_sent_on_request_but_never_in_blind_assessments(
    reviewer, organization, slack, deliver, clock
):
    create(reviewer, includeNames=True)
    for is_blind in (False, True):
        assessment = make_assessment(organization, blind=is_blind)
        session = make_closed_session(assessment)
        deliver()
        clock.fixed += timedelta(minutes=2)
        name = session.key.candidate_name
        assert name
        assert (name in texts(slack)[-1]) is not is_blind


def test_text_cannot_mention_anybody(reviewer, organization, slack, deliver):
    create(reviewer)
    make_closed_session(make_assessment(organization, title="<!channel> & <@U1>"))
    deliver()
    assert "&lt;!channel&gt; &amp; &lt;@U1&gt;" in texts(slack)[0]
    assert b"<!" not in slack.messages[0].body
    assert b"<@" not in slack.messages[0].body


def test_events_within_a_minute_are_one_message_with_ten_links(reviewer, assessment, slack, deliver, clock):
    create(reviewer)
    make_closed_session(assessment)
    deliver()
    for _ in range(12):
        make_closed_session(assessment)
    deliver()
    assert len(slack.messages) == 1
    clock.fixed += timedelta(seconds=60)
    deliver()
    assert texts(slack)[1] == "12 submissions received. The first 10 of 12:"
    assert len(json.loads(slack.messages[1].body)["blocks"]) == 11


def test_above_twenty_messages_an_hour_they_are_sent_hourly(reviewer, assessment, slack, deliver, clock):
    create(reviewer)
    for _ in range(30):
        make_closed_session(assessment)
        deliver()
        clock.fixed += timedelta(seconds=61)
    assert len(slack.messages) == 20
    clock.fixed += timedelta(hours=1)
    deliver()
    assert texts(slack)[20] == "10 submissions received."


def test_a_failed_message_is_sent_again(reviewer, assessment, slack, deliver, clock):
    create(reviewer)
    slack.responses = [(429, {"Retry-After": "120"}, b""), (500, {}, b"rollup_error")]
    make_closed_session(assessment)
    deliver()
    clock.fixed += timedelta(seconds=119)
    deliver()
    assert len(slack.messages) == 1
    clock.fixed += timedelta(seconds=1)
    deliver()
    clock.fixed += timedelta(minutes=5)
    deliver()
    assert len(slack.messages) == 3
    assert len(set(texts(slack))) == 1
    (channel,) = body_of(reviewer.get(CHANNELS))["channels"]
    assert channel["lastError"] == "The receiver responded with 500."


@pytest.mark.parametrize(
    ("status", "text"), [(404, b"channel_not_found"), (410, b"channel_is_archived"), (403, b"no_service")]
)
def test_a_channel_that_is_gone_is_disabled(reviewer, assessment, slack, deliver, status, text):
    create(reviewer)
    slack.responses = [(status, {}, text)]
    make_closed_session(assessment)
    deliver()
    (channel,) = body_of(reviewer.get(CHANNELS))["channels"]
    assert (channel["enabled"], channel["disabledReason"]) == (False, "gone")
    assert channel["lastError"] == f"The receiver responded with {status}."
    make_closed_session(assessment)
    deliver()
    assert len(slack.messages) == 1


def test_a_url_that_was_replaced_during_the_call_stays_enabled(
    app, reviewer, assessment, slack, deliver, monkeypatch
):
    channel = create(reviewer)
    post = notifications.post

    def replace_and_post(*arguments):
        body_of(reviewer.patch(f"{CHANNELS}/{channel['id']}", {"url": f"{URL}2"}))
        return post(*arguments)

    slack.responses = [(404, {}, b"channel_not_found")]
    make_closed_session(assessment)
    with monkeypatch.context() as during_call:
        during_call.setattr(notifications, "post", replace_and_post)
        deliver()
    assert body_of(reviewer.get(CHANNELS))["channels"][0]["enabled"] is True


def test_only_a_notification_that_failed_for_three_days_is_dropped(
    reviewer, assessment, slack, deliver, clock
):
    create(reviewer)
    slack.responses = [(500, {}, b"")] * 10
    make_closed_session(assessment)
    deliver()
    for delay in RETRY_DELAYS[:-1]:
        clock.fixed += delay
        deliver()
    later = make_closed_session(assessment)
    for _ in range(2):
        clock.fixed += RETRY_DELAYS[-1]
        deliver()
    assert texts(slack)[-2] == "2 submissions received."
    assert later.key_id.hex[-6:] in texts(slack)[-1]


def test_an_enabled_channel_sends_nothing_that_waited_when_it_was_disabled(
    reviewer, assessment, slack, deliver, clock
):
    path = f"{CHANNELS}/{create(reviewer)['id']}"
    slack.responses = [(500, {}, b"")]
    make_closed_session(assessment)
    deliver()
    body_of(reviewer.patch(path, {"enabled": False}))
    body_of(reviewer.patch(path, {"enabled": True}))
    clock.fixed += timedelta(hours=1)
    deliver()
    assert len(slack.messages) == 1


def test_a_rejected_message_is_dropped(reviewer, assessment, slack, deliver, clock):
    create(reviewer)
    slack.responses = [(400, {}, b"invalid_payload")]
    make_closed_session(assessment)
    deliver()
    clock.fixed += timedelta(days=1)
    deliver()
    assert len(slack.messages) == 1


def test_two_workers_send_a_message_once(reviewer, assessment, slack, deliver):
    create(reviewer)
    make_closed_session(assessment)
    publish_new()
    notifications.collect()
    (channel,) = NotificationChannel.select()
    channel.update_columns(claimed_until=notifications.clock.now() + timedelta(seconds=30))
    deliver()
    assert slack.messages == []


def test_a_worker_that_loaded_the_channel_before_another_sent_waits(
    app, reviewer, assessment, slack, deliver, monkeypatch
):
    create(reviewer)
    make_closed_session(assessment)
    publish_new()
    notifications.collect()
    loaded = []
    with monkeypatch.context() as other:
        other.setattr(notifications, "run_each", lambda name, *work: loaded.append(work))
        notifications.send_due(app.config)
    ((channels, send),) = loaded
    late = list(channels)
    deliver()
    make_closed_session(assessment)
    publish_new()
    notifications.collect()
    assert [send(channel) for channel in late] == [0]
    assert len(slack.messages) == 1


def test_failed_emails_and_expired_sessions_are_sent(reviewer, organization, slack, deliver, clock):
    create(reviewer, events=["emailFailed", "expired"])
    assessment = make_assessment(organization, time_limit_minutes=60)
    key = make_key(assessment)
    outcomes.fail(Delivery.claim(), "550 No such user")
    deliver()
    make_session(key)
    clock.fixed += timedelta(hours=2)
    sessions.close_all_due()
    deliver()
    subject = f"{assessment.title}, candidate {key.id.hex[-6:]}."
    assert texts(slack) == [
        f"Invitation not delivered: {subject}",
        f"Session closed before it was completed: {subject}",
    ]


def test_an_erasure_request_is_sent(reviewer, assessment, slack, deliver, candidate, key):
    create(reviewer, events=["erasureRequested"])
    body_of(candidate.post("/v1/candidate/me/erasure-request"))
    deliver()
    assert texts(slack) == [f"Erasure requested: {assessment.title}, candidate {key.id.hex[-6:]}."]


def test_an_order_that_needs_a_person_links_to_its_page(reviewer, slack, deliver, system, receive, work):
    create(reviewer)
    receive(system.add(email=None))
    work()
    deliver()
    (message,) = slack.messages
    button = json.loads(message.body)["blocks"][1]["elements"][0]
    assert button["url"] == "http://localhost:8000/console#/organization/integrations"


def test_an_order_names_the_assessment_that_its_candidate_got(
    reviewer, organization, slack, deliver, invited, rule, assessment
):
    create(reviewer, assessmentIds=[str(assessment.id)])
    rules.update(rule, {"assessment": make_assessment(organization, title="Another")})
    outcomes.fail(Delivery.get_by_id(invited.key.invitation_id), "No such mailbox.")
    states.refresh()
    deliver()
    (text,) = texts(slack)
    assert text.startswith(f"An order needs attention: {assessment.title}, candidate")


def test_a_deleted_integrations_orders_need_nobody(reviewer, slack, deliver, invited, integration, clock):
    create(reviewer)
    connected.delete(integration)
    outcomes.fail(Delivery.get_by_id(invited.key.invitation_id), "No such mailbox.")
    clock.fixed += timedelta(hours=1)
    worker.update_orders("https://assess.example.com")
    deliver()
    assert slack.messages == []
    assert IntegrationReport.select().count() == 0


def test_a_session_is_reported_as_scored_once(reviewer, assessment, slack, deliver, clock):
    create(reviewer, events=["scored"])
    session = make_closed_session(assessment)
    for decision in ("advanced", "rejected"):
        path = f"/v1/candidates/{session.key_id}/decision"
        body_of(reviewer.put(path, {"decision": decision}))
        deliver()
        clock.fixed += timedelta(minutes=2)
    assert texts(slack) == [f"Scored: {assessment.title}, candidate {session.key.id.hex[-6:]}."]


def test_a_session_that_was_scored_before_it_closed_is_reported(reviewer, key, slack, deliver):
    create(reviewer, events=["scored"])
    session = make_session(key)
    body_of(reviewer.put(f"/v1/candidates/{key.id}/decision", {"decision": "advanced"}))
    deliver()
    assert slack.messages == []
    sessions.complete(session)
    deliver()
    assert texts(slack) == [f"Scored: {key.assessment.title}, candidate {key.id.hex[-6:]}."]


@pytest.mark.parametrize("repair", ["new URL", "test"])
def test_a_repaired_channel_does_not_wait_for_the_next_attempt(
    reviewer, assessment, slack, deliver, clock, repair
):
    path = f"{CHANNELS}/{create(reviewer)['id']}"
    slack.responses = [(429, {"Retry-After": "3600"}, b"")]
    make_closed_session(assessment)
    deliver()
    deliver()
    assert len(slack.messages) == 1
    body_of(
        reviewer.patch(path, {"url": f"{URL}2"}) if repair == "new URL" else reviewer.post(f"{path}/test")
    )
    deliver()
    assert texts(slack)[-1].startswith("Submission received")
    assert len(slack.messages) == (2 if repair == "new URL" else 3)


def test_an_erased_candidates_notifications_are_deleted(reviewer, assessment, slack, deliver):
    create(reviewer)
    session = make_closed_session(assessment)
    publish_new()
    notifications.collect()
    privacy.erase(session.key)
    assert not Notification.select().exists()


def test_a_repeated_test_sends_one_message(reviewer, slack):
    path = f"{CHANNELS}/{create(reviewer)['id']}/test"
    for _ in range(2):
        response = reviewer.request("POST", path, headers={"Idempotency-Key": "one"})
        assert body_of(response) == {"ok": True, "error": None}
    assert len(slack.messages) == 1


def test_a_test_message_reports_the_result(reviewer, slack):
    path = f"{CHANNELS}/{create(reviewer)['id']}/test"
    assert body_of(reviewer.post(path)) == {"ok": True, "error": None}
    slack.responses = [(404, {}, b"no_service")]
    assert body_of(reviewer.post(path)) == {"ok": False, "error": "The receiver responded with 404."}
