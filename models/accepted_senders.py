"""Networks that have sent valid credentials; used while a network is locked (access/credential_throttling.py)."""

import hmac
from datetime import timedelta
from typing import Any

import peewee

from models.base import Model, PersonalData, Query, TimestampField, clock
from models.keys import CandidateKey
from models.service_secrets import service_secret

RETENTION = timedelta(days=30)


class AcceptedSender(Model):
    """A credential that was accepted from a network.

    `fingerprint` is the HMAC of network and credential. `credential` is the HMAC of the credential alone, for erasure.
    """

    personal_data = PersonalData(
        "networks",
        "Fingerprints of the networks from which your key was used, until 30 days after their last use.",
        "seen_at",
    )

    fingerprint = peewee.TextField(unique=True)
    credential = peewee.TextField(index=True)
    seen_at = TimestampField(default=clock.now, index=True)

    @classmethod
    def record(cls, network: str, credential: str) -> None:
        """Create the sender, or update its `seen_at`."""
        insert = cls.insert(fingerprint=_fingerprint(network, credential), credential=_hmac(credential))
        insert.on_conflict(conflict_target=[cls.fingerprint], preserve=[cls.seen_at]).execute()

    @classmethod
    def is_recorded(cls, network: str, credential: str) -> bool:
        is_sender = cls.fingerprint == _fingerprint(network, credential)
        return cls.select().where(is_sender, cls.seen_at > clock.now() - RETENTION).exists()

    @classmethod
    def delete_sender(cls, network: str, credential: str) -> None:
        cls.delete().where(cls.fingerprint == _fingerprint(network, credential)).execute()

    @classmethod
    def delete_expired(cls) -> int:
        return cls.delete().where(cls.seen_at <= clock.now() - RETENTION).execute()

    @classmethod
    def personal_rows(cls, key: CandidateKey, session: Any) -> Query:
        return cls.select().where(cls.credential == _hmac(key.key))

    @classmethod
    def erase_personal_data(cls, key: CandidateKey, session: Any) -> int:
        return cls.delete().where(cls.credential == _hmac(key.key)).execute()


def _fingerprint(network: str, credential: str) -> str:
    return _hmac(f"{network} {credential}")


def _hmac(value: str) -> str:
    """Return the HMAC. A plain hash could be reversed by trying all possible keys."""
    return hmac.digest(service_secret("senders"), value.encode("utf-8", "surrogatepass"), "sha256").hex()
