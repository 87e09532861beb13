"""Duplicate, reordered, changed, unsigned and odd webhooks: one order and one email, and nothing is lost."""

import uuid
from datetime import timedelta

import pytest

from tests.integrations.stand_in import as_json
from tests.integrations.story import SERVERS, check_done_once, in_process

ADA, BOB = "ada@example.com", "bob@example.com"

# The database's part is small.
pytestmark = [pytest.mark.slow, pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)]


@pytest.fixture(params=SERVERS)
def story(request, app_with, clock, tmp_path, organization):
    """A story with a rule."""
    with in_process(app_with, clock, tmp_path, organization, request.param) as story:
        yield story.set_up()


def test_duplicates_are_one_order(story):
    application = story.apply(ADA)
    for _ in range(5):
        story.hint(application)
    story.key_for(ADA)
    for _ in range(5):
        story.hint(application)
    check_done_once(story, application, notes=0)


def test_a_body_decides_nothing(story):
    """A correctly signed body with another address, name and stage only names the application."""
    application = story.apply(ADA)
    emails = [{"value": BOB, "type": "personal"}]
    fields = {"email_addresses": emails, "first_name": "Mallory"}
    if story.account.system == "ashby":
        fields = {
            "primaryEmailAddress": {"value": BOB, "type": "Personal", "isPrimary": True},
            "name": "Mallory",
        }
    assert story.account.send_once(*story.account.stage_change(application, **fields)) == 200
    story.key_for(ADA)
    assert story.place.emails(BOB) == []
    elsewhere = story.apply(BOB)
    story.account.set_stage(elsewhere, story.other_stage)
    assert story.account.send_once(*story.account.stage_change(elsewhere, story.stage)) == 200
    story.wait_for(elsewhere, "skipped")
    assert story.place.emails(BOB) == []


def test_reordered_and_late_hints_follow_the_current_stage(story):
    application = story.apply(ADA)
    into, out = (story.account.stage_change(application, stage) for stage in (story.stage, story.other_stage))
    story.account.set_stage(application, story.other_stage)
    for body, headers in (out, into):  # the later change arrives first
        assert story.account.send_once(body, headers) == 200
    story.wait_for(application, "skipped")
    story.account.set_stage(application, story.stage)
    assert story.account.send_once(*into) == 200
    story.wait_for(application, "invited")
    story.place.advance(timedelta(hours=15))
    for body, headers in (out, into, out):
        assert story.account.send_once(body, headers) == 200
    check_done_once(story, application, notes=0)


def test_only_valid_signatures_are_accepted(story):
    application = story.apply(ADA)
    account = story.account
    body, headers = account.stage_change(application)
    name = "Signature" if account.system == "greenhouse" else "Ashby-Signature"
    valid = headers.pop(name)
    digest = account.sign(body)
    separator = valid[len("sha256")]
    other = account.sign(body + b" ")
    secret, account.secret = account.secret, "other"
    wrong_key = account.sign(body)
    account.secret = secret
    invalid = [
        *(
            "",
            digest,
            "sha256",
            f"sha256{separator}",
            f"sha1{separator}{digest}",
            f"sha256{separator}{other}",
        ),
        *(f"sha256{separator}{wrong_key}", valid[:-1], valid + "0", f"sha256{separator}{digest}, {valid}"),
        *("sha256\u00e9" + digest, f"sha256{separator}\u00e9{digest[1:]}", f"none{separator}{digest}"),
    ]
    for signature in [None, *invalid]:
        answer = story.receive(body, headers | ({} if signature is None else {name: signature}))
        assert answer.error == (403, "invalid_signature"), signature
    # A changed body with the signature of the delivered one
    changed = body.replace(application.encode(), b"9" * len(application))
    assert story.receive(changed, headers | {name: valid}).error == (403, "invalid_signature")
    # The same JSON, written differently
    unescaped = body.replace(b"\\u003c", b"<").replace(b"\\u0026", b"&")
    assert unescaped != body
    assert story.receive(unescaped, headers | {name: valid}).status == 403
    story.settle()
    assert story.orders() == []
    assert story.receive(body, headers | {name: valid}).json == {"ok": True}


def test_both_secrets_count_for_a_day_after_a_rotation(story):
    former = story.account.secret
    rotated = story.api("POST", f"{story.path}/rotate-secret")
    assert rotated["secret"] != former
    assert story.account.ping() == [200]
    story.use_secret(rotated["secret"])
    assert story.account.ping() == [200]
    story.place.advance(timedelta(hours=25))
    assert story.account.ping() == [200]
    story.account.secret = former
    assert story.account.ping() == [403]


def test_unknown_and_deleted_integrations_are_not_found(story):
    body, headers = story.account.stage_change(story.apply(ADA))
    known = story.integration
    story.integration = known | {"eventsUrl": f"http://x/v1/integrations/{uuid.uuid4()}/events"}
    assert story.receive(body, headers).status == 404
    story.integration = known
    assert story.send("DELETE", story.path).status < 300
    assert story.receive(body, headers).status == 404


def test_odd_bodies_are_answered_and_store_nothing(story):
    account = story.account
    template = {"greenhouse": {"payload": None}, "ashby": {"data": None}}[account.system]
    (field,) = template
    action = {"greenhouse": "candidate_stage_change", "ashby": "candidateStageChange"}[account.system]
    ids = [None, True, -1, 1.5, 10**30, "", "x" * 5000, [], {}, "\x00", "\ud800", "' OR 1=1"]
    applications = [{"application": {"id": id, "current_stage": {"id": id}, "currentInterviewStage": {"id": id}}}
                    for id in ids]  # fmt: skip
    payloads = [None, [], "text", {}, {"application": None}, {"application": []}, *applications]
    actions = ["", "unknown", None, 5, ["candidateStageChange"], "applicationSubmit", "hire_candidate"]
    bodies = [{"action": action, field: payload} for payload in payloads]
    bodies += [{"action": other, field: {"application": {"id": 1}}} for other in actions] + [{}, [], None, 5]
    name, prefix = {"greenhouse": ("Signature", "sha256 "), "ashby": ("Ashby-Signature", "sha256=")}[
        account.system
    ]

    def status_of(body):
        signature = {name: prefix + account.sign(body), "Content-Type": "application/json"}
        return story.receive(body, signature).status

    assert {status_of(as_json(body)) for body in bodies} == {200}
    for body in (b"", b"{", b"\xff\xfe", b"[" * 100_000, b'{"action": "ping", "action": "ping"}'):
        assert status_of(body) in (200, 400)
    assert status_of(b'{"action": "ping", "x": "%s"}' % (b"x" * 2**20)) in (400, 413)
    story.settle()
    assert story.orders() == []
