"""Integrations and notifications in the console, with stand-ins for the systems."""

import pytest

from tests.browser.console.test_organization import press
from tests.live.service import Service, wait_until
from tests.servers import free_port

pytest.importorskip("integrations")

from tests.integrations.ashby_server import AshbyServer
from tests.integrations.slack_server import SlackServer
from tests.integrations.stand_in import serving
from tests.integrations.story import settings_for


@pytest.fixture(scope="module")
def systems():
    with serving(AshbyServer(), SlackServer()) as servers:
        yield servers


@pytest.fixture(scope="module")
def site(systems, tmp_path_factory):
    folder, port = tmp_path_factory.mktemp("integrations"), free_port()
    settings = settings_for(folder, *systems)
    with Service(folder, BASE_URL=f"http://localhost:{port}", **settings) as service:
        service.start(processes=1, port=port)
        with service.worker():
            yield service


@pytest.fixture
def account(systems):
    """A customer's account with a job and a stage."""
    account = systems[0].add_account()
    account.job = account.add_job("Backend Engineer")
    account.stage = account.add_stage("Take-home", account.job)
    return account


def connect(visit, key):
    press(visit, "Connect a system")
    visit.page.get_by_label("System", exact=True).select_option("Ashby")
    visit.page.get_by_label("API key").fill(key)
    press(visit, "Connect")


def orders_of(team):
    (integration,) = team.get("/v1/integrations")["integrations"]
    return team.get(f"/v1/integrations/{integration['id']}/orders")["orders"]


def test_a_system_is_connected_and_waiting_candidates_are_invited(open_console, team, account, assessment):
    account.apply(account.job, account.stage, "ada@example.com")
    account.apply(account.job, account.stage, first="Grace", last="Hopper")
    visit = open_console(team, "/organization/integrations")
    connect(visit, account.key)
    visit.shows("Create the webhook in Ashby")
    assert visit.page.get_by_label("Secret", exact=True).input_value()
    press(visit, "Close")
    press(visit, "Check now: Ashby")
    visit.shows("The system accepts the credential.")
    press(visit, "Close")
    press(visit, "Add a rule: Ashby")
    visit.page.get_by_label("Job", exact=True).select_option("Backend Engineer")
    visit.page.get_by_label("Stage", exact=True).select_option(label="Engineering: Take-home")
    press(visit, "Save")
    visit.shows("Invite who is waiting")
    for name in ("Ada Lovelace", "Grace Hopper"):
        visit.page.get_by_label(name).check()
    press(visit, "Invite")
    wait_until(
        lambda: {order["state"] for order in orders_of(team)} == {"invited", "attention"},
        "Nobody was invited.",
    )
    visit = open_console(team, "/organization/integrations")
    visit.shows("Add an address there, then retry.")
    visit.page.get_by_label("State", exact=True).select_option("Invited")
    visit.shows("1 order")
    visit.is_clean()
    visit = open_console(team, "/todo")
    visit.shows("1 order needs attention.")
    visit.is_clean()


def test_a_rejected_credential_is_replaced(open_console, team, account):
    visit = open_console(team, "/organization/integrations")
    connect(visit, "wrong")
    press(visit, "Close")
    press(visit, "Check now: Ashby")
    visit.shows("Ashby rejected the credential.")
    press(visit, "Close")
    visit.shows("Stopped")
    press(visit, "Change: Ashby")
    visit.page.get_by_label("API key").fill(account.key)
    press(visit, "Save")
    visit.shows("Active")
    visit.is_clean()


def test_a_channel_is_added_and_tested(open_console, team, systems):
    url = systems[1].add_channel()
    visit = open_console(team, "/organization/notifications")
    press(visit, "Add a channel")
    visit.page.get_by_label("Name", exact=True).fill("#hiring")
    visit.page.get_by_label("Webhook URL").fill(url)
    visit.page.get_by_label("Session scored").check()
    press(visit, "Save")
    visit.shows("Submission received, Session scored, Order needs attention")
    press(visit, "Send a test: #hiring")
    visit.shows("The test message was accepted.")
    assert len(systems[1].texts(url)) == 1
    visit.is_clean()
