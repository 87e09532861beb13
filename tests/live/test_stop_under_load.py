"""SIGTERM under load: what was sent before it is answered, and all processes are gone within 20 seconds."""

import http.client
import json
import socket
import time
from contextlib import ExitStack, contextmanager, suppress

import pytest

from tests.delivery.mail_server import smtp_server
from tests.live.cast import event, invite, list_keys, make_assessment, make_keys, start_session
from tests.live.client import Load
from tests.live.mailboxes import WaitingMailbox
from tests.live.service import HOST, Service, stop_process, wait_until
from tests.proxy.upstream import START, Upstream

GONE_SECONDS = 20
CALLERS = 20
TRICKLE = b"POST /v1/hooks/ingest HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\nX-API-Key: %b\r\n\r\n"


class Calls:
    """Events that are sent one after the other over new connections, and what became of each."""

    def __init__(self, service, key):
        self.service, self.key = service, key
        self.answered, self.lost, self.refused = [], [], 0

    def call(self):
        body = event()
        try:
            connection = socket.create_connection((HOST, self.service.port), 30)
        except OSError:
            self.refused += 1
            time.sleep(0.01)
            return
        with connection:
            status = self._status(connection, body)
            (self.answered if status == 201 else self.lost).append((body["id"], status))

    def _status(self, connection, body):
        candidate = self.service.candidate(self.key)
        try:
            talk = http.client.HTTPConnection(HOST)
            talk.sock = connection
            headers = candidate.headers | {"Content-Type": "application/json", "Connection": "close"}
            talk.request("POST", "/v1/hooks/ingest", json.dumps(body), headers)
            return talk.getresponse().status
        except (OSError, http.client.HTTPException) as error:
            return repr(error)


def endless(exchange):
    """A provider that goes on speaking until it is hung up on."""
    exchange.start_stream()
    try:
        while True:
            exchange.chunk(START)
            time.sleep(0.1)
    except OSError:
        exchange.close_connection = True


@contextmanager
def trickling(service, key):
    """A client that sends its body a byte at a time, for ever."""
    with socket.create_connection((HOST, service.port)) as client:
        client.sendall(TRICKLE % key.encode())

        def send_one():
            with suppress(OSError):
                client.sendall(b"x")
            time.sleep(0.5)

        with Load([send_one]):
            yield client


@contextmanager
def streaming(service, key):
    """A call of a model whose answer has begun and does not end."""
    connection = http.client.HTTPConnection(HOST, service.port, timeout=60)
    headers = {"X-API-Key": key, "Content-Type": "application/json"}
    connection.request("POST", "/v1/proxy/anthropic/v1/messages", b'{"stream": true}', headers)
    answer = connection.getresponse()
    assert answer.read(10)
    yield answer
    connection.close()


def stop_and_time(process):
    began = time.monotonic()
    assert stop_process(process) == 0
    return time.monotonic() - began


@pytest.mark.slow
def test_no_request_is_lost_and_a_quiet_service_stops_at_once(tmp_path):
    with Service(tmp_path, f"sqlite:///{tmp_path}/proofstone.db").start(processes=2) as service:
        reviewer = service.organization("Acme")
        (key,) = make_keys(reviewer, make_assessment(reviewer), 1)
        session_id = start_session(service, key["key"])
        calls = Calls(service, key["key"])
        # Opened ahead, as browsers do, and never used.
        with socket.create_connection((HOST, service.port)), Load([calls.call] * CALLERS):
            wait_until(lambda: len(calls.answered) > 100, "Nothing is answered.")
            assert stop_and_time(service.web) < 10
            wait_until(lambda: calls.refused > CALLERS, "It takes requests all the same.")
        stored = service.execute(
            "SELECT count(*) FROM events WHERE session_id = %s", service.stored_id(session_id)
        )
    assert calls.lost == []
    assert stored == [(len(calls.answered),)]
    assert "Traceback" not in service.log()


@pytest.mark.slow
def test_streams_and_slow_clients_end_in_time_and_what_a_stream_used_is_kept(tmp_path):
    with ExitStack() as stack:
        upstream = stack.enter_context(Upstream())
        upstream.respond = endless
        settings = {"ANTHROPIC_BASE_URL": upstream.address, "ANTHROPIC_API_KEY": "sk-ant-ours"}
        service = Service(tmp_path, f"sqlite:///{tmp_path}/proofstone.db", **settings).start(processes=2)
        stack.enter_context(service)
        reviewer = service.organization("Acme")
        (key,) = make_keys(reviewer, make_assessment(reviewer), 1)
        start_session(service, key["key"])
        stack.enter_context(streaming(service, key["key"]))
        stack.enter_context(trickling(service, key["key"]))
        assert stop_and_time(service.web) < GONE_SECONDS
        assert service.execute("SELECT is_whole FROM model_usage") in ([(0,)], [(False,)])


@pytest.mark.slow
def test_a_worker_gives_back_a_mail_that_nobody_takes(tmp_path):
    mailbox = WaitingMailbox()
    with (
        smtp_server(mailbox) as port,
        Service(tmp_path, f"sqlite:///{tmp_path}/proofstone.db").start(processes=1) as service,
    ):
        reviewer = service.organization("Acme")
        assessment = make_assessment(reviewer)
        with service.worker(SMTP_URL=f"smtp://{HOST}:{port}") as worker:
            invite(reviewer, assessment, "alice@example.com")
            wait_until(lambda: mailbox.arrived, "No mail arrived.")
            assert stop_and_time(worker) < GONE_SECONDS
        assert "it is released" in service.log()
        mailbox.take()
        # No lease is waited for.
        with service.worker(SMTP_URL=f"smtp://{HOST}:{port}"):
            wait_until(
                lambda: list_keys(reviewer, assessment)[0]["invite"]["state"] == "sent",
                "The next worker does not take it.",
                seconds=30,
            )
