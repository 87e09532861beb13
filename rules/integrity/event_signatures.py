"""Verify the client's event signatures (contract 7).

A signature covers the envelope's `id`, `sessionId`, `ts`, `kind`, `source`, `v`, `data` and, through `prevSig`, all
preceding events of the chain (rules/integrity/signature_chain.py). It does not cover `actor`, `provenance`,
`rawPayload` and `relatedEventIds`: only the ledger detects changes of these fields.
"""

import base64
import re
from collections.abc import Sequence
from contextlib import suppress
from hashlib import sha256
from typing import Any, NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from rules.integrity.canonical_json import VARIANTS, Variant, canonicalize, parse, replace_surrogates

VERDICTS = VALID, INVALID, UNSIGNED, UNKNOWN_KEY = "valid", "invalid", "unsigned", "unknown_key"

MAX_SIGNATURE_CHARACTERS = 128
_VERSION = "PST-EVT-V1"
_SIGNATURE = re.compile(r"[0-9a-fA-F]{128}")


class SignatureCheck(NamedTuple):
    """The result of verifying an event.

    verdict --
        `valid`: one of the session's keys signed this content.
        `unsigned`: `sig` is missing, null or empty.
        `unknown_key`: signed, but the session has no usable key.
        `invalid`: none of the session's keys signed this content, or a field that the signature covers is malformed.
            An Ed25519 signature does not identify its key, so the key might just not be registered.
    event_hash -- SHA-256 of the signed message in hex (the contract's event hash); without a valid signature, of the
        message in the client's current variant. None if `sig` is missing or too long
    """

    verdict: str
    event_hash: str | None = None


def is_public_key(text: str) -> bool:
    """Return whether the text is a 32-byte Ed25519 public key in padded base64."""
    return _load_key(text) is not None


def is_signed(envelope: dict[str, Any]) -> bool:
    return envelope.get("sig") not in (None, "")


def has_long_signature(envelope: dict[str, Any]) -> bool:
    """Return whether `sig` or `prevSig` is longer than a signature."""
    fields = (envelope.get("sig"), envelope.get("prevSig"))
    return any(isinstance(text, str) and len(text) > MAX_SIGNATURE_CHARACTERS for text in fields)


def verify(text: str, public_keys: Sequence[str]) -> SignatureCheck:
    """Verify an envelope as sent. Never raises.

    public_keys -- the session's keys, most likely first; invalid keys are skipped
    """
    try:
        envelope = parse(text)
        if isinstance(envelope, dict):
            if not is_signed(envelope):
                return SignatureCheck(UNSIGNED)
            if has_long_signature(envelope):
                return SignatureCheck(INVALID)
        return _verify(envelope, public_keys)
    except (ValueError, RecursionError):
        return SignatureCheck(INVALID)


def signed_message(envelope: Any, variant: Variant = VARIANTS[0]) -> bytes:
    """Return the ten fields that a signature covers, joined by line feeds.

    envelope -- from `canonical_json.parse`

    Raises ValueError if a field is missing or malformed, if `data` has no canonical form, or if a field contains a line
    feed, which would let two different events have the same message.
    """
    if not isinstance(envelope, dict) or type(envelope.get("v")) is not int:
        raise ValueError("The envelope is not an object with an integer version.")
    fields = [
        _VERSION,
        *(_text(envelope.get(name)) for name in ("id", "sessionId", "ts", "kind")),
        _source(envelope.get("source")),
        str(envelope["v"]),
        sha256(canonicalize(envelope.get("data"), variant)).hexdigest(),
        _text(envelope.get("prevSig") or ""),
        "",
    ]
    if any("\n" in field for field in fields):
        raise ValueError("A field contains a line feed.")
    return "\n".join(fields).encode()


def _verify(envelope: Any, public_keys: Sequence[str]) -> SignatureCheck:
    event_hash = sha256(signed_message(envelope)).hexdigest()
    if not _SIGNATURE.fullmatch(_text(envelope["sig"])):
        return SignatureCheck(INVALID, event_hash)
    keys = [key for text in public_keys if (key := _load_key(text))]
    if not keys:
        return SignatureCheck(UNKNOWN_KEY, event_hash)
    signature = bytes.fromhex(envelope["sig"])
    for variant in VARIANTS:
        message = signed_message(envelope, variant)
        for key in keys:
            with suppress(InvalidSignature):
                key.verify(signature, message)
                return SignatureCheck(VALID, sha256(message).hexdigest())
    return SignatureCheck(INVALID, event_hash)


def _load_key(public_key: str) -> Ed25519PublicKey | None:
    try:
        return Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key, validate=True))
    except ValueError:
        return None


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("A field is not a string.")
    return replace_surrogates(value)


def _source(value: Any) -> str:
    """Return the source if it is a string, or the first string among an object's names; otherwise ""."""
    if isinstance(value, dict):
        names = (value.get(name) for name in ("integration", "emitter", "channel"))
        value = next((name for name in names if isinstance(name, str)), "")
    return replace_surrogates(value) if isinstance(value, str) else ""
