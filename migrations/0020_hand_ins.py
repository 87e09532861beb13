"""Hand-ins of candidates, and the final diff of those that are git bundles."""

from peewee import BooleanField, ForeignKeyField, IntegerField, JSONField, Model, TextField, UUIDField

from models.base import TimestampField


def up(migrator, db):
    class Session(Model):
        id = UUIDField(primary_key=True)

        class Meta:
            database = db
            table_name = "sessions"

    class BundleUpload(Model):
        id = UUIDField(primary_key=True)

        class Meta:
            database = db
            table_name = "uploads"

    class HandIn(Model):
        id = UUIDField(primary_key=True)
        created_at = TimestampField()
        session = ForeignKeyField(Session)
        upload = ForeignKeyField(BundleUpload)
        format = TextField()
        size = IntegerField()
        sha256 = TextField()
        state = TextField()
        problem = TextField(null=True)
        attempts = IntegerField()
        retry_at = TimestampField(null=True)
        base_verified = BooleanField(null=True)
        base_commit = TextField(null=True)
        head_commit = TextField(null=True)
        counted_lines = IntegerField(null=True)
        manual_lines = IntegerField(null=True)
        matched_event_count = IntegerField(null=True)

        class Meta:
            database = db
            table_name = "hand_ins"

    class HandInFile(Model):
        id = UUIDField(primary_key=True)
        created_at = TimestampField()
        session = ForeignKeyField(Session)
        path = TextField()
        old_path = TextField(null=True)
        status = TextField()
        old_mode = TextField(null=True)
        new_mode = TextField(null=True)
        is_binary = BooleanField()
        is_truncated = BooleanField()
        lines_added = IntegerField()
        lines_removed = IntegerField()
        diff = TextField(null=True)
        manual_ranges = JSONField()

        class Meta:
            database = db
            table_name = "hand_in_files"

    db.create_tables([HandIn, HandInFile])
    db.execute_sql("CREATE INDEX hand_ins_due ON hand_ins (retry_at) WHERE retry_at IS NOT NULL")
    db.execute_sql("ALTER TABLE sessions ADD COLUMN manual_line_ratio BIGINT")
