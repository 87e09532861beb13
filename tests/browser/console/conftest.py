"""The console in a real browser, against a service whose BASE_URL is the address that the browser opens."""

import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.browser.conftest import DESKTOP, Visit
from tests.live.cast import ASSESSMENT
from tests.live.client import Client
from tests.live.service import HOST, Service


def free_port() -> int:
    with socket.create_server((HOST, 0)) as listener:
        return listener.getsockname()[1]


@pytest.fixture(scope="session")
def site(tmp_path_factory) -> Iterator[Service]:
    """The service under gunicorn on SQLite, at http://localhost."""
    folder, port = tmp_path_factory.mktemp("console"), free_port()
    with Service(folder, f"sqlite:///{folder}/proofstone.db", BASE_URL=f"http://localhost:{port}") as service:
        yield service.start(processes=1, port=port)


@pytest.fixture
def team(site) -> Client:
    """A new organization's service token with the scope `write`."""
    return site.organization("Northwind Traders")


@pytest.fixture
def assessment(team) -> dict[str, Any]:
    return team.post("/v1/assessments", ASSESSMENT | {"timeLimitMinutes": 90})["assessment"]


@pytest.fixture
def open_console(browser, site) -> Iterator[Callable[..., Visit]]:
    """`open_console(client, "/todo")`: a window of the console that sends the client's token with each request."""
    contexts = []

    def open_console(
        client: Client, path: str = "/assessments", width: int = DESKTOP, **options: Any
    ) -> Visit:
        token = {"Authorization": client.headers["Authorization"]}
        size = {"width": width, "height": 900}
        context = browser.new_context(
            viewport=size, timezone_id="Europe/Berlin", extra_http_headers=token, **options
        )
        contexts.append(context)
        visit = Visit(context, f"http://localhost:{site.port}")
        visit.page.goto(f"{visit.address}/console#{path}")
        return visit

    yield open_console
    for context in contexts:
        context.close()
