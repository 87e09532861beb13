"""Webhook signatures."""

from datetime import UTC, datetime

import pytest
from standardwebhooks import Webhook

from rules.delivery.webhook_signatures import generate_secret, headers, sign

NOW = datetime(2026, 4, 1, 9, tzinfo=UTC)
BODY = '{"type":"session.completed","data":{"name":"Zoë"}}'


def test_signature_matches_the_specification():
    secret, body = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", b'{"test": 2432232314}'
    signature = sign(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    with pytest.raises(ValueError, match="whsec_"):
        sign("whsec_???", "msg_1", 0, b"")


def test_secrets_consist_of_a_prefix_and_32_random_bytes():
    secret = generate_secret()
    assert (secret[:6], len(secret)) == ("whsec_", 6 + 44)
    assert generate_secret() != secret


def test_headers_include_a_signature_for_each_secret():
    new, old = generate_secret(), generate_secret()
    assert headers([new, old], "msg_1", int(NOW.timestamp()), BODY.encode()) == {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(NOW.timestamp())),
        "webhook-signature": " ".join(Webhook(secret).sign("msg_1", NOW, BODY) for secret in (new, old)),
    }
