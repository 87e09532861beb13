"""Sign seals with keys, and add final seals (R43)."""

from peewee import BigIntegerField, ForeignKeyField, IntegerField, Model, TextField, UUIDField

from models.base import BytesField, TimestampField, clock, is_postgres, new_id

COLUMNS = {
    "sessions": {
        "seal_key_id": "text",
        "seal_mac": "bytes",
        "final_seal_count": "count",
        "final_seal_mac": "bytes",
    },
    "events": {"arrival_mac": "text"},
    "seals": {"key_id": "text"},
    "audit_entries": {"key_id": "text"},
    "audit_chains": {
        "final_seals": "big count",
        "key_id": "text",
        "mac": "bytes",
        "anchored_count": "big count",
        "anchored_at": "time",
    },
}


def up(migrator, db):
    types = {
        "text": "TEXT",
        "bytes": "BYTEA" if is_postgres() else "BLOB",
        "count": "INTEGER NOT NULL DEFAULT 0",
        "big count": "BIGINT NOT NULL DEFAULT 0",
        "time": "TIMESTAMPTZ",
    }
    for table, columns in COLUMNS.items():
        for name, kind in columns.items():
            db.execute_sql(f"ALTER TABLE {table} ADD COLUMN {name} {types[kind]}")
    db.execute_sql("CREATE INDEX sessions_unsealed ON sessions (closed_at) WHERE final_seal_count = 0")
    db.create_tables([_final_seals(db)])
    _create_chains(db)


def _final_seals(db):
    class Organization(Model):
        id = UUIDField(primary_key=True)

        class Meta:
            database = db
            table_name = "organizations"

    class Session(Model):
        id = UUIDField(primary_key=True)

        class Meta:
            database = db
            table_name = "sessions"

    class FinalSeal(Model):
        id = UUIDField(primary_key=True)
        created_at = TimestampField()
        organization = ForeignKeyField(Organization)
        session = ForeignKeyField(Session, index=False)
        number = IntegerField()
        reason = TextField()
        content = TextField()
        key_id = TextField(null=True)
        mac = BytesField()

        class Meta:
            database = db
            table_name = "final_seals"
            indexes = ((("session", "number"), True),)

    return FinalSeal


def _create_chains(db):
    """Create the row of each organization that has none: from now on a missing row is a break."""

    class AuditChain(Model):
        id = UUIDField(primary_key=True)
        created_at = TimestampField()
        organization_id = UUIDField()
        count = BigIntegerField(default=0)

        class Meta:
            database = db
            table_name = "audit_chains"

    query = "SELECT id FROM organizations WHERE id NOT IN (SELECT organization_id FROM audit_chains)"
    for (organization_id,) in db.execute_sql(query).fetchall():
        AuditChain.create(id=new_id(), created_at=clock.now(), organization_id=organization_id)
