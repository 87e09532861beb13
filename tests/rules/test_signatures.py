"""Signatures of webhooks: what the official library makes and takes."""

from datetime import UTC, datetime

import pytest
from standardwebhooks import Webhook

from rules import signatures

NOW = datetime(2026, 4, 1, 9, tzinfo=UTC)
AT = int(NOW.timestamp())
BODY = '{"type":"session.completed","data":{"name":"Zoë"}}'


def headers(*secrets, at=AT, message_id="msg_1"):
    return signatures.headers(secrets, message_id, at, BODY.encode())


def test_the_example_of_the_specification():
    secret, body = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", b'{"test": 2432232314}'
    signature = signatures.sign(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_secret_is_a_prefix_and_the_base64_of_32_bytes():
    secret = signatures.make_secret()
    assert secret.startswith("whsec_")
    assert len(secret) == len("whsec_") + 44
    assert signatures.make_secret() != secret


def test_the_library_signs_as_we_do():
    secret = signatures.make_secret()
    assert signatures.sign(secret, "msg_1", AT, BODY.encode()) == Webhook(secret).sign("msg_1", NOW, BODY)


def test_two_secrets_make_two_signatures_with_a_space_between_them():
    old, new = signatures.make_secret(), signatures.make_secret()
    signature = headers(new, old)["webhook-signature"]
    assert [len(one) for one in signature.split(" ")] == [47, 47]
    assert all(signatures.check(secret, headers(new, old), BODY.encode(), AT) for secret in (old, new))


def test_what_was_signed_is_accepted_for_five_minutes():
    secret = signatures.make_secret()
    for late in (-300, 0, 300):
        assert signatures.check(secret, headers(secret), BODY.encode(), AT + late)
    for late in (-301, 301):
        assert not signatures.check(secret, headers(secret), BODY.encode(), AT + late)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("webhook-id", "msg_2"),
        ("webhook-id", ""),
        ("webhook-timestamp", str(AT + 1)),
        ("webhook-timestamp", "yesterday"),
        ("webhook-timestamp", f"-{AT}"),
        ("webhook-signature", ""),
        ("webhook-signature", "v1,"),
        ("webhook-signature", "v1,AAAA"),
        ("webhook-signature", "v2,é"),
    ],
)
def test_anything_else_is_refused(name, value):
    secret = signatures.make_secret()
    assert not signatures.check(secret, headers(secret) | {name: value}, BODY.encode(), AT)


def test_another_body_another_secret_and_missing_headers_are_refused():
    secret = signatures.make_secret()
    assert not signatures.check(secret, headers(secret), b"{}", AT)
    assert not signatures.check(signatures.make_secret(), headers(secret), BODY.encode(), AT)
    assert not signatures.check(secret, {}, BODY.encode(), AT)


def test_what_is_no_secret_signs_nothing():
    with pytest.raises(ValueError, match="whsec_"):
        signatures.sign("whsec_???", "msg_1", AT, b"")
