"""The content of invitations, and protection from header injection."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from email import message_from_bytes, policy
from email.message import EmailMessage
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from delivery import PermanentFailure
from delivery.email import Invitation, compose, parse_sender

NOW = datetime(2026, 4, 1, 12, 30, tzinfo=UTC)
SENDER = "Proofstone <no-reply@proofstone.example>"
INVITATION = Invitation(
    message_id="<5f0c@proofstone.example>",
    to_address="alice@example.com",
    candidate_name="Alice Liddell",
    org_name="Northwind",
    assessment_title="Fix the scheduler",
    role="Backend Engineer",
    captures=["Prompts that you write", "What you submit"],
    time_limit_minutes=90,
    key="PST-ABCD-2345",
    expires_at=datetime(2026, 4, 8, 9, tzinfo=UTC),
    base_url="https://assess.example",
)
LINK = "https://assess.example/start#PST-ABCD-2345"
START = (
    "PROMPTSTER_API_URL=https://assess.example PROMPTSTER_APP_URL=https://assess.example "
    "promptster start PST-ABCD-2345"
)


class Page(HTMLParser):
    """The text, tags and URLs of an HTML page."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.text, self.tags, self.urls = "", set(), set()
        self.feed(source)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.urls |= {value for name, value in attrs if name in ("href", "src", "background")}

    def handle_data(self, data):
        self.text += data


def received(**changes) -> EmailMessage:
    message = compose(replace(INVITATION, **changes), SENDER, NOW)
    return message_from_bytes(message.as_bytes(), policy=policy.default)


def text_of(message: EmailMessage) -> str:
    return message.get_body(("plain",)).get_content().replace("\r\n", "\n")


def page_of(message: EmailMessage) -> Page:
    return Page(message.get_body(("html",)).get_content().replace("\r\n", "\n"))


def texts_of(message: EmailMessage) -> tuple[str, str]:
    return text_of(message), page_of(message).text


HEADERS = {
    "From": SENDER,
    "To": "Alice Liddell <alice@example.com>",
    "Subject": "Northwind invites you to an assessment: Fix the scheduler",
    "Date": "Wed, 01 Apr 2026 12:30:00 +0000",
    "Message-ID": "<5f0c@proofstone.example>",
    "Auto-Submitted": "auto-generated",
    "MIME-Version": "1.0",
}


def test_the_headers_are_complete():
    headers = dict(received().items())
    assert headers.pop("Content-Type").startswith("multipart/alternative")
    assert headers == HEADERS


def test_replies_go_to_the_organizations_address():
    message = received(reply_to="jobs@northwind.example")
    assert message["Reply-To"] == "Northwind <jobs@northwind.example>"
    assert all("receives your reply" in text for text in texts_of(message))
    assert all("Replies to this email are not read" in text for text in texts_of(received()))


def test_text_and_html_have_the_same_content():
    for text in texts_of(received()):
        for part in (
            "Hello Alice Liddell,",
            "Northwind invites you to an assessment.",
            "Fix the scheduler",
            "Backend Engineer",
            "1 hour 30 minutes",
            "8 April 2026, 09:00 UTC",
            "What you submit",
            "what is not recorded and how the data is used",
            LINK,
            "Press Start when you are ready.",
            "git, curl and an AI coding tool, on macOS, Linux, or Windows with Git Bash or WSL",
            "./submit",
        ):
            assert part in " ".join(text.split())
        assert text.lower().index("how to start") < text.index("Prompts that you write")


def test_client_commands_are_included_only_if_client_install_is_set():
    for text in texts_of(received()):
        assert "promptster" not in text.lower()
        assert "npm" not in text
    for text in texts_of(received(client_install="npm install -g ./client.tgz")):
        assert text.index(LINK) < text.index("npm install -g ./client.tgz")
        for part in (
            START,
            "PROMPTSTER_APP_URL=https://assess.example promptster done",
            "$env:PROMPTSTER_API_URL='https://assess.example'",
        ):
            assert part in text


def test_a_base_url_with_a_quote_is_escaped_for_each_shell():
    text = text_of(received(base_url="https://assess.example/o'neil", client_install="make client"))
    assert """ PROMPTSTER_APP_URL='https://assess.example/o'"'"'neil' promptster start""" in text
    assert "$env:PROMPTSTER_APP_URL='https://assess.example/o''neil'" in text


def test_the_html_only_links_to_the_start_page():
    page = page_of(received())
    assert page.urls == {LINK}
    assert not page.tags & {"img", "script", "iframe", "link", "form"}


def test_a_reminder_has_its_own_subject_and_text():
    message = received(is_reminder=True)
    subject = "Reminder: Northwind has invited you to an assessment: Fix the scheduler"
    assert message["Subject"].strip() == subject
    assert all("This is a reminder" in text for text in texts_of(message))


def test_an_extension_has_its_own_subject_and_text():
    message = received(is_extension=True)
    assert message["Subject"].strip().startswith("New expiry date: ")
    assert all("has changed the expiry of your invitation" in text for text in texts_of(message))


def test_a_candidate_without_a_name_is_greeted_without_it():
    message = received(candidate_name=None)
    assert text_of(message).startswith("Hello,\n")
    assert message["To"] == "alice@example.com"


def test_the_clock_is_mentioned_only_with_a_time_limit():
    assert all("clock starts" in text for text in texts_of(received()))
    for text in texts_of(received(time_limit_minutes=None)):
        assert "clock" not in text
        assert "no time limit" in text


def test_the_expiry_is_in_utc():
    in_tokyo = datetime(2026, 4, 8, 18, tzinfo=timezone(timedelta(hours=9)))
    assert "8 April 2026, 09:00 UTC" in text_of(received(expires_at=in_tokyo))


def test_markup_and_template_syntax_in_values_are_escaped():
    hostile = '<script>alert("1")</script><a href="https://evil.example">{{ key }} {% if %}'
    names = ("candidate_name", "org_name", "assessment_title", "role")
    message = received(**dict.fromkeys(names, hostile), captures=[hostile])
    page = page_of(message)
    assert page.text.count(hostile) >= 5
    assert "https://evil.example" not in page.urls
    assert "script" not in page.tags
    assert hostile in " ".join(text_of(message).split())


def test_an_ascii_email_is_not_encoded():
    assert LINK.encode() in compose(INVITATION, SENDER, NOW).as_bytes()


def test_non_ascii_text_is_preserved():
    message = received(candidate_name="Zoë Łąk", org_name="株式会社", captures=["Prüfe “alles” 🙂"])
    assert message["To"].addresses[0].display_name == "Zoë Łąk"
    assert message["Subject"] == "株式会社 invites you to an assessment: Fix the scheduler"
    assert "Prüfe “alles” 🙂" in text_of(message)
    assert compose(replace(INVITATION, candidate_name="Zoë"), SENDER, NOW).as_bytes().isascii()


def assert_no_injection(**names):
    message = received(**names, reply_to="jobs@northwind.example")
    assert set(message.keys()) == HEADERS.keys() | {"Reply-To", "Content-Type"}
    assert [address.addr_spec for address in message["To"].addresses] == ["alice@example.com"]
    assert [address.addr_spec for address in message["Reply-To"].addresses] == ["jobs@northwind.example"]
    assert text_of(message).startswith("Hello")


@pytest.mark.parametrize(
    "name",
    [
        *(f"x{line_break}Bcc: eve@evil.example" for line_break in ("\r\n", "\n\n", "\x85", "\u2028")),
        "=?utf-8?q?x=0D=0ABcc:_eve@evil.example?=",
        "=?utf-8?b?eA0KQmNjOiBldmVAZXZpbC5leGFtcGxl?=",
        "==??utf-8?q?x=0D=0ABcc:_eve@evil.example?=",
        'x" <eve@evil.example>, "y',
        "Żółć, <eve@evil.example>, " * 9,
        "group: eve@evil.example;",
        "\ud800\x00\x7f\u202egro.live",
        "x" * 255,
        "山" * 255,
    ],
)
def test_a_name_cannot_add_a_header_or_a_recipient(name):
    assert_no_injection(candidate_name=name, org_name=name, assessment_title=name)


@settings(max_examples=20)
@given(name=st.text(max_size=255), other=st.text(alphabet='=?qb"\\<>@,:;()\r\n x0DAé_', max_size=60))
def test_generated_names_cannot_add_a_header_or_a_recipient(name, other):
    assert_no_injection(candidate_name=name + other, org_name=other, assessment_title=other + name)


def test_non_ascii_addresses_keep_the_local_part_and_encode_the_domain():
    assert received(to_address="alice@bücher.example")["To"].addresses[0].domain == "xn--bcher-kva.example"
    message = compose(replace(INVITATION, to_address="jürgen@bücher.example"), SENDER, NOW)
    assert b"<j\xc3\xbcrgen@xn--bcher-kva.example>" in message.as_bytes()


@pytest.mark.parametrize(
    ("address", "recipient"),
    [
        ('"alice"@example.com', "alice@example.com"),
        (r'"al\ice"@example.com', "alice@example.com"),
        ('"al(ice"@example.com', '"al(ice"@example.com'),
    ],
)
def test_a_quoted_local_part_is_not_quoted_twice(address, recipient):
    assert received(to_address=address)["To"].addresses[0].addr_spec == recipient


@pytest.mark.parametrize(
    "address",
    [
        "=?utf-8?q?=0D=0ABcc=3A=20eve=40evil.example?=@example.com",
        "alice@example.com\r\nBcc: eve@evil.example",
        *("alice@example.com\x00", "alice", "@example.com", "alice@é..example", ""),
        *("alice@evil\uff20example.com", r'"=\?utf-8?q?=0D=0A?="@example.com', '""@example.com'),
    ],
)
def test_an_invalid_address_is_a_permanent_failure(address):
    with pytest.raises(PermanentFailure):
        received(to_address=address)


@pytest.mark.parametrize("sender", [SENDER, "no-reply@proofstone.example"])
def test_a_senders_name_is_optional(sender):
    assert str(parse_sender(sender)) == sender


@pytest.mark.parametrize(
    "text",
    ["", "Proofstone", "Acme, Inc. <a@b.example>", "a@b.example, c@d.example", "a@b\r\nBcc: c@d", "é@b.c"],
)
def test_an_invalid_sender_is_rejected_with_an_example(text):
    with pytest.raises(ValueError, match=r"^one address such as"):
        parse_sender(text)
