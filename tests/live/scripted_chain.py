"""Sign and verify events as the candidate's client does (docs/candidate-client.md, section 7).

Shares no code with the service: it is the other side of the same contract.
"""

import base64
import fcntl
import hashlib
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

ALWAYS_ESCAPED = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
SIGNATURE_DIGITS = 128


class Chain:
    """The signatures of a session's events, in a file that all processes of the client share and lock."""

    def __init__(self, log: Path, seed: bytes):
        self.log = log
        self.key = Ed25519PrivateKey.from_private_bytes(seed)

    @property
    def public_key(self) -> str:
        return base64.b64encode(self.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()

    def append(self, event: dict[str, Any]) -> dict[str, Any]:
        """Sign the event as the chain's next one."""
        with self.log.open("a+") as log:
            fcntl.flock(log, fcntl.LOCK_EX)
            log.seek(0)
            before = log.read()[-SIGNATURE_DIGITS - 1 :].strip()
            sig = self.key.sign(message(event, before)).hex()
            log.write(sig + "\n")
        # The first event of a chain has no `prevSig`.
        return event | {"sig": sig} | ({"prevSig": before} if before else {})


def message(event: dict[str, Any], before: str) -> bytes:
    """The ten fields that a signature covers."""
    data = hashlib.sha256(canonical(event["data"]).encode()).hexdigest()
    names = [event[name] for name in ("id", "sessionId", "ts", "kind", "source")]
    return "\n".join(["PST-EVT-V1", *names, str(event["v"]), data, before, ""]).encode()


def canonical(value: Any) -> str:
    """Canonical JSON."""
    if isinstance(value, dict):
        ordered = sorted(value, key=lambda name: name.encode())
        return "{" + ",".join(f"{text(name)}:{canonical(value[name])}" for name in ordered) + "}"
    if isinstance(value, list):
        return f"[{','.join(map(canonical, value))}]"
    if isinstance(value, str):
        return text(value)
    return number(value) if isinstance(value, float) else json.dumps(value)


def number(value: float) -> str:
    if value == int(value) and abs(value) < 1e21:
        return str(int(value))
    if 1e-6 <= abs(value) < 1e21:
        return format(Decimal(repr(value)), "f")
    return repr(value).replace("e-0", "e-")


def text(value: str) -> str:
    escaped = json.dumps(value, ensure_ascii=False)
    return "".join(ALWAYS_ESCAPED.get(character, character) for character in escaped)


def encode(fields: dict[str, Any]) -> bytes:
    """A request body: the fields in their order, their values in canonical form."""
    return (
        "{" + ",".join(f"{text(name)}:{canonical(value)}" for name, value in fields.items()) + "}"
    ).encode()


def verify(signed_log: dict[str, Any]) -> int:
    """Check the chain and the signatures of a signed log; returns the number of events."""
    public_key = Ed25519PublicKey.from_public_bytes(base64.b64decode(signed_log["signingPubkey"]))
    before = ""
    for row in signed_log["events"]:
        assert (row["prevSig"] or "") == before
        signed = message(row["payload"], before)
        public_key.verify(bytes.fromhex(row["sig"]), signed)
        assert row["eventHash"] == hashlib.sha256(signed).hexdigest()
        before = row["sig"]
    return len(signed_log["events"])
