"""A local server with prepared answers, and connections that lead to it."""

from contextlib import contextmanager
from typing import Any

from integrations import secrets
from integrations.connection import Connection
from integrations.systems import adapters
from integrations.tables import Integration
from rules.delivery.webhook_addresses import parse_networks
from tests.integrations import stand_in
from tests.integrations.stand_in import Reply, Request

LOOPBACK = parse_networks("127.0.0.0/8")


class SystemServer(stand_in.StandIn):
    """Responds to `POST /path` with the next of `answers["POST /path"]`; the last one is repeated.

    An answer is JSON, or a status with JSON or text, and headers.
    """

    HOSTS = ("harvest.greenhouse.io", "auth.greenhouse.io", "api.ashbyhq.com")

    def __init__(self) -> None:
        super().__init__()
        self.answers: dict[str, list[Any]] = {}

    def connect(self, integration: Any) -> Connection:
        hosts = dict.fromkeys(self.HOSTS, self.origin)
        return Connection(integration, {"INTEGRATION_HOSTS": hosts, "WEBHOOK_ALLOWED_NETWORKS": LOOPBACK})

    def sent(self, name: str) -> list[Request]:
        """Return the requests to `POST /path`."""
        return [request for request in self.requests if self.operation_of(request) == name]

    def operation_of(self, request: Request) -> str:
        return f"{request.method} {request.path}"

    def perform(self, operation: str, request: Request) -> Reply:
        answers = self.answers[operation]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        return Reply(*answer) if isinstance(answer, tuple) else Reply(data=answer)


def store_integration(
    organization: Any, system: str, credential: dict[str, str], **settings: str
) -> Integration:
    row = Integration(
        organization=organization, system=system, name=adapters()[system].NAME, settings=settings
    )
    secrets.store_credential(row, credential)
    secrets.new_signing_secret(row)
    row.save(force_insert=True)
    return row


@contextmanager
def serving():
    with stand_in.serving(SystemServer()) as (server,):
        yield server
