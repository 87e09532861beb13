"""Signs webhooks by Standard Webhooks 1.0.0.

The signed content is `<id>.<timestamp>.<body>`; a signature is `v1,` and the base64 of its HMAC-SHA256. While two
secrets are valid, the header has a signature for each, separated by a space.
"""

import base64
import binascii
import hmac
import secrets
from collections.abc import Iterable

PREFIX = "whsec_"
VERSION = "v1"
SECRET_BYTES = 32


def generate_secret() -> str:
    """A new secret of 256 random bits, in the format that receivers expect."""
    return PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def headers(keys: Iterable[str], message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The headers of a message, signed with each secret; `timestamp` is in seconds."""
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(sign(key, message_id, timestamp, body) for key in keys),
    }


def sign(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """One signature. Raises ValueError if the secret is malformed."""
    content = b".".join([message_id.encode(), str(timestamp).encode(), body])
    return f"{VERSION},{base64.b64encode(hmac.digest(_key(secret), content, 'sha256')).decode()}"


def _key(secret: str) -> bytes:
    try:
        return base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except binascii.Error:
        raise ValueError("A webhook secret must be whsec_ and base64.") from None
