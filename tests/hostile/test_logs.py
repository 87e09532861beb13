"""Keys and tokens never appear in the log, even at its most verbose."""

import json
from contextlib import closing

import pytest

from tests.hostile.sockets import HOST, JSON_TYPE, chunked, with_length
from tests.live.service import wait_until


def requests_with_secrets(raw):
    """Build valid and invalid requests with the key or token in every possible position."""
    key, token = raw.key.encode(), raw.token.encode()
    consent = b"/v1/candidate/consent?key=" + key
    urls = [
        b"/v1/me?token=" + token, consent, consent + b"&q=%00", consent + b"%00", consent + b"\xff",
        b"/v1/nowhere?key=" + key, b"/v1//candidate/consent?key=" + key, b"http://localhost" + consent,
        b"/start?key=" + key, b"/replay/%s?key=%s" % (raw.session_id.encode(), key), b"/replay/" + key,
        b"/v1/sessions/" + key, b"/v1/assessments/" + token,
    ]  # fmt: skip
    fields = {"sessionId": raw.token, "signingPubKey": raw.token, "disclosureHash": raw.token}
    body = json.dumps(fields | {"key": raw.key}).encode()
    bodies = [body, body[:-1], b'{"key": "%s", "key": "%s"}' % (key, token)]
    paths = (b"candidate/consent", b"candidate/redeem", b"candidate/complete", b"hooks/ingest")
    me = b"GET /v1/me HTTP/1.1\r\n"
    return [
        *[
            b"GET %s HTTP/1.1\r\n%s\r\n" % (url, caller)
            for url in urls
            for caller in (raw.reviewer, raw.candidate)
        ],
        *[post(b"/v1/" + path, raw.candidate, body) for path in paths for body in bodies],
        post(b"/v1/org/tokens", raw.reviewer, b'{"name": "%s", "scopes": ["%s"]}' % (token, key)),
        post(b"/v1/hooks/ingest", raw.candidate, raw.event()),
        raw.ingest(b"Transfer-Encoding: chunked\r\n", chunked(raw.event())[:-4]),
        raw.ingest(b"Content-Length: 1000\r\n", key + token),
        b"GET %s HTTP/9.9\r\n\r\n" % consent,
        b"GET %s\r\n\r\n" % consent,
        b"<%s> / HTTP/1.1\r\n\r\n" % key,
        b"GET /%s?%s HTTP/1.1\r\n%s\r\n" % (b"x" * 10_000, key, raw.reviewer),
        me + b"Authorization : Bearer %s\r\n\r\n" % token,
        me + b"X-API-Key: %s\x00\r\n\r\n" % key,
        me + b"Referer: http://x/?key=%s\r\nUser-Agent: %s\r\n\r\n" % (key, token),
        me + b"Authorization: Bearer %s\r\n%s\r\n\r\n" % (token, key),
        me + HOST + b"Authorization: Bearer %s, %s\r\n\r\n" % (token, key),
    ]


def post(path, headers, body):
    return with_length(b"POST %s HTTP/1.1\r\n" % path + headers + JSON_TYPE, body)


def assert_no_secret_is_logged(service, raw):
    text = service.log()
    assert [line for line in text.splitlines() if raw.key in line or raw.token in line] == []
    assert "/v1/candidate/consent" in text  # The requests were logged.


def test_every_response_is_logged_as_json_without_secrets(service, raw):
    responses = [response for request in requests_with_secrets(raw) for response in raw.send(request)]
    ids = [response.headers["x-request-id"] for response in responses if response.status >= 200]
    assert len(set(ids)) == len(ids)

    def missing():
        return set(ids) - {json.loads(line).get("request") for line in service.log().splitlines()}

    wait_until(lambda: not missing(), "Some responses were not logged.")
    assert_no_secret_is_logged(service, raw)


@pytest.mark.parametrize("table", ["candidate_keys", "api_tokens", "events", "consents"])
def test_database_errors_are_logged_without_secrets(service, raw, table):
    rename(service, table, "renamed")
    try:
        responses = [response for request in requests_with_secrets(raw) for response in raw.send(request)]
    finally:
        rename(service, "renamed", table)
    assert any(response.status >= 500 for response in responses)
    assert_no_secret_is_logged(service, raw)


def rename(service, old, new):
    with closing(service.connect()) as connection, connection:
        cursor = connection.cursor()
        if not service.is_postgres:
            # Otherwise SQLite also renames references to the table.
            cursor.execute("PRAGMA legacy_alter_table = ON")
        cursor.execute(f"ALTER TABLE {old} RENAME TO {new}")
