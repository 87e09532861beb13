"""Malformed requests to the real service get one API error each, and other clients are still served."""

import random
from collections import Counter
from contextlib import ExitStack

import pytest

from tests.hostile.sockets import HOST, JSON_TYPE, check, chunked, parse_responses, receive_all, with_length

SEED = 20261101
LONG = b"x" * 100_000
MEBIBYTE = 1024 * 1024
CHUNKED = b"Transfer-Encoding: chunked\r\n"
HEALTH = b"GET /v1/health HTTP/1.1\r\n" + HOST
ANONYMOUS_INGEST = b"POST /v1/hooks/ingest HTTP/1.1\r\n" + HOST + JSON_TYPE

# Bytes, and the status of their only response.
MALFORMED = {
    "noise": (bytes(range(128, 256)) + b"\r\n\r\n", 400),
    "NULs": (b"\x00" * 100 + b"\r\n\r\n", 400),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + LONG[:500] + b"\r\n\r\n", 400),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    "HTTP/0.9": (b"GET /v1/health\r\n\r\n", 400),
    "HTTP/9.9": (b"GET /v1/health HTTP/9.9\r\n\r\n", 400),
    "no version number": (b"GET /v1/health HTTP/\r\n\r\n", 400),
    "no target": (b"GET  HTTP/1.1\r\n\r\n", 400),
    "two spaces": (b"GET  /v1/health HTTP/1.1\r\n\r\n", 400),
    "a method in brackets": (b"<GET> /v1/health HTTP/1.1\r\n\r\n", 400),
    "only line feeds": (b"GET /v1/health HTTP/1.1\nHost: localhost\n\n", 400),
    "a bare line feed in a header": (HEALTH + b"X: a\nY: b\r\n\r\n", 400),
    "a bare carriage return in a header": (HEALTH + b"X: a\rY: b\r\n\r\n", 400),
    "a NUL in a header": (HEALTH + b"X: a\x00b\r\n\r\n", 400),
    "a header without a colon": (HEALTH + b"nonsense\r\n\r\n", 400),
    "a header without a name": (HEALTH + b": x\r\n\r\n", 400),
    "a space before the colon": (HEALTH + b"X : y\r\n\r\n", 400),
    "a folded header": (HEALTH + b"X: a\r\n b\r\n\r\n", 400),
    "a long header": (HEALTH + b"X: " + LONG + b"\r\n\r\n", 431),
    "many headers": (HEALTH + b"X: y\r\n" * 1000 + b"\r\n", 431),
    "a long URL": (b"GET /" + LONG + b" HTTP/1.1\r\n\r\n", 414),
    "an unknown expectation": (HEALTH + b"Expect: a-miracle\r\n\r\n", 417),
    "an unknown transfer coding": (HEALTH + b"Transfer-Encoding: secret, chunked\r\n\r\n0\r\n\r\n", 400),
    "chunked twice": (HEALTH + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", 400),
    "length and chunks": (HEALTH + CHUNKED + b"Content-Length: 5\r\n\r\n0\r\n\r\n", 400),
    "two lengths": (HEALTH + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400),
    "a negative length": (HEALTH + b"Content-Length: -1\r\n\r\n", 400),
    "a length with a sign": (HEALTH + b"Content-Length: +1\r\n\r\na", 400),
    "a length in words": (HEALTH + b"Content-Length: five\r\n\r\n", 400),
    "a length of 5,000 digits": (HEALTH + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n", 400),
}  # fmt: skip

INVALID_CHUNKS = {
    "a size that is not hexadecimal": b"zz\r\n{}\r\n0\r\n\r\n",
    "a negative size": b"-2\r\n{}\r\n0\r\n\r\n",
    "a size with 0x": b"0x2\r\n{}\r\n0\r\n\r\n",
    "no size": b"\r\n{}\r\n0\r\n\r\n",
    "a size beyond 64 bits": b"FFFFFFFFFFFFFFFFFFFF\r\n{}",
    "a long size line": b"1" * 100_000 + b"\r\n{}\r\n",
    "a size that is too small": b"1\r\n{}\r\n0\r\n\r\n",
    "a size that is too large": b"5\r\n{}\r\n0\r\n\r\n",
    "only line feeds": b"2\n{}\n0\n\n",
    "a broken trailer": b"2\r\n{}\r\n0\r\nnonsense\r\n\r\n",
    "truncated": b"2\r\n{}\r\n",
    "nothing": b"",
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_requests_get_one_error(raw, name):
    sent, status = MALFORMED[name]
    assert raw.statuses(sent) == [status]


@pytest.mark.parametrize("name", INVALID_CHUNKS)
def test_invalid_chunks_get_one_error(raw, name):
    assert raw.statuses(raw.ingest(CHUNKED, INVALID_CHUNKS[name])) == [400]


@pytest.mark.parametrize("name", INVALID_CHUNKS)
def test_chunks_are_not_read_without_a_credential(raw, name):
    assert raw.statuses(ANONYMOUS_INGEST + CHUNKED + b"\r\n" + INVALID_CHUNKS[name]) == [401]


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_valid_chunks_are_accepted(raw, size):
    assert raw.statuses(raw.ingest(CHUNKED, chunked(raw.event(), size))) == [201]


def test_chunk_extensions_and_trailers_are_accepted(raw):
    event = raw.event()
    body = b"%x;name=value\r\n%s\r\n0\r\nX-Checksum: 1\r\n\r\n" % (len(event), event)
    assert raw.statuses(raw.ingest(CHUNKED, body)) == [201]


def test_the_size_limit_applies_to_chunked_bodies(raw):
    first = b"POST /v1/assessments HTTP/1.1\r\n" + raw.reviewer + JSON_TYPE + CHUNKED + b"\r\n"
    assert raw.statuses(first + chunked(b" " * (MEBIBYTE + 1), 65536)) == [413]


def test_a_too_large_length_is_rejected_before_the_body_arrives(raw):
    assert raw.statuses(raw.ingest(b"Content-Length: 99999999999\r\n", b"{")) == [413]


def test_a_rejected_large_body_can_be_sent_completely(raw):
    """Otherwise many clients report a broken pipe instead of the response."""
    head = b"POST /v1/assessments HTTP/1.1\r\n" + HOST + b"Connection: close\r\n"
    # Larger than the kernel's buffers.
    request = with_length(head, b" " * 12 * MEBIBYTE)
    # On a busy machine, sending it can take longer than the service waits.
    assert any(is_rejected_after_complete_body(raw, request) for _ in range(5))


def is_rejected_after_complete_body(raw, request):
    with raw.connect() as connection:
        try:
            connection.sendall(request)
        except ConnectionError:
            return False
        return [response.status for response in parse_responses(receive_all(connection))] == [401]


def test_a_truncated_body_is_rejected(raw):
    event = raw.event()
    assert raw.statuses(raw.ingest(b"Content-Length: %d\r\n" % (len(event) + 1), event)) == [400]


@pytest.mark.parametrize("length", [b"Content-Length: 5\r\n", b"Content-Length: 0\r\n", b""])
def test_a_short_or_missing_length_rejects_the_body_and_its_rest(raw, length):
    assert raw.statuses(raw.ingest(length, raw.event() + b"\r\n\r\n")) == [400, 400]


def test_a_repeated_length_is_rejected_or_accepted_once(raw):
    event = raw.event()
    length = b"Content-Length: %d\r\n" % len(event)
    assert raw.statuses(raw.ingest(length + length, event)) in ([201], [400])


def test_pipelined_requests_are_served_until_one_is_malformed(raw):
    requests = [
        raw.ingest(b"Content-Length: %d\r\n" % len(event), event) for event in (raw.event(), raw.event())
    ]
    assert raw.statuses(b"".join(requests) + b"garbage\r\n\r\n" + requests[0]) == [201, 201, 400]


def test_a_rejected_body_is_not_parsed_as_a_request(raw):
    smuggled = HEALTH + b"\r\n"
    assert raw.statuses(with_length(ANONYMOUS_INGEST, smuggled)) == [401]


@pytest.mark.parametrize(
    "target", [b"//v1/health", b"///v1/health", b"http://localhost/v1/health", b"/v1/health/?%FF"]
)
@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
def test_unusual_forms_of_a_valid_url_are_served(raw, target, version):
    assert raw.statuses(b"GET %s HTTP/%s\r\nHost: x\r\n\r\n" % (target, version)) == [200]


@pytest.mark.parametrize(
    ("target", "status"),
    [
        (b"/v1//health", 404),
        (b"/v1/%FF%FE%00", 404),
        (b"/v1/assessments/%00", 404),
        (b"/v1/assessments/..%2f..%2fetc%2fpasswd", 404),
        (b"/docs/..%2f..%2fconfig.py", 404),
        (b"/../../config.py", 404),
        (b"/v1/candidates?q=%00", 400),
        (b"/v1/candidates?q=\xff", 400),
        (b"/v1/\xff", 400),
        (b"*", 400),
        (b"x", 400),
    ],
)
def test_invalid_urls_are_rejected(raw, target, status):
    assert raw.statuses(b"GET %s HTTP/1.1\r\n" % target + raw.reviewer + b"\r\n") == [status]


@pytest.mark.parametrize("method", [b"get", b"Get", b"TRACE", b"CONNECT", b"FOO", b"X-Y", b"$", b"GET\t"])
def test_unknown_methods_are_rejected(raw, method):
    assert raw.statuses(method + b" /v1/health HTTP/1.1\r\n" + HOST + b"\r\n")[0] in (400, 405)


@pytest.mark.parametrize("host", [b"", b"Host: \r\n", b"Host: a b\r\n", b"Host: <x>\r\n", b"Host: [::1\r\n"])
def test_host_headers_do_not_cause_server_errors(raw, host):
    for target in (b"/v1/health", b"/", b"/openapi.json", b"/docs", b"/nowhere"):
        assert raw.statuses(b"GET %s HTTP/1.1\r\n%s\r\n" % (target, host))[0] in (200, 400, 404)


def test_expect_100_continue_is_answered(raw):
    event = raw.event()
    headers = b"Expect: 100-continue\r\nContent-Length: %d\r\n" % len(event)
    assert raw.statuses(raw.ingest(headers, event)) == [100, 201]


def test_other_requests_are_served_during_unfinished_requests(raw):
    unfinished = [
        HEALTH,
        HEALTH[:10],
        raw.ingest(b"Content-Length: 100\r\n", b"{"),
        raw.ingest(CHUNKED, b"5\r\n{"),
    ]
    with ExitStack() as stack:
        for sent in unfinished:
            stack.enter_context(raw.connect()).sendall(sent)
        for _ in range(20):
            assert raw.statuses(HEALTH + b"\r\n") == [200]


def test_a_body_that_never_arrives_is_rejected(raw):
    with raw.connect() as connection:
        connection.sendall(raw.ingest(b"Content-Length: 100\r\n", b"{"))
        (response,) = parse_responses(receive_all(connection))
    check(response)
    assert response.status == 400


def test_mutated_requests_only_store_acknowledged_rows(service, raw):
    rng = random.Random(SEED)
    before, created = count_rows(service), Counter()
    for _ in range(2000):
        for response in raw.send(mutate(rng.choice(requests(raw)), rng)):
            check(response)
            if response.status == 201:
                created["assessments" if "assessment" in response.json else "events"] += 1
    assert count_rows(service) == before + created
    assert raw.statuses(HEALTH + b"\r\n") == [200]


def count_rows(service):
    tables = ("events", "assessments", "sessions", "candidate_keys", "api_tokens", "issues", "rubrics")
    return Counter({table: service.execute(f"SELECT COUNT(*) FROM {table}")[0][0] for table in tables})


def requests(raw):
    """Build valid requests, some for resources that do not exist."""
    event = raw.event()
    assessment = b'{"title": "Orders", "role": "Engineer", "taskBrief": "Fix it.", "timeLimitMinutes": 90}'
    unknown = b"01978f2e-7c1a-7a4e-9d57-1f3f7f8b7a01"
    keys = b"POST /v1/assessments/%s/keys HTTP/1.1\r\n" % unknown
    stats = b"GET /v1/assessments/%s/cohort-stats?sessionId=%s HTTP/1.1\r\n" % (unknown, unknown)
    consent = b"GET /v1/candidate/consent?key=%s HTTP/1.1\r\n" % raw.key.encode()
    reviewer = raw.reviewer + JSON_TYPE
    return [
        raw.ingest(b"Content-Length: %d\r\n" % len(event), event),
        raw.ingest(CHUNKED, chunked(event, 40)),
        with_length(b"POST /v1/assessments HTTP/1.1\r\n" + reviewer, assessment),
        with_length(keys + reviewer, b'{"count":2}'),
        b"GET /v1/candidates?limit=5&offset=1&q=alice&status=pending HTTP/1.1\r\n" + raw.reviewer + b"\r\n",
        stats + raw.reviewer + b"\r\n",
        consent + HOST + b"\r\n",
        b"GET /v1/me HTTP/1.1\r\n" + raw.candidate + b"Cookie: a=b\r\nAccept: */*\r\n\r\n",
    ]


TOKENS = (
    b"\x00", b"\xff", b"\r\n", b"\n", b"\r", b" ", b":", b"%00", b"%FF", b"\\u0000", b"\\ud800", b"null", b"NaN",
    b"1e400", b"[" * 50, b"{", b"}", b'"', b"9" * 30, b"-1", b"/", b"//", b"..", b"?", b"&", b"=", b"\xef\xbb\xbf",
    b"x" * 9000, "\U0001f4a9".encode(), b"Content-Length: 3\r\n", b"Transfer-Encoding: chunked\r\n",
    b"Content-Type: text/plain\r\n", b"Content-Encoding: gzip\r\n",
)  # fmt: skip


def mutate(request, rng):
    """Delete, duplicate, replace or insert bytes at one to four positions."""
    for _ in range(rng.randint(1, 4)):
        start = rng.randrange(len(request))
        end = min(len(request), start + rng.choice([0, 0, 1, 2, 10, 100]))
        inserted = rng.choice([b"", request[start:end] * 2, rng.choice(TOKENS), rng.choice(TOKENS)])
        request = request[:start] + inserted + request[end:]
    return request or b"x"
