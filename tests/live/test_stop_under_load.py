"""SIGTERM under load: accepted requests get a response, and all processes exit within 20 seconds."""

import http.client
import json
import signal
import socket
import time
from contextlib import ExitStack, contextmanager, suppress

import pytest

from tests.delivery.mail_server import smtp_server
from tests.live.cast import event, invite, list_keys, make_assessment, make_keys, start_session
from tests.live.client import Load
from tests.live.mailboxes import WaitingMailbox
from tests.live.service import HOST, Service, is_running, stop_process, wait_until
from tests.proxy.upstream import START, Upstream

MAX_STOP_SECONDS = 20
CALLERS = 20
UNFINISHED = (
    b"POST /v1/hooks/ingest HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n"
    b"X-API-Key: %b\r\n\r\n"
)


class EventStream:
    """Sends events, each over a new connection, and records their outcomes."""

    def __init__(self, service, key):
        self.port = service.port
        self.headers = {"X-API-Key": key, "Content-Type": "application/json", "Connection": "close"}
        self.acknowledged, self.rejected, self.failures = [], [], []

    def send(self):
        body = event()
        connection = http.client.HTTPConnection(HOST, self.port, timeout=30)
        try:
            connection.request("POST", "/v1/hooks/ingest", json.dumps(body), self.headers)
            status = connection.getresponse().status
            (self.acknowledged if status == 201 else self.failures).append((body["id"], status))
        except http.client.RemoteDisconnected as error:  # accepted and closed without a response
            self.failures.append((body["id"], repr(error)))
        except ConnectionError:  # refused, or reset because it arrived just before the listener closed
            self.rejected.append(body["id"])
            time.sleep(0.01)
        finally:
            connection.close()


def stream_until_disconnected(exchange):
    """Stream a response that never ends."""
    exchange.start_stream()
    try:
        while True:
            exchange.chunk(START)
            time.sleep(0.1)
    except OSError:
        exchange.close_connection = True


@contextmanager
def slow_upload(service, key):
    """Run a client that sends its body one byte at a time."""
    with socket.create_connection((HOST, service.port)) as client:
        client.sendall(UNFINISHED % key.encode())

        def send_byte():
            with suppress(OSError):
                client.sendall(b"x")
            time.sleep(0.5)

        with Load([send_byte]):
            yield


@contextmanager
def model_stream(service, key):
    """Run a model call whose response does not end."""
    connection = http.client.HTTPConnection(HOST, service.port, timeout=60)
    headers = {"X-API-Key": key, "Content-Type": "application/json"}
    connection.request("POST", "/v1/proxy/anthropic/v1/messages", b'{"stream": true}', headers)
    assert connection.getresponse().read(10)
    yield
    connection.close()


def stop(process):
    """Stop the process, and return the duration in seconds."""
    started = time.monotonic()
    assert stop_process(process) == 0
    return time.monotonic() - started


@pytest.fixture
def start_service(tmp_path):
    with ExitStack() as stack:
        yield lambda processes=2, **settings: stack.enter_context(
            Service(tmp_path, f"sqlite:///{tmp_path}/proofstone.db", **settings).start(processes)
        )


def open_session(service):
    """Start a session, and return its key and id."""
    reviewer = service.organization("Acme")
    (key,) = make_keys(reviewer, make_assessment(reviewer), 1)
    return key["key"], start_session(service, key["key"])


def test_accepted_requests_get_a_response_and_new_connections_are_rejected(start_service):
    service = start_service()
    key, session_id = open_session(service)
    events = EventStream(service, key)
    with Load([events.send] * CALLERS):
        wait_until(lambda: len(events.acknowledged) > 100, "Events did not get a response.")
        assert stop(service.web) < 10
        wait_until(lambda: len(events.rejected) > CALLERS, "The service still accepts connections.")
    count = "SELECT count(*) FROM events WHERE session_id = %s"
    assert events.failures == []
    assert service.execute(count, service.stored_id(session_id)) == [(len(events.acknowledged),)]
    assert "Traceback" not in service.log()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_connections_are_rejected_immediately_even_if_a_request_delays_the_stop(start_service, number):
    """This also applies if the gunicorn master is killed: its successor needs the port."""
    service = start_service()
    key, _ = open_session(service)
    processes = service.web_processes()
    with slow_upload(service, key):
        service.web.send_signal(number)
        time.sleep(3)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((HOST, service.port))
        assert any(map(is_running, processes))
        wait_until(
            lambda: not any(map(is_running, processes)), "A process is still running.", MAX_STOP_SECONDS
        )


def test_unused_connections_do_not_delay_the_stop(start_service):
    service = start_service(processes=1)
    with socket.create_connection((HOST, service.port)):
        time.sleep(6)  # The thread waits five seconds for the first byte.
        assert stop(service.web) < 10


def test_streams_are_interrupted_in_time_to_record_their_usage(start_service):
    with Upstream() as upstream:
        upstream.respond = stream_until_disconnected
        service = start_service(ANTHROPIC_BASE_URL=upstream.address, ANTHROPIC_API_KEY="sk-ant-ours")
        key, _ = open_session(service)
        with model_stream(service, key), slow_upload(service, key):
            assert stop(service.web) < MAX_STOP_SECONDS
        assert service.execute("SELECT is_whole FROM model_usage") in ([(0,)], [(False,)])


def test_a_stopped_worker_releases_an_email_that_is_not_accepted(start_service):
    mailbox = WaitingMailbox()
    with smtp_server(mailbox) as port:
        service = start_service(processes=1)
        reviewer = service.organization("Acme")
        assessment = make_assessment(reviewer)
        with service.worker(SMTP_URL=f"smtp://{HOST}:{port}") as worker:
            invite(reviewer, assessment, "alice@example.com")
            wait_until(lambda: mailbox.waiting, "No email arrived.")
            assert stop(worker) < MAX_STOP_SECONDS
        assert "Released delivery" in service.log()
        mailbox.accept()
        # The next worker does not wait for the lease to expire.
        with service.worker(SMTP_URL=f"smtp://{HOST}:{port}"):
            wait_until(
                lambda: list_keys(reviewer, assessment)[0]["invite"]["state"] == "sent",
                "The next worker did not send it.",
                seconds=30,
            )
