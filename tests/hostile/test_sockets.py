"""Hostile bytes against the real service: each gets one answer in the one shape, and others are served meanwhile."""

import random
from collections import Counter
from contextlib import ExitStack

import pytest

from tests.hostile.sockets import HOST, JSON_TYPE, answers, check, chunked

SEED = 20261101
LONG = b"x" * 100_000
MEBIBYTE = 1024 * 1024
CHUNKED = b"Transfer-Encoding: chunked\r\n"
HEALTH = b"GET /v1/health HTTP/1.1\r\n" + HOST

# Not one whole, well-formed request: (bytes, the status of its one answer).
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
    "a method of brackets": (b"<GET> /v1/health HTTP/1.1\r\n\r\n", 400),
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
    "a long address": (b"GET /" + LONG + b" HTTP/1.1\r\n\r\n", 414),
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

# Bodies of an event in chunks that are wrong.
WRONG_CHUNKS = {
    "a size in other letters": b"zz\r\n{}\r\n0\r\n\r\n",
    "a negative size": b"-2\r\n{}\r\n0\r\n\r\n",
    "a size with 0x": b"0x2\r\n{}\r\n0\r\n\r\n",
    "no size": b"\r\n{}\r\n0\r\n\r\n",
    "a size beyond everything": b"FFFFFFFFFFFFFFFFFFFF\r\n{}",
    "a long line for the size": b"1" * 100_000 + b"\r\n{}\r\n",
    "a size that is too small": b"1\r\n{}\r\n0\r\n\r\n",
    "a size that is too large": b"5\r\n{}\r\n0\r\n\r\n",
    "only line feeds": b"2\n{}\n0\n\n",
    "a broken trailer": b"2\r\n{}\r\n0\r\nnonsense\r\n\r\n",
    "an end in the middle": b"2\r\n{}\r\n",
    "nothing": b"",
}


@pytest.mark.parametrize("name", MALFORMED)
def test_what_is_no_request_gets_one_refusal(line, name):
    sent, status = MALFORMED[name]
    assert line.statuses(sent) == [status]


@pytest.mark.parametrize("name", WRONG_CHUNKS)
def test_wrong_chunks_get_one_refusal(line, name):
    assert line.statuses(line.ingest(CHUNKED, WRONG_CHUNKS[name])) == [400]


@pytest.mark.parametrize("name", WRONG_CHUNKS)
def test_wrong_chunks_are_not_even_read_for_who_may_not_call(line, name):
    request = (
        b"POST /v1/hooks/ingest HTTP/1.1\r\n" + HOST + JSON_TYPE + CHUNKED + b"\r\n" + WRONG_CHUNKS[name]
    )
    assert line.statuses(request) == [401]


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_right_chunks_are_taken(line, size):
    assert line.statuses(line.ingest(CHUNKED, chunked(line.event(), size))) == [201]


def test_chunks_may_have_extensions_and_trailers(line):
    event = line.event()
    body = b"%x;name=value\r\n%s\r\n0\r\nX-Checksum: 1\r\n\r\n" % (len(event), event)
    assert line.statuses(line.ingest(CHUNKED, body)) == [201]


def test_a_body_of_chunks_is_measured_like_any_other(line):
    first = b"POST /v1/assessments HTTP/1.1\r\n" + line.reviewer + JSON_TYPE + CHUNKED + b"\r\n"
    assert line.statuses(first + chunked(b" " * (MEBIBYTE + 1), 65536)) == [413]


def test_a_length_beyond_the_limit_is_refused_before_the_body_comes(line):
    assert line.statuses(line.ingest(b"Content-Length: 99999999999\r\n", b"{")) == [413]


def test_a_body_that_ends_too_early_is_refused(line):
    event = line.event()
    assert line.statuses(line.ingest(b"Content-Length: %d\r\n" % (len(event) + 1), event)) == [400]


@pytest.mark.parametrize("length", [b"Content-Length: 5\r\n", b"Content-Length: 0\r\n", b""])
def test_a_length_that_is_too_small_or_missing_refuses_the_body_and_what_follows_it(line, length):
    assert line.statuses(line.ingest(length, line.event() + b"\r\n\r\n")) == [400, 400]


def test_the_same_length_twice_is_still_refused_or_taken_once(line):
    event = line.event()
    length = b"Content-Length: %d\r\n" % len(event)
    assert line.statuses(line.ingest(length + length, event)) in ([201], [400])


def test_requests_in_one_go_are_answered_one_by_one_until_garbage_comes(line):
    first, second = line.event(), line.event()
    requests = [line.ingest(b"Content-Length: %d\r\n" % len(event), event) for event in (first, second)]
    assert line.statuses(b"".join(requests) + b"garbage\r\n\r\n" + requests[0]) == [201, 201, 400]


def test_a_refused_body_is_no_second_request(line):
    smuggled = b"GET /v1/health HTTP/1.1\r\n" + HOST + b"\r\n"
    request = (
        b"POST /v1/hooks/ingest HTTP/1.1\r\n"
        + HOST
        + JSON_TYPE
        + b"Content-Length: %d\r\n\r\n" % len(smuggled)
    )
    assert line.statuses(request + smuggled) == [401]


@pytest.mark.parametrize(
    "target", [b"//v1/health", b"///v1/health", b"http://localhost/v1/health", b"/v1/health/?%FF"]
)
@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
def test_odd_forms_of_a_right_address_are_served(line, target, version):
    assert line.statuses(b"GET %s HTTP/%s\r\nHost: x\r\n\r\n" % (target, version)) == [200]


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
def test_odd_addresses_are_refused(line, target, status):
    assert line.statuses(b"GET %s HTTP/1.1\r\n" % target + line.reviewer + b"\r\n") == [status]


@pytest.mark.parametrize("method", [b"get", b"Get", b"TRACE", b"CONNECT", b"FOO", b"X-Y", b"$", b"GET\t"])
def test_odd_methods_are_refused(line, method):
    assert line.statuses(method + b" /v1/health HTTP/1.1\r\n" + HOST + b"\r\n")[0] in (400, 405)


@pytest.mark.parametrize("host", [b"", b"Host: \r\n", b"Host: a b\r\n", b"Host: <x>\r\n", b"Host: [::1\r\n"])
def test_no_host_breaks_an_answer(line, host):
    for target in (b"/v1/health", b"/", b"/openapi.json", b"/docs", b"/nowhere"):
        assert line.statuses(b"GET %s HTTP/1.1\r\n%s\r\n" % (target, host))[0] in (200, 400, 404)


def test_a_client_that_asks_whether_to_go_on_is_told_so(line):
    event = line.event()
    headers = b"Expect: 100-continue\r\nContent-Length: %d\r\n" % len(event)
    assert line.statuses(line.ingest(headers, event)) == [100, 201]


def test_others_are_served_while_requests_never_end(line):
    unfinished = [
        HEALTH,
        HEALTH[:10],
        line.ingest(b"Content-Length: 100\r\n", b"{"),
        line.ingest(CHUNKED, b"5\r\n{"),
    ]
    with ExitStack() as stack:
        for sent in unfinished:
            stack.enter_context(line.connect()).sendall(sent)
        for _ in range(20):
            assert line.statuses(HEALTH + b"\r\n") == [200]


@pytest.mark.slow
def test_a_body_that_never_arrives_is_refused_and_frees_its_thread(line):
    threads = 8
    with ExitStack() as stack:
        waiting = [stack.enter_context(line.connect()) for _ in range(2 * threads)]
        for connection in waiting:
            connection.sendall(line.ingest(b"Content-Length: 100\r\n", b"{"))
        assert line.statuses(HEALTH + b"\r\n") == [200]
        received = waiting[0].recv(65536)
    (answer,) = answers(received)
    check(answer)
    assert answer.status == 400


def test_hundreds_of_mutilated_requests_break_nothing(service, line):
    send_mutilated(service, line, 300)


@pytest.mark.slow
def test_two_thousand_mutilated_requests_break_nothing(service, line):
    send_mutilated(service, line, 2000)


def send_mutilated(service, line, count):
    """Send requests with a few bytes changed; only what was answered with 201 is there afterwards."""
    chance = random.Random(SEED)
    before, made = rows(service), Counter()
    for _ in range(count):
        for answer in line.send(mutilated(chance.choice(requests(line)), chance)):
            check(answer)
            if answer.status == 201:
                made["assessments" if "assessment" in answer.json else "events"] += 1
    assert rows(service) == before + made
    assert line.statuses(HEALTH + b"\r\n") == [200]


def rows(service):
    tables = ("events", "assessments", "sessions", "candidate_keys", "reviewers", "issues", "rubrics")
    return Counter({table: service.execute(f"SELECT COUNT(*) FROM {table}")[0][0] for table in tables})


def requests(line):
    """Whole requests, right ones and some for what is not there."""
    event = line.event()
    assessment = b'{"title": "Orders", "role": "Engineer", "taskBrief": "Fix it.", "timeLimitMinutes": 90}'
    foreign = b"01978f2e-7c1a-7a4e-9d57-1f3f7f8b7a01"
    length = b"Content-Length: %d\r\n"
    reviewer = line.reviewer + JSON_TYPE
    return [
        line.ingest(length % len(event), event),
        line.ingest(CHUNKED, chunked(event, 40)),
        b"POST /v1/assessments HTTP/1.1\r\n" + reviewer + length % len(assessment) + b"\r\n" + assessment,
        b"POST /v1/assessments/"
        + foreign
        + b"/keys HTTP/1.1\r\n"
        + reviewer
        + length % 11
        + b'\r\n{"count":2}',
        b"GET /v1/candidates?limit=5&offset=1&q=alice&status=pending HTTP/1.1\r\n" + line.reviewer + b"\r\n",
        b"GET /v1/assessments/"
        + foreign
        + b"/cohort-stats?sessionId="
        + foreign
        + b" HTTP/1.1\r\n"
        + line.reviewer
        + b"\r\n",
        b"GET /v1/candidate/consent?key=" + line.key.encode() + b" HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET /v1/me HTTP/1.1\r\n" + line.candidate + b"Cookie: a=b\r\nAccept: */*\r\n\r\n",
    ]


TOKENS = (
    b"\x00", b"\xff", b"\r\n", b"\n", b"\r", b" ", b":", b"%00", b"%FF", b"\\u0000", b"\\ud800", b"null", b"NaN",
    b"1e400", b"[" * 50, b"{", b"}", b'"', b"9" * 30, b"-1", b"/", b"//", b"..", b"?", b"&", b"=", b"\xef\xbb\xbf",
    b"x" * 9000, "\U0001f4a9".encode(), b"Content-Length: 3\r\n", b"Transfer-Encoding: chunked\r\n",
    b"Content-Type: text/plain\r\n", b"Content-Encoding: gzip\r\n",
)  # fmt: skip


def mutilated(request, chance):
    """The request after one to four accidents: bytes lost, doubled, replaced, or put in between."""
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(request))
        to = min(len(request), at + chance.choice([0, 0, 1, 2, 10, 100]))
        found = chance.choice([b"", request[at:to] * 2, chance.choice(TOKENS), chance.choice(TOKENS)])
        request = request[:at] + found + request[to:]
    return request or b"x"
