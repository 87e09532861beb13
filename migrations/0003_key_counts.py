"""Store the number of valid keys of each assessment, and add covering indexes for lists of keys."""

from peewee import BooleanField, ForeignKeyField, IntegerField, Model, UUIDField, fn

from models.base import TimestampField, clock, new_id


def up(migrator, db):
    class Organization(Model):
        id = UUIDField(primary_key=True)

        class Meta:
            database = db
            table_name = "organizations"

    class Assessment(Model):
        id = UUIDField(primary_key=True)

        class Meta:
            database = db
            table_name = "assessments"

    class CandidateKey(Model):
        id = UUIDField(primary_key=True)
        organization = ForeignKeyField(Organization)
        assessment = ForeignKeyField(Assessment)
        revoked_at = TimestampField(null=True)

        class Meta:
            database = db
            table_name = "candidate_keys"

    class KeyCount(Model):
        id = UUIDField(primary_key=True)
        created_at = TimestampField()
        organization = ForeignKeyField(Organization)
        assessment = ForeignKeyField(Assessment, index=False)
        change = IntegerField()
        is_sum = BooleanField(default=False)

        class Meta:
            database = db
            table_name = "key_counts"

    KeyCount.add_index(
        KeyCount.index(KeyCount.assessment, unique=True, where=KeyCount.is_sum, name="key_counts_sums")
    )
    KeyCount.add_index(KeyCount.index(KeyCount.id, where=~KeyCount.is_sum, name="key_counts_to_fold"))
    db.create_tables([KeyCount])
    _count_keys(CandidateKey, KeyCount)
    for name in ("candidatekey_organization_id_created_at_id", "candidatekey_address"):
        db.execute_sql(f"DROP INDEX {name}")
    columns = "organization_id, created_at, id, assessment_id, revoked_at"
    db.execute_sql(f"CREATE INDEX candidate_keys_in_order ON candidate_keys ({columns})")
    db.execute_sql("CREATE INDEX candidate_keys_of_address ON candidate_keys (address, assessment_id)")


def _count_keys(keys, counts):
    group = (keys.organization_id, keys.assessment_id)
    valid = keys.select(*group, fn.COUNT(keys.id)).where(keys.revoked_at.is_null()).group_by(*group)
    for organization_id, assessment_id, count in list(valid.tuples()):
        row = {"organization": organization_id, "assessment": assessment_id, "change": count, "is_sum": True}
        counts.insert(row | {"id": new_id(), "created_at": clock.now()}).execute()
