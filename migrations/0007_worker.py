"""Store heartbeats and failures of the worker's tasks, and index queued messages by organization and webhook."""

from peewee import BooleanField, IntegerField, Model, TextField, UUIDField

from models.base import TimestampField

QUEUED = "WHERE state = 'queued'"


def up(migrator, db):
    class Table(Model):
        id = UUIDField(primary_key=True)
        created_at = TimestampField()

        class Meta:
            database = db

    class Heartbeat(Table):
        worker = TextField()
        task = TextField()
        is_continuous = BooleanField()
        beat_at = TimestampField()

        class Meta:
            table_name = "heartbeats"
            indexes = ((("worker", "task"), True),)

    class TaskFailure(Table):
        task = TextField()
        owner = TextField()
        error = TextField()
        attempts = IntegerField()
        retry_at = TimestampField()

        class Meta:
            table_name = "task_failures"
            indexes = ((("task", "owner"), True),)

    db.create_tables([Heartbeat, TaskFailure])
    for name in ("deliveries_due", "webhook_deliveries_due"):
        db.execute_sql(f"DROP INDEX {name}")
    columns = "organization_id, due_at, id"
    db.execute_sql(f"CREATE INDEX deliveries_queued ON deliveries ({columns}) {QUEUED}")
    columns = "webhook_id, due_at, id"
    db.execute_sql(f"CREATE INDEX webhook_deliveries_queued ON webhook_deliveries ({columns}) {QUEUED}")
