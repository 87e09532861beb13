"""What an invitation says, and that no name can make it say anything else."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from email import message_from_bytes, policy
from email.message import EmailMessage
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivery import PermanentFailure
from delivery.mail import Invitation, compose, parse_sender

NOW = datetime(2026, 4, 1, 12, 30, tzinfo=UTC)
SENDER = "Proofstone <no-reply@proofstone.example>"
INVITATION = Invitation(
    message_id="<5f0c@proofstone.example>",
    to_address="alice@example.com",
    candidate_name="Alice Liddell",
    org_name="Northwind",
    assessment_title="Fix the scheduler",
    role="Backend Engineer",
    task_brief="# The bug\n\nTwo workers claim *one* row.",
    time_limit_minutes=90,
    key="PST-ABCD-2345",
    expires_at=datetime(2026, 4, 8, 9, tzinfo=UTC),
    base_url="https://assess.example",
)
HEADERS = {"From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "MIME-Version", "Content-Type"}
LINK = "https://assess.example/start#PST-ABCD-2345"
START = (
    "PROMPTSTER_API_URL=https://assess.example PROMPTSTER_APP_URL=https://assess.example "
    "promptster start PST-ABCD-2345"
)


class Page(HTMLParser):
    """The words of a page, its tags, and every address that it names."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.words, self.tags, self.addresses = "", set(), set()
        self.feed(source)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.addresses |= {value for name, value in attrs if name in ("href", "src", "background")}

    def handle_data(self, data):
        self.words += data


def as_received(message: EmailMessage) -> EmailMessage:
    return message_from_bytes(message.as_bytes(), policy=policy.default)


def received(**changes) -> EmailMessage:
    return as_received(compose(replace(INVITATION, **changes), SENDER, NOW))


def text_of(message: EmailMessage) -> str:
    return message.get_body(("plain",)).get_content().replace("\r\n", "\n")


def page_of(message: EmailMessage) -> Page:
    return Page(message.get_body(("html",)).get_content().replace("\r\n", "\n"))


def test_the_headers_say_who_what_and_when():
    message = received()
    assert message["From"] == SENDER
    assert message["To"] == "Alice Liddell <alice@example.com>"
    assert message["Subject"] == "Northwind invites you to an assessment: Fix the scheduler"
    assert message["Date"].datetime == NOW
    assert message["Message-ID"] == "<5f0c@proofstone.example>"
    assert message["Auto-Submitted"] == "auto-generated"


def test_answers_go_to_the_organization_where_it_gave_an_address():
    assert received(reply_to="jobs@northwind.example")["Reply-To"] == "Northwind <jobs@northwind.example>"
    assert received()["Reply-To"] is None


@pytest.mark.parametrize(
    "fact",
    [
        "Hello Alice Liddell,",
        "Northwind invites you to an assessment.",
        "Fix the scheduler",
        "Backend Engineer",
        "1 hour 30 minutes",
        "8 April 2026, 09:00 UTC",
        "Two workers claim *one* row.",
        LINK,
        START,
        "npm install -g @promptster/cli",
        "The clock starts when you redeem your key",
        "PROMPTSTER_APP_URL=https://assess.example promptster done",
        "$env:PROMPTSTER_API_URL='https://assess.example'",
    ],
)
def test_text_and_html_tell_the_same(fact):
    message = received()
    assert fact in text_of(message)
    assert fact in page_of(message).words


def test_the_html_links_to_the_page_and_loads_nothing():
    page = page_of(received())
    assert page.addresses == {LINK, "https://github.com/pa-arth/promptster-cli"}
    assert not page.tags & {"img", "script", "iframe", "link", "form"}


def test_without_a_name_the_greeting_has_none():
    message = received(candidate_name=None)
    assert text_of(message).startswith("Hello,\n")
    assert message["To"] == "alice@example.com"


def test_without_a_time_limit_no_clock_is_mentioned():
    message = received(time_limit_minutes=None)
    for words in (text_of(message), page_of(message).words):
        assert "clock" not in words
        assert "there is no time limit" in words


def test_the_expiry_is_told_in_utc_whatever_zone_it_came_in():
    in_tokyo = datetime(2026, 4, 8, 18, tzinfo=timezone(timedelta(hours=9)))
    assert "8 April 2026, 09:00 UTC" in text_of(received(expires_at=in_tokyo))


def test_a_long_brief_is_cut_between_words_and_points_to_the_page():
    message = received(task_brief="word " * 2000)
    for words in (text_of(message), page_of(message).words):
        assert "word word ..." in words
        assert "only the beginning of the brief" in words
        assert len(words) < 6000
    assert "only the beginning" not in text_of(received())


def test_what_people_wrote_is_shown_and_never_markup():
    hostile = '<script>alert("1")</script><a href="https://evil.example">'
    message = received(
        candidate_name=hostile, org_name=hostile, assessment_title=hostile, role=hostile, task_brief=hostile
    )
    page = page_of(message)
    assert page.words.count(hostile) >= 5
    assert "https://evil.example" not in page.addresses
    assert "script" not in page.tags


def test_braces_in_a_brief_stay_braces():
    assert "{{ key }} {% if %}" in text_of(received(task_brief="{{ key }} {% if %}"))


def test_an_english_mail_can_be_read_in_any_editor():
    raw = compose(INVITATION, SENDER, NOW).as_bytes()
    assert START.encode() in raw


def test_other_scripts_arrive_as_written():
    message = received(candidate_name="Zoë Łąk", org_name="株式会社", task_brief="Prüfe “alles” 🙂")
    assert message["To"].addresses[0].display_name == "Zoë Łąk"
    assert message["Subject"] == "株式会社 invites you to an assessment: Fix the scheduler"
    assert "Prüfe “alles” 🙂" in text_of(message)
    assert compose(replace(INVITATION, candidate_name="Zoë"), SENDER, NOW).as_bytes().isascii()


@pytest.mark.parametrize(
    "name",
    [
        "x\r\nBcc: eve@evil.example",
        "x\n\nThe body",
        "x\x85Bcc: eve@evil.example",
        "x\u2028Bcc: eve@evil.example",
        "=?utf-8?q?x=0D=0ABcc:_eve@evil.example?=",
        "=?utf-8?b?eA0KQmNjOiBldmVAZXZpbC5leGFtcGxl?=",
        "==??utf-8?q?x=0D=0ABcc:_eve@evil.example?=",
        'x" <eve@evil.example>, "y',
        "Żółć, <eve@evil.example>, " * 9,
        "group: eve@evil.example;",
        "\ud800\x00\x7f",
        "\u202egro.live",
        "x" * 255,
        "山" * 255,
    ],
)
def test_a_name_adds_no_header_and_no_recipient(name):
    message = received(
        candidate_name=name, org_name=name, assessment_title=name, reply_to="jobs@northwind.example"
    )
    assert set(message.keys()) == HEADERS | {"Reply-To"}
    assert [address.addr_spec for address in message["To"].addresses] == ["alice@example.com"]
    assert [address.addr_spec for address in message["Reply-To"].addresses] == ["jobs@northwind.example"]
    assert text_of(message).startswith("Hello")


@given(name=st.text(max_size=255), other=st.text(alphabet='=?qb"\\<>@,:;()\r\n x0DAé_', max_size=60))
def test_no_name_at_all_adds_a_header_or_a_recipient(name, other):
    message = received(candidate_name=name + other, org_name=other, assessment_title=other + name)
    assert set(message.keys()) == HEADERS
    assert [address.addr_spec for address in message["To"].addresses] == ["alice@example.com"]


def test_a_domain_of_any_script_is_written_in_ascii():
    assert received(to_address="alice@bücher.example")["To"].addresses[0].domain == "xn--bcher-kva.example"


def test_an_address_of_any_script_is_kept():
    message = compose(replace(INVITATION, to_address="jürgen@bücher.example"), SENDER, NOW)
    assert b"<j\xc3\xbcrgen@xn--bcher-kva.example>" in message.as_bytes()


@pytest.mark.parametrize(
    "address",
    [
        "=?utf-8?q?=0D=0ABcc=3A=20eve=40evil.example?=@example.com",
        "alice@example.com\r\nBcc: eve@evil.example",
        "alice@example.com\x00",
        "alice",
        "@example.com",
        "alice@é..example",
        "",
    ],
)
def test_an_address_that_no_header_can_hold_is_refused(address):
    with pytest.raises(PermanentFailure):
        received(to_address=address)


def test_the_sender_may_have_a_name_or_none():
    assert str(parse_sender(SENDER)) == SENDER
    assert str(parse_sender("no-reply@proofstone.example")) == "no-reply@proofstone.example"


@pytest.mark.parametrize(
    "text",
    ["", "Proofstone", "Acme, Inc. <a@b.example>", "a@b.example, c@d.example", "a@b\r\nBcc: c@d", "é@b.c"],
)
def test_a_wrong_sender_is_refused_saying_what_is_wanted(text):
    with pytest.raises(ValueError, match=r"^one address such as"):
        parse_sender(text)
