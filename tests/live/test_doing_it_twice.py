"""One create, sent again and again by several programs at once: it is done once, and everybody is mailed once."""

import json
import subprocess
import sys
from collections import Counter

import pytest

from tests.delivery.mail_server import HOST, Mailbox, smtp_server
from tests.live.cast import ASSESSMENT, list_keys, make_assessment
from tests.live.service import ROOT, wait_until

# Each is slow on both databases: eight programs have to start.
pytestmark = pytest.mark.slow

SENDERS, TIMES = 8, 50
ADDRESSES = [f"candidate{number}@example.com" for number in range(20)]
# Sends the request until it was answered as often as it is told, and says what was answered.
SENDER = """
import json, sys
from tests.live.client import Client
port, token, key, path, body, times = json.loads(sys.stdin.readline())
client = Client(port, Authorization=token, **{"Idempotency-Key": key})
print("ready", flush=True)
sys.stdin.readline()
for _ in range(times):
    answer = client.post(path, body)
    print(json.dumps([answer.status, answer.headers["Idempotent-Replayed"], answer.json]), flush=True)
"""


@pytest.fixture
def send(reviewer):
    """Send one request under one key from eight programs at the same moment, fifty times in all; the answers."""

    def send(path, body, key):
        senders = [_start(reviewer, path, body, key, times) for times in _shares()]
        for sender in senders:
            assert sender.stdout.readline() == "ready\n"
        for sender in senders:
            sender.stdin.write("go\n")
            sender.stdin.flush()
        answers = [
            json.loads(line) for sender in senders for line in sender.communicate(timeout=120)[0].splitlines()
        ]
        assert [sender.returncode for sender in senders] == [0] * SENDERS
        return answers

    return send


def _shares():
    """How often each one sends, so that it is fifty times together."""
    return [TIMES // SENDERS + (number < TIMES % SENDERS) for number in range(SENDERS)]


def _start(reviewer, path, body, key, times):
    command = [sys.executable, "-c", SENDER]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    sender = subprocess.Popen(command, cwd=ROOT, **pipes)
    told = [reviewer.port, reviewer.headers["Authorization"], key, path, body, times]
    sender.stdin.write(json.dumps(told) + "\n")
    sender.stdin.flush()
    return sender


def once(answers):
    """The one answer that all of them are, of which all but the first are replayed."""
    assert Counter(status for status, *_ in answers) == {201: TIMES}
    assert Counter(replayed for _, replayed, _ in answers) == {None: 1, "true": TIMES - 1}
    (answer,) = {json.dumps(body, sort_keys=True) for *_, body in answers}
    return json.loads(answer)


def test_an_assessment_is_made_once(service, reviewer, send):
    made = once(send("/v1/assessments", ASSESSMENT | {"title": "Sent by eight"}, "eight-programs"))[
        "assessment"
    ]
    titles = [(one["id"], one["title"]) for one in reviewer.get("/v1/assessments")["assessments"]]
    assert [each for each in titles if each[1] == "Sent by eight"] == [(made["id"], "Sent by eight")]
    assert audited(reviewer, made["id"]) == ["createAssessment"]


def test_keys_are_generated_once_and_everybody_gets_one_mail(service, reviewer, send):
    service.execute("DELETE FROM deliveries")
    assessment = make_assessment(reviewer)
    mailbox = Mailbox()
    body = {"count": len(ADDRESSES), "candidateEmails": ADDRESSES}
    with smtp_server(mailbox) as port, service.worker(SMTP_URL=f"smtp://{HOST}:{port}"):
        keys = once(send(f"/v1/assessments/{assessment['id']}/keys", body, "keys-by-eight"))["keys"]
        wait_until(lambda: not waiting(service), "Not every mail is sent.")
    assert Counter(envelope.rcpt_tos[0] for envelope in mailbox.envelopes) == dict.fromkeys(ADDRESSES, 1)
    assert [key["id"] for key in list_keys(reviewer, assessment)] == [key["id"] for key in keys]
    assert audited(reviewer, assessment["id"]) == ["issueKeys", "createAssessment"]


def waiting(service):
    return service.execute("SELECT id FROM deliveries WHERE state = 'queued'")


def audited(reviewer, subject_id):
    return [entry["action"] for entry in reviewer.get(f"/v1/audit?subjectId={subject_id}")["entries"]]
