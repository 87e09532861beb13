"""The stand-ins accept what the contract says, and notice what it does not say."""

import base64
import json
import urllib.error
import urllib.request

import pytest

from tests.integrations.ashby_server import AshbyServer
from tests.integrations.greenhouse_server import GreenhouseServer
from tests.integrations.slack_server import SlackServer
from tests.integrations.stand_in import FORM, JSON, RateLimit, serving
from tests.integrations.story import reference

AGENT = {"User-Agent": "Proofstone/1"}
ASHBY = {"Accept": "application/json; version=1", "Content-Type": JSON} | AGENT


def call(server, method, path, body=None, **headers):
    """Send a request; return the status, the JSON or text, and the headers."""
    content = json.dumps(body).encode() if isinstance(body, dict) else body
    headers = AGENT | {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(server.origin + path, content, headers, method=method)
    try:
        response = urllib.request.urlopen(request, timeout=10)
    except urllib.error.HTTPError as error:
        response = error
    with response:
        text = response.read().decode()
        is_json = response.headers["Content-Type"] == JSON and text
        return response.status, json.loads(text) if is_json else text, response.headers


def basic(user, password=""):
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.fixture
def greenhouse():
    with serving(GreenhouseServer()) as (server,):
        yield server


@pytest.fixture
def ashby():
    with serving(AshbyServer()) as (server,):
        yield server


@pytest.fixture
def slack():
    clock = iter(range(1000))
    with serving(SlackServer(lambda: next(clock))) as (server,):
        yield server


def token_of(server, account):
    form = b"grant_type=client_credentials&sub=4711"
    credential = basic(account.client_id, account.client_secret)
    answer = call(server, "POST", "/token", form, Content_Type=FORM, Authorization=credential)
    return answer[1]["access_token"]


def test_greenhouse_lists_pages_by_cursor_and_stores_notes(greenhouse):
    account = greenhouse.add_account(page_size=2)
    job = account.add_job("Backend")
    stages = [account.add_stage(f"Stage {number}", job) for number in range(3)]
    application = account.apply(job, stages[0], "ada@example.com")
    bearer = {"Authorization": f"Bearer {token_of(greenhouse, account)}"}
    path = f"/v3/job_interview_stages?job_ids={job}"
    _, first, headers = call(greenhouse, "GET", path, **bearer)
    next_path = headers["Link"].split(">")[0].removeprefix(f"<https://{greenhouse.HOSTS[0]}")
    _, second, headers = call(greenhouse, "GET", next_path, **bearer)
    assert [row["name"] for row in first + second] == ["Stage 0", "Stage 1", "Stage 2"]
    assert headers["Link"] is None
    (row,) = call(greenhouse, "GET", f"/v3/applications?ids={application}", **bearer)[1]
    note = {"candidate_id": row["candidate_id"], "body": "Done.\nRef 3f09ac-1", "note_type": "NOTE"}
    note |= {"visibility": "public", "application_id": int(application)}
    assert call(greenhouse, "POST", "/v3/notes", note, Content_Type=JSON, **bearer)[0] == 201
    listed = call(greenhouse, "GET", f"/v3/notes?candidate_ids={row['candidate_id']}", **bearer)[1]
    assert [(entry["body"], entry["type"]) for entry in listed] == [(note["body"], "NOTE")]
    assert reference(account.notes_of(application)[0]) == ("3f09ac", 1)


@pytest.mark.parametrize(
    ("method", "path", "body", "violation"),
    [
        ("GET", "/v1/applications", None, "No such operation"),
        ("GET", "/v3/applications?cursor=abc", None, "not from a Link header"),
        ("GET", "/v3/applications?candidate=1", None, "['candidate'] are unknown"),
        ("GET", "/v3/jobs?per_page=501", None, "per_page is 501"),
        ("POST", "/v3/notes", {"candidate_id": "1", "body": "<b>A</b>"}, "has HTML"),
        ("POST", "/v3/notes", {"candidate_id": 1, "message": "A"}, "['message'] are unknown"),
    ],
)
def test_greenhouse_notices_a_request_that_differs(greenhouse, method, path, body, violation):
    bearer = {"Authorization": f"Bearer {token_of(greenhouse, greenhouse.add_account())}"}
    call(greenhouse, method, path, body, **bearer | ({"Content_Type": JSON} if body else {}))
    assert violation in " ".join(greenhouse.violations)
    greenhouse.violations.clear()


def test_greenhouse_rejects_an_invalid_credential_and_an_expired_token(greenhouse):
    account = greenhouse.add_account(wrong_credential=400)
    form, credential = b"grant_type=client_credentials&sub=4711", basic(account.client_id, "other")
    assert call(greenhouse, "POST", "/token", form, Content_Type=FORM, Authorization=credential)[0] == 400
    token = token_of(greenhouse, account)
    account.tokens[token] = 0
    assert call(greenhouse, "GET", "/v3/jobs", Authorization=f"Bearer {token}")[0] == 401


def test_ashby_answers_200_to_failures(ashby):
    account = ashby.add_account()
    job = account.add_job("Backend")
    stage = account.add_stage("Take-home", job)
    application = account.apply(job, stage, "ada@example.com")
    headers = {"Authorization": basic(account.key)} | ASHBY
    _, found, _ = call(ashby, "POST", "/application.info", {"applicationId": application}, **headers)
    assert found["results"]["currentInterviewStage"]["title"] == "Take-home"
    note = {"candidateId": found["results"]["candidate"]["id"], "note": "Done.", "sendNotifications": False}
    assert call(ashby, "POST", "/candidate.createNote", note, **headers)[1]["success"]
    assert account.notes_of(application) == ["Done."]
    missing = call(ashby, "POST", "/application.info", {"applicationId": job}, **headers)
    assert missing[:2] == (200, {"success": False, "errors": ["application_not_found"]})
    assert call(ashby, "POST", "/job.list", {}, **headers | {"Authorization": basic("other")})[0] == 403
    account.permissions.clear()
    assert call(ashby, "POST", "/job.list", {}, **headers)[1]["errors"] == ["missing_endpoint_permission"]


@pytest.mark.parametrize(
    ("path", "body", "headers", "violation"),
    [
        ("/job.create", {}, {}, "No such operation"),
        ("/job.list", {}, {"Accept": "*/*"}, "Accept is '*/*'"),
        ("/job.list", {}, {"User-Agent": "python-requests/2"}, "User-Agent is 'python-requests/2'"),
        ("/job.list", {}, {"Authorization": basic("key", "password")}, "has a password"),
        ("/candidate.createNote", {"candidateId": "1", "note": "A"}, {}, "['sendNotifications'] are missing"),
        ("/interviewStage.list", {}, {}, "['interviewPlanId'] are missing"),
    ],
)
def test_ashby_notices_a_request_that_differs(ashby, path, body, headers, violation):
    account = ashby.add_account()
    call(ashby, "POST", path, body, **{"Authorization": basic(account.key)} | ASHBY | headers)
    assert violation in " ".join(ashby.violations)
    ashby.violations.clear()


@pytest.mark.parametrize(
    ("message", "violation"),
    [
        ({"text": "Received: C &amp; D, <https://example.com|open>"}, None),
        ({"text": "Received: C & D"}, "not escaped"),
        ({"text": "<!channel> Received"}, "can mention"),
        ({"text": "Received", "channel": "#jobs"}, "['channel'] are unknown"),
        ({"text": "Received", "blocks": [{"type": "section"}] * 51}, "51 blocks"),
    ],
)
def test_slack_notices_a_message_that_differs(slack, message, violation):
    url = slack.add_channel()
    path = url.removeprefix("https://hooks.slack.com")
    assert call(slack, "POST", path, message, Content_Type=JSON)[:2] == (200, "ok")
    assert slack.messages(url) == [message]
    assert (violation in " ".join(slack.violations)) if violation else slack.violations == []
    slack.violations.clear()


def test_slack_counts_messages_by_the_second(slack):
    url = slack.add_channel()
    slack.now = lambda: 5.5
    for _ in range(2):
        call(slack, "POST", url.removeprefix("https://hooks.slack.com"), {"text": "A"}, Content_Type=JSON)
    assert slack.violations == ["Two messages in 0.00 seconds."]
    slack.violations.clear()
    assert call(slack, "POST", "/services/T1/B1/none", {"text": "A"}, Content_Type=JSON)[:2] == (
        404,
        "no_service",
    )


def test_a_fault_replaces_the_response_before_or_after_the_write(ashby):
    account = ashby.add_account()
    job = account.add_job("Backend")
    application = account.apply(job, account.add_stage("Take-home", job))
    candidate = account.candidate_of(application)["id"]
    note = {"candidateId": candidate, "note": "Done.", "sendNotifications": False}
    headers = {"Authorization": basic(account.key)} | ASHBY
    ashby.misbehave("candidate.createNote", status=503)
    ashby.misbehave("candidate.createNote", status=502, after_write=True)
    ashby.misbehave("candidate.createNote", hangs_up=True, after_write=True)
    create = ("POST", "/candidate.createNote", note)
    assert (call(ashby, *create, **headers)[0], len(account.notes)) == (503, 0)
    assert (call(ashby, *create, **headers)[0], len(account.notes)) == (502, 1)
    with pytest.raises(OSError, match="closed"):
        call(ashby, *create, **headers)
    assert len(account.notes) == 2
    assert call(ashby, *create, **headers)[0] == 200


@pytest.mark.parametrize(("server", "expected"), [(GreenhouseServer, [500, 200]), (AshbyServer, [500, 204])])
def test_webhooks_are_signed_as_sent_and_retried(server, expected):
    with serving(server()) as (running,):
        account = running.add_account()
        job = account.add_job("Backend <Engineer> & more")
        stage = account.add_stage("Take-home", job)
        application = account.apply(job, stage, "ada@example.com")
        received, statuses = [], [500, 204, 200]

        def post(body, headers):
            received.append((body, headers))
            return statuses.pop(0) if len(statuses) > 1 else 200

        account.secret, account.post = "secret", post
        body, headers = account.stage_change(application)
        if server is GreenhouseServer:
            statuses.remove(204)  # it accepts only 200
        assert account.send(body, headers) == expected
        assert {sent for sent, _ in received} == {body}
        assert b"\\u003c" in body
        assert b"<" not in body
        signature = headers.get("Signature") or headers["Ashby-Signature"]
        assert signature.replace("=", " ") == f"sha256 {account.sign(body)}"
        account.post = lambda *_: 404
        assert account.send(body, headers) == ([404] * 7 if server is GreenhouseServer else [404])


def test_a_rate_limit_counts_a_sliding_window():
    limit = RateLimit(2, 10)
    assert [limit.admits(second) for second in (0, 5, 9, 10, 11)] == [True, True, False, True, False]
    assert (limit.rejected, limit.total) == (2, 3)
