"""Messages in a channel: collected, without names and scores, and stopped when the channel is gone."""

from datetime import timedelta

import pytest

from tests.integrations.slack_server import LINK, buttons, marked_down
from tests.integrations.story import in_process

TITLE = "<!channel> *Backend* & <b>more</b>"
HOUR = timedelta(hours=1, minutes=1)

pytestmark = [pytest.mark.slow, pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)]


@pytest.fixture
def story(app_with, clock, tmp_path, organization):
    """A story without an integration, with an assessment."""
    with in_process(app_with, clock, tmp_path, organization, "ashby") as story:
        story.assessment = story.create_assessment(title=TITLE)
        yield story


@pytest.fixture
def url(story):
    return story.slack.add_channel()


def add_channel(story, url, **fields):
    body = {"name": "Reviews", "url": url} | fields
    return story.api("POST", "/v1/notifications", body, 201)["channel"]


def channel_of(story, channel):
    return story.get(f"/v1/notifications/{channel['id']}")["channel"]


def submit(story, count, name="Zebulon"):
    """Let candidates submit at the same time. Return their sessions' ids."""
    body = {"count": count, "candidateNames": [name] * count}
    keys = story.api("POST", f"/v1/assessments/{story.assessment['id']}/keys", body, 201)["keys"]
    sessions = [(key["key"], story.start(key["key"])) for key in keys]
    for key, session_id in sessions:
        story.submit(key, session_id)
    return [session_id for _, session_id in sessions]


def links(message):
    blocks = message.get("blocks", [])
    in_texts = [link for text in marked_down(blocks) for link in LINK.findall(text)]
    return [button["url"] for button in buttons(blocks)] + in_texts


def test_the_first_message_is_sent_at_once_and_the_next_are_collected(story, url):
    channel = add_channel(story, url)
    (first,) = submit(story, 1)
    story.place.step()
    (message,) = story.slack.messages(url)
    assert len(links(message)) == 1
    assert links(message)[0].endswith(f"#/sessions/{first}")
    submit(story, 12)
    story.place.step()
    assert len(story.slack.messages(url)) == 1
    story.place.advance(timedelta(minutes=1))
    story.settle()
    _, collected = story.slack.messages(url)
    assert "12" in collected["text"]
    assert 1 <= len(links(collected)) <= 10
    for text in story.slack.texts(url):
        assert "Zebulon" not in text
    shown = channel_of(story, channel)
    assert shown["lastSentAt"]
    assert shown["urlEnd"] == url[-4:]
    assert url not in "".join(story.answers)


@pytest.mark.parametrize(("blind", "is_named"), [(False, True), (True, False)])
def test_names_are_sent_only_if_chosen_and_never_in_blind_assessments(story, url, blind, is_named):
    story.assessment = story.create_assessment(blind=blind)
    add_channel(story, url, includeNames=True)
    submit(story, 1)
    story.settle()
    (text,) = story.slack.texts(url)
    assert ("Zebulon" in text) is is_named


def test_a_name_mentions_nobody(story, url):
    add_channel(story, url, includeNames=True)
    submit(story, 1, name="<!here> & <@U123>")
    story.settle()
    assert len(story.slack.messages(url)) == 1  # the stand-in checks the text


def test_only_chosen_assessments_and_events_are_sent(story, url):
    other = story.create_assessment(title="Other")
    add_channel(story, url, assessmentIds=[other["id"]], events=["scored"])
    (session_id,) = submit(story, 1)
    story.score(session_id, 5)
    assert story.slack.messages(url) == []
    story.assessment = other
    (session_id,) = submit(story, 1)
    story.settle()
    assert story.slack.messages(url) == []
    story.score(session_id, 5)
    story.settle()
    (message,) = story.slack.messages(url)
    candidate_id = story.get(f"/v1/sessions/{session_id}")["candidateId"]
    assert message["text"] == f"Scored: Other, candidate {candidate_id[-6:]}."


@pytest.mark.parametrize(
    ("status", "text"), [(404, "no_service"), (404, "channel_not_found"), (410, "channel_is_archived")]
)
def test_a_channel_that_is_gone_is_disabled(story, url, status, text):
    channel = add_channel(story, url)
    story.slack.misbehave("message", status=status, data=text, times=100)
    submit(story, 1)
    story.settle()
    shown = channel_of(story, channel)
    assert not shown["enabled"]
    assert shown["disabledReason"]
    requests = len(story.slack.requests)
    submit(story, 1)
    story.place.advance(HOUR)
    story.settle()
    assert len(story.slack.requests) == requests == 1


@pytest.mark.parametrize(
    "fault", [{"status": 500, "data": "rollup_error"}, {"status": 429, "headers": {"Retry-After": "30"}},
              {"hangs_up": True}], ids=str,
)  # fmt: skip
def test_a_failed_message_is_repeated(story, url, fault):
    channel = add_channel(story, url)
    story.slack.misbehave("message", **fault)
    submit(story, 1)
    story.place.step()
    assert story.slack.messages(url) == []
    story.place.advance(timedelta(minutes=5))
    story.place.until(lambda: story.slack.messages(url), "The message was not repeated.")
    story.settle()
    assert len(story.slack.messages(url)) == 1
    assert channel_of(story, channel)["enabled"]


def test_above_20_messages_an_hour_they_are_sent_hourly(story, url):
    add_channel(story, url)
    for _ in range(30):
        submit(story, 1)
        story.place.advance(timedelta(seconds=70))
        story.place.step()
    assert len(story.slack.messages(url)) <= 21
    story.place.advance(HOUR)
    story.settle()
    sent = story.slack.messages(url)
    assert len(sent) <= 22
    assert sum(len(links(message)) or 1 for message in sent) >= 20


def test_a_test_message_is_sent(story, url):
    channel = add_channel(story, url)
    assert story.send("POST", f"/v1/notifications/{channel['id']}/test").status < 300
    story.settle()
    assert len(story.slack.messages(url)) == 1
