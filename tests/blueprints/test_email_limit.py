"""The limit on emails per address and assessment (docs/invitations.md)."""

from datetime import timedelta

import pytest
from factories import make_assessment
from response_checks import error_of

from models import CandidateKey, Delivery, invitations
from models.deliveries import outcomes
from models.deliveries.limit import SUPPRESSED
from models.invitations import UNDO_PERIOD

ALICE = "alice@example.com"
pytestmark = pytest.mark.usefixtures("clock")  # the day must not end during a test


def generate_keys(reviewer, assessment, *addresses, **fields):
    body = {"count": len(addresses), "candidateEmails": addresses} | fields
    return reviewer.post(f"/v1/assessments/{assessment.id}/keys", body).json["keys"]


def states(keys):
    return [key["invite"]["state"] for key in keys]


def resend(reviewer, key):
    return reviewer.post(f"/v1/candidates/{key['id']}/invite")


@pytest.fixture
def count_emails(worker, tmp_path):
    return lambda: len(list(tmp_path.rglob("*.eml")))


def test_an_address_receives_at_most_five_messages_per_assessment_and_day(
    clock, reviewer, organization, assessment, worker, count_emails
):
    (key,) = generate_keys(reviewer, assessment, ALICE)
    worker.run_once()
    for _ in range(4):
        assert resend(reviewer, key).status_code == 200
        clock.fixed += UNDO_PERIOD
        worker.run_once()
    clock.fixed += timedelta(hours=1)
    response = resend(reviewer, key)
    assert error_of(response) == (429, "email_limit")
    wait = int(response.headers["Retry-After"])
    assert 23 * 3600 <= wait <= 24 * 3600
    (other,) = generate_keys(reviewer, make_assessment(organization), ALICE)
    assert states([other]) == ["queued"]
    worker.run_once()
    assert count_emails() == 6
    clock.fixed += timedelta(seconds=wait - 1)
    assert error_of(resend(reviewer, key)) == (429, "email_limit")
    clock.fixed += timedelta(seconds=1)
    assert resend(reviewer, key).status_code == 200


def test_invitations_over_the_limit_are_suppressed(reviewer, assessment, worker, count_emails):
    keys = generate_keys(reviewer, assessment, *[ALICE, "ALICE@example.com"] * 3, "bob@example.com")
    assert states(keys) == [*["queued"] * 5, "suppressed", "queued"]
    assert keys[5]["invite"]["lastError"] == SUPPRESSED
    rows = reviewer.get(f"/v1/assessments/{assessment.id}/keys").json["keys"]
    assert [key["invite"] for key in rows] == [key["invite"] for key in keys]
    worker.run_once()
    assert count_emails() == 6
    assert states(generate_keys(reviewer, assessment, "Alice@Example.com")) == ["suppressed"]
    suppressed = reviewer.get("/v1/deliveries", state="suppressed").json
    assert suppressed["total"] == 2
    retry = f"/v1/deliveries/{suppressed['deliveries'][0]['id']}/retry"
    assert error_of(reviewer.post(retry)) == (409, "not_failed")


def test_a_canceled_email_does_not_suppress_the_invitation_again(clock, reviewer, assessment):
    *others, key = generate_keys(reviewer, assessment, *[ALICE] * 6)
    for other in others:
        reviewer.delete(f"/v1/assessments/{assessment.id}/keys/{other['id']}")
    clock.fixed += timedelta(days=1)
    assert resend(reviewer, key).status_code == 200
    (newest, *_) = reviewer.get(f"/v1/candidates/{key['id']}/deliveries").json["deliveries"]
    assert reviewer.delete(f"/v1/deliveries/{newest['id']}").status_code == 200
    assert reviewer.get(f"/v1/candidates/{key['id']}").json["candidate"]["invite"]["state"] == "canceled"


@pytest.mark.parametrize(
    ("address", "spellings"),
    [
        (ALICE, ["\uff41lice@example.com", '"alice"@example.com', r'"al\ice"@example.com']),
        (ALICE, ["alice@\uff45xample.com", "alice@EX\uff21mple.com", "alice@example.com\u3002"]),
        (
            "alice@m\u00fcnchen.de",
            ["alice@mu\u0308nchen.de", "alice@xn--mnchen-3ya.de", "alice@XN--Mnchen-3YA.de"],
        ),
    ],
)
def test_every_spelling_of_an_address_counts(reviewer, assessment, address, spellings):
    keys = generate_keys(reviewer, assessment, address, *spellings * 4)
    assert states(keys)[:5] == ["queued"] * 5
    assert set(states(keys)[5:]) == {"suppressed"}
    for key in keys[5:]:
        assert error_of(resend(reviewer, key)) == (429, "email_limit")


def test_a_new_spelling_of_the_address_keeps_its_queued_messages(reviewer, assessment):
    keys = generate_keys(reviewer, assessment, *[ALICE] * 5)
    path = f"/v1/candidates/{keys[4]['id']}"
    assert reviewer.patch(path, {"candidateEmail": "alice@\uff45xample.com"}).status_code == 200
    rows = reviewer.get(f"/v1/assessments/{assessment.id}/keys").json["keys"]
    assert states(rows) == ["queued"] * 5


@pytest.mark.parametrize("on_duplicate", ["return", "reject"])
def test_the_limit_applies_to_every_on_duplicate_policy(reviewer, assessment, on_duplicate):
    generate_keys(reviewer, assessment, *[ALICE] * 5)
    CandidateKey.update(revoked_at=CandidateKey.created_at).execute()
    assert states(generate_keys(reviewer, assessment, ALICE, onDuplicate=on_duplicate)) == ["suppressed"]


def test_canceled_messages_count_if_a_worker_could_have_sent_them(clock, reviewer, assessment):
    (key,) = generate_keys(reviewer, assessment, ALICE)
    # Each invitation cancels the previous one.
    for _ in range(10):
        assert resend(reviewer, key).status_code == 200
    for _ in range(5):
        clock.fixed += UNDO_PERIOD
        assert Delivery.claim() is not None
        response = resend(reviewer, key)
    assert error_of(response) == (429, "email_limit")


def test_moving_an_address_between_keys_does_not_raise_the_limit(reviewer, assessment, worker, count_emails):
    keys = generate_keys(reviewer, assessment, *(f"candidate{number}@example.com" for number in range(8)))
    for key in keys:
        response = reviewer.patch(f"/v1/candidates/{key['id']}", {"candidateEmail": ALICE})
        assert response.status_code == 200
    worker.run_once()
    assert count_emails() == 5
    for key in keys:
        reviewer.patch(f"/v1/candidates/{key['id']}", {"candidateEmail": "other@example.com"})
    assert states(generate_keys(reviewer, assessment, ALICE)) == ["suppressed"]


def test_retries_count_for_the_new_address(reviewer, assessment):
    keys = generate_keys(reviewer, assessment, *(f"candidate{number}@example.com" for number in range(6)))
    statuses, messages = [], [Delivery.claim() for _ in keys]
    for key, message in zip(keys, messages, strict=True):
        outcomes.fail(message, "550 5.1.1 No such user")
        reviewer.patch(f"/v1/candidates/{key['id']}", {"candidateEmail": ALICE})
        statuses.append(reviewer.post(f"/v1/deliveries/{message.id}/retry").status_code)
    assert statuses == [200] * 5 + [429]


def test_reminders_count_toward_the_limit_and_are_suppressed(
    clock, reviewer, organization, worker, count_emails
):
    assessment = make_assessment(organization, expires_in_days=30, reminder_days_before=29)
    (key,) = generate_keys(reviewer, assessment, ALICE)
    worker.run_once()
    clock.fixed += timedelta(days=1, minutes=10)
    for _ in range(7):
        assert invitations.enqueue_reminders() == 1
        worker.run_once()
        reviewer.post(f"/v1/candidates/{key['id']}/extend", {"expiresAt": "2026-04-20T09:00:00Z"})
    assert count_emails() == 1 + 5
    assert error_of(resend(reviewer, key)) == (429, "email_limit")
