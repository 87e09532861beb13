"""A stopping worker releases only messages in progress."""

import pytest
from factories import make_key

from delivery.worker.loop import Loop
from delivery.worker.senders import Senders
from models import Delivery
from models.deliveries import outcomes


@pytest.fixture
def deliver_with(clock, assessment):
    """Deliver a queued invitation with `deliver(senders, message)`."""
    make_key(assessment, "alice@example.com")

    def deliver_with(deliver):
        loop = Loop()
        senders = Senders(loop, Delivery, lambda message: deliver(senders, message), 1, lambda: None)
        senders.deliver_due()
        return senders

    return deliver_with


def test_a_message_that_waits_for_its_retry_is_not_released(deliver_with, clock):
    senders = deliver_with(lambda senders, message: outcomes.postpone(message, "The email server is busy."))
    senders.release_claimed()
    assert Delivery.get().due_at > clock.fixed


def test_a_message_in_progress_is_released(deliver_with, clock):
    def stop(senders, message):
        senders.release_claimed()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        deliver_with(stop)
    assert Delivery.get().due_at == clock.fixed
