"""Many candidates move at the same time. `make slow` moves fewer: TRIGGERS=1000 takes two minutes."""

import math
import os
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.integrations.ashby_server import AshbyServer
from tests.integrations.stand_in import RateLimit, serving
from tests.integrations.story import Live, Story, in_process
from tests.live.service import wait_until

TRIGGERS = int(os.environ.get("TRIGGERS", 150))
SECONDS = TRIGGERS / 100
CALLS_PER_SECOND, WINDOW_SECONDS = 10, 30
MAX_RESPONSE_SECONDS = 10
# Beyond the time that the limit requires.
SLACK_SECONDS = 60
MAX_DELAY_SECONDS = 60
MAX_UNSIGNED_CALLS = 2000
OTHER = "other@example.com"

pytestmark = pytest.mark.slow


@pytest.fixture
def url(postgres_server):
    yield postgres_server.create_database("proofstone_triggers")
    postgres_server.drop_database("proofstone_triggers")


def test_triggers_are_answered_and_invited_within_the_limit(url, tmp_path):
    server = AshbyServer()
    with serving(server):
        # As in production, requests are limited: all triggers come from the system's address.
        place = Live.start(tmp_path, url, server, processes=2, RATELIMIT_ENABLED="true")
        with place.service as service:
            many, one = (start_story(service, place, server, name) for name in ("Many", "One"))
            limit = many.account.limit = RateLimit(CALLS_PER_SECOND * WINDOW_SECONDS, WINDOW_SECONDS)
            with service.worker():
                trigger_all(many, one, limit)


def start_story(service, place, server, name):
    token = service.flask("org", "create", name).split()[-1]
    return Story(place, token, server.add_account()).set_up()


def trigger_all(many, one, limit):
    addresses = [f"candidate{number}@example.com" for number in range(TRIGGERS)]
    hints = [
        many.account.stage_change(many.account.apply(many.job, many.stage, address)) for address in addresses
    ]
    other = one.account.apply(one.job, one.stage, OTHER)
    started_at = time.monotonic()

    def send(number):
        time.sleep(max(0, started_at + number * SECONDS / TRIGGERS - time.monotonic()))
        sent_at = time.monotonic()
        status = many.account.send_once(*hints[number])
        return status, time.monotonic() - sent_at

    def move_other():
        time.sleep(SECONDS * 1.5)
        moved_at = time.monotonic()
        assert one.account.move(other, one.stage) == [200]
        read = set()
        wait_until(
            lambda: is_invited(one, OTHER, read), "The other organization's candidate was not invited."
        )
        return time.monotonic() - moved_at

    with ThreadPoolExecutor(33) as threads:
        delay = threads.submit(move_other)
        answers = list(threads.map(send, range(TRIGGERS)))
        sent_in = time.monotonic() - started_at
    slowest = max(seconds for _, seconds in answers)
    print(f"{TRIGGERS} triggers in {sent_in:.1f} s, the slowest answered after {slowest:.2f} s.")
    assert {status for status, _ in answers} == {200}
    assert slowest < MAX_RESPONSE_SECONDS
    assert sent_in < SECONDS + MAX_RESPONSE_SECONDS
    print(f"The other organization's candidate was invited after {delay.result():.1f} s.")
    assert delay.result() < MAX_DELAY_SECONDS

    wait_until(
        lambda: count_emails(many) >= TRIGGERS + 1, "Some were not invited.",
        seconds=2 * TRIGGERS / CALLS_PER_SECOND + SLACK_SECONDS,
    )  # fmt: skip
    took = time.monotonic() - started_at
    required = math.ceil(limit.total / CALLS_PER_SECOND)
    print(f"All invited after {took:.0f} s, with {limit.total} calls, which take {required} s.")
    assert took < required + SLACK_SECONDS
    assert limit.rejected == 0
    invited = [each["To"].addresses[0].addr_spec for each in many.place.emails()]
    assert sorted(invited) == sorted([*addresses, OTHER])


def count_emails(story):
    return sum(1 for _ in story.place.mail_folder.glob("*.eml"))


def is_invited(story, address, read):
    """Return whether a new email names this address; `read` are the names of the files that were read."""
    new = [file for file in story.place.mail_folder.glob("*.eml") if file.name not in read]
    read.update(file.name for file in new)
    return any(address in file.read_text() for file in new)


def test_unsigned_calls_are_limited_by_integration_and_address(app_with, clock, tmp_path, organization):
    with in_process(app_with, clock, tmp_path, organization, "ashby", RATELIMIT_ENABLED="true") as story:
        story.set_up()
        other = Story(story.place, story.token, story.account.server.add_account())
        other.connect()
        for _ in range(MAX_UNSIGNED_CALLS):
            if (answer := post_from("203.0.113.7", story, signed=False)).status_code == 429:
                break
        assert answer.status_code == 429, "All unsigned calls were accepted."
        assert int(answer.headers["Retry-After"]) > 0
        assert post_from("203.0.113.7", other, signed=False).status_code == 403
        assert post_from("203.0.113.8", story, signed=False).status_code == 403
        assert post_from("203.0.113.8", story, signed=True).status_code == 200
        assert story.orders() == []


def post_from(address, story, signed):
    """Post a ping from a network address."""
    body, headers = story.account.event("ping", {}, signed)
    client = story.place.app.test_client()
    path = f"/v1/integrations/{story.integration['id']}/events"
    return client.post(path, data=body, headers=headers, environ_base={"REMOTE_ADDR": address})
