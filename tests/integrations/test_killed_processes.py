"""Web and worker processes are killed at each step: one order, one email, one note for each report."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from tests.integrations.stand_in import serving
from tests.integrations.story import COLLECTING, SERVERS, Live, Story, reference
from tests.live.service import kill, wait_until

# Longer than a worker's claims and leases.
CLAIMS = timedelta(minutes=16)

pytestmark = pytest.mark.slow


@pytest.fixture
def url(request):
    """A PostgreSQL database's URL, or None for SQLite."""
    if request.param == "sqlite":
        yield None
        return
    server = request.getfixturevalue("postgres_server")
    yield server.create_database("proofstone_killed")
    server.drop_database("proofstone_killed")


@pytest.mark.parametrize(
    ("system", "url"), [("greenhouse", "sqlite"), ("ashby", "postgresql")], indirect=["url"]
)
def test_killed_processes_lose_and_repeat_nothing(system, url, tmp_path):
    server = SERVERS[system]()
    with serving(server):
        place = Live.start(tmp_path, url, server)
        with place.service as service:
            token = service.flask("org", "create", "Acme").split()[-1]
            tell_killed_story(Story(place, token, server.add_account()).set_up(), service)


def tell_killed_story(story, service):
    account, server = story.account, story.account.server
    account.second = 1 / 2000
    applications = {f"candidate{number}@example.com": None for number in range(4)}
    # The web process is killed at different times of a request.
    for number, address in enumerate(applications):
        applications[address] = account.apply(story.job, story.other_stage, address)
        (process,) = wait_until(service.web_processes, "No web process runs.")
        with ThreadPoolExecutor(1) as thread:
            sending = thread.submit(account.move, applications[address], story.stage)
            time.sleep(number * 0.004)
            kill(process)
        assert sending.result()[-1] == 200, sending.result()
    # A process that was killed in a request may have stored the order.
    wait_until(service.responds, "The service did not respond.")
    assert len(story.orders()) == len(applications)

    # The worker is killed while it reads an application, and after some of the orders.
    reading = server.misbehave(account.READ, is_held=True, hangs_up=True)
    kill_worker(story, service, reading)
    for count in (1, len(applications)):
        with service.worker() as worker:
            story.place.until(lambda count=count: len(story.place.emails()) >= count, "No email was sent.")
            if count == 1:
                kill(worker.pid)
            else:
                first, *_ = applications
                session_id = story.work(first)
                story.wait_for(applications[first], "submitted")
        story.place.advance(CLAIMS)
    for address in applications:
        story.key_for(address)  # the only one

    # The worker is killed while it writes the note: before and after the write.
    before = server.misbehave(account.WRITE, is_held=True, hangs_up=True)
    kill_worker(story, service, before)
    after = server.misbehave(account.WRITE, is_held=True, hangs_up=True, after_write=True)
    kill_worker(story, service, after)
    with service.worker():
        story.place.until(
            lambda: [report["state"] for report in story.order(applications[first])["reports"]] == ["sent"],
            "The report was not sent.",
        )
        # The next report comes after everything that could be repeated.
        story.score(session_id, 5)
        story.wait_for(applications[first], "scored")
        story.place.advance(COLLECTING)
        story.notes(applications[first], 2)
    numbers = [reference(note)[1] for note in account.notes_of(applications[first])]
    assert numbers == [1, 2]
    assert len(story.orders()) == len(applications)


def kill_worker(story, service, fault):
    """Run a worker until it has reached the fault, and kill it there."""
    with service.worker() as worker:
        fault.wait()
        kill(worker.pid)
    fault.release()
    story.place.advance(CLAIMS)
