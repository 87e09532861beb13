"""Sign the number of sealed events in each organization's chain row, and each audit entry when it is recorded.

Rows that were signed before are signed again, if SEAL_KEYS has their key: nobody else can tell them from forged ones.
"""

from models.base import is_postgres
from models.ledger import seal_keys
from models.ledger.audit import AuditChain, AuditEntry
from rules.integrity.audit_chain import content_text

COLUMNS = (
    *("id", "created_at", "organization", "action", "actor_kind", "actor_id", "actor_name", "subject_kind"),
    *("subject_id", "further_ids", "members", "came_from", "request_id", "key_id"),
)


def up(migrator, db):
    for name in ("sealed_events", "anchored_events"):
        db.execute_sql(f"ALTER TABLE audit_chains ADD COLUMN {name} BIGINT NOT NULL DEFAULT 0")
    db.execute_sql(
        """UPDATE audit_chains SET sealed_events = (
            SELECT COALESCE(SUM(sealed_count), 0) FROM sessions
            WHERE sessions.organization_id = audit_chains.organization_id
        )"""
    )
    db.execute_sql("ALTER TABLE audit_entries ADD COLUMN recorded_key_id TEXT")
    db.execute_sql(
        f"ALTER TABLE audit_entries ADD COLUMN recorded_mac {'BYTEA' if is_postgres() else 'BLOB'}"
    )
    sign_existing()


def sign_existing():
    """Sign the chain rows and entries that earlier versions signed."""
    columns = (
        AuditChain.id,
        AuditChain.organization,
        AuditChain.head,
        AuditChain.count,
        AuditChain.final_seals,
    )
    chains = AuditChain.select(*columns, AuditChain.sealed_events, AuditChain.key_id, AuditChain.mac)
    for chain in chains.where(AuditChain.key_id.is_null(False)):
        head, counts = chain.head.hex() if chain.head else "", [str(chain.count), str(chain.final_seals)]
        fields = ("PROOFSTONE-ORGANIZATION-V1", str(chain.organization_id), head, *counts)
        if seal_keys.is_signed(chain.key_id, chain.mac, *fields):
            _sign_entries(chain.organization_id)
            key_id, mac = seal_keys.sign(*fields, str(chain.sealed_events))
            AuditChain.update(key_id=key_id, mac=mac).where(AuditChain.id == chain.id).execute()


def _sign_entries(organization_id):
    """Sign the entries that were chained with a key, and those that are not chained yet."""
    signs = AuditEntry.key_id.is_null(False) | AuditEntry.position.is_null()
    entries = AuditEntry.select(*(getattr(AuditEntry, name) for name in COLUMNS))
    for entry in entries.where(AuditEntry.organization == organization_id, signs).iterator():
        key_id, mac = seal_keys.sign("PROOFSTONE-AUDIT-ENTRY-V1", content_text(entry.hashed_columns()))
        signed = {"recorded_key_id": key_id, "recorded_mac": mac}
        AuditEntry.update(**signed).where(AuditEntry.id == entry.id).execute()
