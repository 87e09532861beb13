"""Keys and tokens never stand in a log, however talkative it is and however wrong the request."""

import json
from contextlib import closing, contextmanager

import pytest

from tests.hostile.sockets import HOST, JSON_TYPE, chunked
from tests.live.service import wait_until


def posted(path, headers, body):
    return b"POST %s HTTP/1.1\r\n%s%sContent-Length: %d\r\n\r\n%s" % (
        path,
        headers,
        JSON_TYPE,
        len(body),
        body,
    )


def requests_with_secrets(line):
    """Requests, right and wrong, that carry the key or the token wherever a client may put it."""
    key, token = line.key.encode(), line.token.encode()
    consent = b"/v1/candidate/consent?key=" + key
    get = [
        b"/v1/me?token=" + token, consent, consent + b"&q=%00", consent + b"%00", consent + b"\xff",
        b"/v1/nowhere?key=" + key,
        b"/v1//candidate/consent?key=" + key, b"http://localhost" + consent, b"/start?key=" + key,
        b"/replay/%s?key=%s" % (line.session_id.encode(), key), b"/replay/" + key, b"/v1/sessions/" + key,
        b"/v1/assessments/" + token,
    ]  # fmt: skip
    wrong = {
        "key": line.key,
        "sessionId": line.token,
        "signingPubKey": line.token,
        "disclosureHash": line.token,
    }
    bodies = [
        json.dumps(wrong).encode(),
        json.dumps(wrong).encode()[:-1],
        b'{"key": "%s", "key": "%s"}' % (key, token),
    ]
    calls = (
        b"/v1/candidate/consent",
        b"/v1/candidate/redeem",
        b"/v1/candidate/complete",
        b"/v1/hooks/ingest",
    )
    return [
        *[
            b"GET %s HTTP/1.1\r\n" % target + headers + b"\r\n"
            for target in get
            for headers in (line.reviewer, line.candidate)
        ],
        *[posted(path, line.candidate, body) for path in calls for body in bodies],
        posted(b"/v1/org/tokens", line.reviewer, b'{"name": "%s", "scopes": ["%s"]}' % (token, key)),
        posted(b"/v1/hooks/ingest", line.candidate, line.event()),
        line.ingest(b"Transfer-Encoding: chunked\r\n", chunked(line.event())[:-4]),
        line.ingest(b"Content-Length: 1000\r\n", key + token),
        b"GET %s HTTP/9.9\r\n\r\n" % consent,
        b"GET %s\r\n\r\n" % consent,
        b"<%s> / HTTP/1.1\r\n\r\n" % key,
        b"GET /%s?%s HTTP/1.1\r\n" % (b"x" * 10_000, key) + line.reviewer + b"\r\n",
        b"GET /v1/me HTTP/1.1\r\nAuthorization : Bearer %s\r\n\r\n" % token,
        b"GET /v1/me HTTP/1.1\r\nX-API-Key: %s\x00\r\n\r\n" % key,
        b"GET /v1/me HTTP/1.1\r\nReferer: http://x/?key=%s\r\nUser-Agent: %s\r\n\r\n" % (key, token),
        b"GET /v1/me HTTP/1.1\r\nAuthorization: Bearer %s\r\n%s\r\n\r\n" % (token, key),
        b"GET /v1/me HTTP/1.1\r\n" + HOST + b"Authorization: Bearer %s, %s\r\n\r\n" % (token, key),
    ]


def assert_no_secret_is_logged(service, line):
    text = service.log()
    shown = [found for found in text.splitlines() if line.key in found or line.token in found]
    assert shown == []
    assert "/v1/candidate/consent" in text  # The log was talking.


def test_no_key_and_no_token_is_logged(service, line):
    for request in requests_with_secrets(line):
        line.send(request)
    assert_no_secret_is_logged(service, line)


def test_every_answer_has_a_line_and_every_line_is_json(service, line):
    answers = [answer for request in requests_with_secrets(line) for answer in line.send(request)]
    names = {answer.headers["x-request-id"] for answer in answers if answer.status >= 200}
    assert len(names) == len([answer for answer in answers if answer.status >= 200])

    def waiting():
        return names - {json.loads(text).get("request") for text in service.log().splitlines()}

    wait_until(lambda: not waiting(), "Some answers have no line.")


@pytest.mark.parametrize("table", ["candidate_keys", "reviewers", "events", "consents"])
def test_no_key_and_no_token_is_logged_when_the_database_is_broken(service, line, table):
    with without(service, table):
        found = [line.send(request) for request in requests_with_secrets(line)]
    assert any(answer.status >= 500 for answers in found for answer in answers)
    assert_no_secret_is_logged(service, line)


@contextmanager
def without(service, table):
    rename(service, table, "gone")
    try:
        yield
    finally:
        rename(service, "gone", table)


def rename(service, old, new):
    with closing(service.connect()) as connection, connection:
        cursor = connection.cursor()
        if not service.is_postgres:
            # Or SQLite would rename what refers to the table, too.
            cursor.execute("PRAGMA legacy_alter_table = ON")
        cursor.execute(f"ALTER TABLE {old} RENAME TO {new}")
