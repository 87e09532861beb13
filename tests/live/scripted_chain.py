"""Sign and verify events like the candidate's client (docs/candidate-client.md, section 7).

Independent of the service's code, because it tests the contract from the other side.
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
    """A session's signature chain, in a file that the client's processes share and lock."""

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
            previous = log.read()[-SIGNATURE_DIGITS - 1 :].strip()
            sig = self.key.sign(message(event, previous)).hex()
            log.write(sig + "\n")
        # A chain's first event has no `prevSig`.
        return event | {"sig": sig} | ({"prevSig": previous} if previous else {})


def message(event: dict[str, Any], previous: str) -> bytes:
    """Build the text that a signature covers."""
    data = hashlib.sha256(canonical(event["data"]).encode()).hexdigest()
    fields = [event[name] for name in ("id", "sessionId", "ts", "kind", "source")]
    return "\n".join(["PST-EVT-V1", *fields, str(event["v"]), data, previous, ""]).encode()


def canonical(value: Any) -> str:
    """Format canonical JSON."""
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
    """Serialize a request body in field order, with canonical values."""
    members = (f"{text(name)}:{canonical(value)}" for name, value in fields.items())
    return f"{{{','.join(members)}}}".encode()


def verify(signed_log: dict[str, Any]) -> int:
    """Verify a signed log's chain and signatures, and return the number of events."""
    public_key = Ed25519PublicKey.from_public_bytes(base64.b64decode(signed_log["signingPubkey"]))
    previous = ""
    for row in signed_log["events"]:
        assert (row["prevSig"] or "") == previous
        signed = message(row["payload"], previous)
        public_key.verify(bytes.fromhex(row["sig"]), signed)
        assert row["eventHash"] == hashlib.sha256(signed).hexdigest()
        previous = row["sig"]
    return len(signed_log["events"])
