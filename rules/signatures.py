"""Sign and check what a webhook carries, by Standard Webhooks 1.0.0.

The signed content is `<id>.<timestamp>.<body>`; a signature is `v1,` and the base64 of its HMAC-SHA256. While two
secrets hold, the header carries one signature of each, with a space between them.
"""

import base64
import binascii
import hmac
import secrets
from collections.abc import Iterable, Mapping
from datetime import timedelta

PREFIX = "whsec_"
VERSION = "v1"
SECRET_BYTES = 32
# Older or later than this and a message may be one that somebody plays again.
TOLERANCE = timedelta(minutes=5)


def make_secret() -> str:
    """A new secret of 256 random bits, in the form in which receivers take it."""
    return PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def headers(keys: Iterable[str], message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The three headers of a message, signed with each of the secrets; `timestamp` is in whole seconds."""
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(sign(key, message_id, timestamp, body) for key in keys),
    }


def sign(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """One signature; ValueError for a secret that is not one."""
    content = b".".join([message_id.encode(), str(timestamp).encode(), body])
    return f"{VERSION},{base64.b64encode(hmac.digest(_key(secret), content, 'sha256')).decode()}"


def check(secret: str, received: Mapping[str, str], body: bytes, now: int) -> bool:
    """Whether a message was signed with the secret, and lately: what a receiver has to do.

    received -- the headers by their names in lower case
    now -- in whole seconds
    """
    message_id, timestamp = received.get("webhook-id"), received.get("webhook-timestamp", "")
    if not message_id or not (timestamp.isascii() and timestamp.isdigit()):
        return False
    if abs(now - int(timestamp)) > TOLERANCE.total_seconds():
        return False
    wanted = sign(secret, message_id, int(timestamp), body).encode()
    given = received.get("webhook-signature", "").split(" ")
    return any(hmac.compare_digest(wanted, each.encode()) for each in given)


def _key(secret: str) -> bytes:
    try:
        return base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except binascii.Error:
        raise ValueError("a secret is whsec_ and base64") from None
