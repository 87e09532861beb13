"""Encrypt credentials, signing secrets and chat URLs with INTEGRATION_KEYS (AES-GCM)."""

import base64
import hmac
import os
import secrets
from contextlib import suppress
from datetime import timedelta
from hashlib import sha256
from typing import Any

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from integrations.errors import NoIntegrationKeys
from integrations.systems import adapters
from models.base import clock
from rules.ledger.keys import Keys, mac

NONCE_BYTES = 12
# After a rotation, webhooks signed with the former secret are accepted for this long.
ROTATION_OVERLAP = timedelta(days=1)


class Undecryptable(Exception):
    """No key in INTEGRATION_KEYS decrypts the value."""


_keys: Keys = {}


def use(known: Keys) -> None:
    """Encrypt with the first of these keys, and decrypt with all of them."""
    global _keys
    _keys = known


def keys() -> Keys:
    """Return the keys. Raises NoIntegrationKeys."""
    if not _keys:
        raise NoIntegrationKeys()
    return _keys


def encrypt(row_id: Any, text: str) -> str:
    """Encrypt with the first key, as `key id:base64`. The row's id must be the same to decrypt it."""
    key_id, secret = next(iter(keys().items()))
    nonce = os.urandom(NONCE_BYTES)
    encrypted = _cipher(secret).encrypt(nonce, text.encode(), str(row_id).encode())
    return f"{key_id}:{base64.b64encode(nonce + encrypted).decode()}"


def decrypt(row_id: Any, value: str) -> str:
    """Decrypt a value of `encrypt`. Raises Undecryptable."""
    key_id, _, encoded = value.partition(":")
    try:
        data = base64.b64decode(encoded)
        return (
            _cipher(_keys[key_id])
            .decrypt(data[:NONCE_BYTES], data[NONCE_BYTES:], str(row_id).encode())
            .decode()
        )
    except (KeyError, ValueError, InvalidTag):
        raise Undecryptable() from None


def is_current(value: str) -> bool:
    """Return whether a value is encrypted with the first key."""
    return value.partition(":")[0] == next(iter(keys()))


def application_macs(integration_id: Any, application_id: str) -> list[str]:
    """Return the MACs that recognize an erased application: under the current key, then under the others."""
    fields = ("PROOFSTONE-APPLICATION", str(integration_id), sha256(application_id.encode()).hexdigest())
    return [f"{key_id}:{mac(secret, *fields).hex()}" for key_id, secret in keys().items()]


def store_credential(integration: Any, credential: dict[str, str]) -> None:
    """Set the credential, also of a row that is not saved yet, and resume calls."""
    # The last field of an adapter's CREDENTIAL is the secret.
    secret = credential[adapters()[integration.system].CREDENTIAL[-1].name]
    integration.update_columns(
        credential=encrypt(integration.id, orjson.dumps(credential).decode()),
        credential_end=secret[-4:],
        stopped_reason=None,
        held_until=None,
    )


def read_credential(integration: Any) -> dict[str, str]:
    """Return the credential. Raises Undecryptable."""
    return orjson.loads(decrypt(integration.id, integration.credential))


def new_signing_secret(integration: Any) -> str:
    """Set a new signing secret, also of a row that is not saved yet; the former one is valid for ROTATION_OVERLAP."""
    secret = secrets.token_urlsafe(32)
    columns: dict[str, Any] = {"secret": encrypt(integration.id, secret)}
    if integration.secret:
        columns |= {
            "former_secret": integration.secret,
            "former_secret_until": clock.now() + ROTATION_OVERLAP,
        }
    integration.update_columns(**columns)
    return secret


def signing_secrets(integration: Any) -> list[str]:
    """Return the valid signing secrets, the current one first. Raises Undecryptable for the current one."""
    values = [decrypt(integration.id, integration.secret)]
    if integration.former_secret and clock.now() < integration.former_secret_until:
        # A secret is also replaced because its key was lost.
        with suppress(Undecryptable):
            values.append(decrypt(integration.id, integration.former_secret))
    return values


def _cipher(secret: bytes) -> AESGCM:
    return AESGCM(hmac.digest(secret, b"PROOFSTONE-INTEGRATIONS", "sha256"))
