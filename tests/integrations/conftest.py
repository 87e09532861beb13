"""An integration with a made-up system, a rule, and functions that play its webhooks and the worker."""

from datetime import timedelta

import pytest

from integrations import orders, states, worker
from integrations.systems import adapters
from integrations.tables import IntegrationOrder
from tests.integrations import made_up


@pytest.fixture
def system(clock, monkeypatch):
    """The made-up system, which replaces the connection."""
    system = made_up.System()
    monkeypatch.setitem(adapters(), "made_up", made_up)
    monkeypatch.setattr(worker, "connect", lambda integration: system)
    return system


@pytest.fixture
def integration(system, organization):
    return made_up.make_integration(organization)


@pytest.fixture
def rule(integration, assessment):
    return made_up.make_rule(integration, assessment)


@pytest.fixture
def receive(integration, rule):
    """A function that receives a hint, and returns the application's order."""

    def run(hint):
        orders.receive(integration, hint)
        ids = IntegrationOrder.application_id.in_(hint.application_ids)
        return IntegrationOrder.of(integration).where(ids).first()

    return run


@pytest.fixture
def work():
    """A function that runs the worker's tasks until nothing is due."""

    def run():
        worker.update_orders("https://assess.example.com")
        while worker.call_systems():
            pass
        states.refresh()

    return run


@pytest.fixture
def invited(system, receive, work):
    """An order whose candidate is invited."""
    order = receive(system.add())
    work()
    return order.lock()


@pytest.fixture
def report(clock, work):
    """A function that lets the changes be collected, and sends what is due."""

    def run(hours=0.3):
        states.refresh()
        clock.fixed += timedelta(hours=hours)
        work()

    return run
