"""An upstream that acts as both providers, and an application that forwards to it."""

import pytest
import urllib3
from callers import Caller

from models import ModelUsage
from proxy import disconnect, forwarding
from proxy.forwarding import ModelProxy
from proxy.stream_slots import StreamSlots
from tests.live.service import Service
from tests.proxy.upstream import MESSAGE, STREAMING_BODY, Upstream, documents

STREAMS = 2


@pytest.fixture(autouse=True)
def short_grace(monkeypatch):
    """End calls soon after the client has disconnected, in this process."""
    monkeypatch.setattr(disconnect, "GRACE_SECONDS", 0.1)


@pytest.fixture(autouse=True)
def no_wait_for_slots(monkeypatch):
    monkeypatch.setattr(forwarding, "SLOT_WAIT_SECONDS", 0)


@pytest.fixture
def upstream():
    with Upstream() as upstream:
        upstream.respond = documents(200, MESSAGE)
        yield upstream


@pytest.fixture
def forward_to(app, monkeypatch):
    """Forward the application's calls to an address, with these keys."""

    def forward_to(address, anthropic="sk-ant-ours", openai="sk-ours", read_seconds=5):
        providers = {"anthropic": (address, anthropic), "openai": (address, openai)}
        timeout = urllib3.Timeout(connect=2, read=read_seconds)
        monkeypatch.setitem(
            app.extensions,
            "proxy",
            ModelProxy(providers, *(StreamSlots(STREAMS, STREAMS) for _ in range(2)), timeout),
        )

    return forward_to


@pytest.fixture
def candidate(app, key, session, upstream, forward_to):
    """The holder of an open session's key; calls are forwarded to `upstream`."""
    forward_to(upstream.address)
    return Caller.candidate(app, key)


@pytest.fixture
def call(candidate):
    """Make a call, by default as the candidate, and read its complete response."""

    def call(path, caller=candidate, method="POST", **options):
        if method == "POST":
            options = {"data": STREAMING_BODY, "content_type": "application/json"} | options
        return caller.request(method, path, buffered=True, **options)

    return call


@pytest.fixture
def usage(session):
    """Get the session's stored calls."""
    return lambda: list(ModelUsage.select().where(ModelUsage.session == session).order_by(ModelUsage.id))


@pytest.fixture(scope="session")
def service_upstream():
    with Upstream() as upstream:
        yield upstream


@pytest.fixture(scope="session")
def service(service_upstream, tmp_path_factory):
    """A process with few threads that forwards to `service_upstream`."""
    folder = tmp_path_factory.mktemp("proxy")
    address = service_upstream.address
    settings = {
        "ANTHROPIC_BASE_URL": address, "ANTHROPIC_API_KEY": "sk-ant-ours",
        "OPENAI_BASE_URL": f"{address}/v1", "OPENAI_API_KEY": "sk-ours",
        "WEB_THREADS": "8", "PROXY_STREAMS": "3",
    }  # fmt: skip
    with Service(folder, f"sqlite:///{folder}/proofstone.db", **settings).start(processes=1) as service:
        yield service
