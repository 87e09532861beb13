"""A signing client, implemented from the client contract without `rules`."""

import base64
import hashlib
import json
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from factories import envelope

from models import Session


class Signer:
    """A key pair and its signature chain."""

    def __init__(self, seed: int = 0):
        self.key = Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)
        self.last_sig: str | None = None

    @property
    def public_key(self) -> str:
        return base64.b64encode(self.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()

    def event(self, session: Session, at: float = 0, **fields: Any) -> dict[str, Any]:
        """Build and sign the next event. Python's `json` must serialize its data canonically."""
        event = envelope(at=at, sessionId=str(session.id), **fields)
        event["sig"] = self._sign(event)
        if self.last_sig:
            event["prevSig"] = self.last_sig
        self.last_sig = event["sig"]
        return event

    def _sign(self, event: dict[str, Any]) -> str:
        data = json.dumps(event["data"], sort_keys=True, separators=(",", ":"))
        fields = ["PST-EVT-V1", event["id"], event["sessionId"], event["ts"], event["kind"], event["source"]]
        fields += [str(event["v"]), hashlib.sha256(data.encode()).hexdigest(), self.last_sig or "", ""]
        return self.key.sign("\n".join(fields).encode()).hex()
