"""Sign webhooks according to Standard Webhooks 1.0.0."""

import base64
import binascii
import hmac
import secrets
from collections.abc import Iterable

PREFIX = "whsec_"


def generate_secret() -> str:
    """Generate a 256-bit random secret."""
    return PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def headers(valid_secrets: Iterable[str], message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """Build a message's headers, with a signature for each valid secret.

    timestamp -- seconds since the epoch
    """
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(sign(secret, message_id, timestamp, body) for secret in valid_secrets),
    }


def sign(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """Return a signature. Raises ValueError if the secret is malformed."""
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except binascii.Error:
        raise ValueError("A webhook secret must be whsec_ and base64.") from None
    digest = hmac.digest(key, f"{message_id}.{timestamp}.".encode() + body, "sha256")
    return f"v1,{base64.b64encode(digest).decode()}"
