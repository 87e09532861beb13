"""Whether an event is as its candidate's client signed it (contract 7).

A signature covers the envelope's `id`, `sessionId`, `ts`, `kind`, `source`, `v`, `data` and, through `prevSig`,
the whole chain before it. It does not cover `actor`, `provenance`, `rawPayload` and `relatedEventIds`; a change of
those shows in the server's own seal only (rules/seals.py). How events follow one another is rules/chain_order.py.
"""

import base64
import re
from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import Any, NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from rules.canonical_json import FORMS, Form, canonical, parse, plain

VALID, INVALID, UNSIGNED, UNKNOWN_KEY = "valid", "invalid", "unsigned", "unknown_key"

_VERSION = "PST-EVT-V1"
_SIGNATURE = re.compile(r"[0-9a-fA-F]{128}")


class Judgement(NamedTuple):
    """What is to be said about one event's signature.

    verdict -- `valid`: one of the session's keys made it.
        `unsigned`: there is no `sig`, or it is null or empty.
        `unknown_key`: it is signed, and the session has no usable key to check it with.
        `invalid`: none of the session's keys made it for this content. Whether the content was changed or a key is
        meant that the server was never told cannot be known: an Ed25519 signature does not name its key. Also a
        `sig` that is no signature, and an envelope for which there is no message (`message` says which).
    event_hash -- SHA-256 of the signed message in hex (the contract's event hash); where no signature is valid, of
        the message as the client makes it today; None where nothing is signed
    public_key -- the key that made a valid signature, as it was registered, else None
    """

    verdict: str
    event_hash: str | None = None
    public_key: str | None = None


def usable(public_key: str) -> bool:
    """Whether this is an Ed25519 public key as the client registers it: padded base64 of 32 bytes."""
    return _loaded(public_key) is not None


def judge(text: str, public_keys: Sequence[str]) -> Judgement:
    """Judge an envelope as it was sent, with all public keys that its session has; never raises.

    The likeliest key comes first; keys that are not usable are passed over.
    """
    try:
        envelope = parse(text)
        if isinstance(envelope, dict) and not is_signed(envelope):
            return Judgement(UNSIGNED)
        return _judged(envelope, public_keys)
    except (ValueError, RecursionError):
        return Judgement(INVALID)


def is_signed(envelope: dict[str, Any]) -> bool:
    """Whether there is something to judge in an envelope, however it was read."""
    return envelope.get("sig") not in (None, "")


def verify(text: str, public_keys: Sequence[str]) -> str:
    """The verdict alone: `valid`, `invalid`, `unsigned` or `unknown_key`; see Judgement."""
    return judge(text, public_keys).verdict


def message(envelope: Any, form: Form = FORMS[0]) -> bytes:
    """The ten fields that an event's signature covers, joined by line feeds.

    envelope -- as rules.canonical_json.parse reads it
    Raises ValueError where a field is missing or of another type, and where `data` has no canonical form. A line
    feed in a field is refused as well: the same message would fit two different events.
    """
    if not isinstance(envelope, dict):
        raise ValueError("An envelope is an object.")
    fields = [
        _VERSION,
        *(_text(envelope.get(name)) for name in ("id", "sessionId", "ts", "kind")),
        _source(envelope.get("source")),
        _decimal(envelope.get("v")),
        sha256(canonical(envelope.get("data"), form)).hexdigest(),
        _text(envelope.get("prevSig") or ""),
        "",
    ]
    if any("\n" in field for field in fields):
        raise ValueError("A field holds a line feed.")
    return "\n".join(fields).encode()


def _judged(envelope: Any, public_keys: Sequence[str]) -> Judgement:
    first = sha256(message(envelope)).hexdigest()
    if not _SIGNATURE.fullmatch(_text(envelope["sig"])):
        return Judgement(INVALID, first)
    keys = [(text, key) for text in public_keys if (key := _loaded(text))]
    if not keys:
        return Judgement(UNKNOWN_KEY, first)
    signature = bytes.fromhex(envelope["sig"])
    for content in _messages(envelope):
        for text, key in keys:
            if _made(key, signature, content):
                return Judgement(VALID, sha256(content).hexdigest(), text)
    return Judgement(INVALID, first)


def _messages(envelope: Any) -> Iterator[bytes]:
    """The messages that the client may have meant by this envelope, the likeliest first, each once."""
    seen = set()
    for form in FORMS:
        content = message(envelope, form)
        if content not in seen:
            seen.add(content)
            yield content


def _made(key: Ed25519PublicKey, signature: bytes, content: bytes) -> bool:
    try:
        key.verify(signature, content)
    except InvalidSignature:
        return False
    return True


def _loaded(public_key: str) -> Ed25519PublicKey | None:
    try:
        return Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key, validate=True))
    except ValueError:
        return None


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("A field is no text.")
    return plain(value)


def _source(value: Any) -> str:
    """A text as it is; of an object `integration`, `emitter` or `channel`, whichever is the first text; else ""."""
    if isinstance(value, dict):
        names = (value.get(name) for name in ("integration", "emitter", "channel"))
        value = next((name for name in names if isinstance(name, str)), "")
    return plain(value) if isinstance(value, str) else ""


def _decimal(value: Any) -> str:
    if type(value) is not int:
        raise ValueError("The version is no integer.")
    return str(value)
