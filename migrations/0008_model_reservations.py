"""Create the reservations of running model calls (models/sessions/model_usage.py)."""

from peewee import BigIntegerField, ForeignKeyField, Model, UUIDField

from models.base import TimestampField


def up(migrator, db):
    class Session(Model):
        id = UUIDField(primary_key=True)

        class Meta:
            database = db
            table_name = "sessions"

    class ModelReservation(Model):
        id = UUIDField(primary_key=True)
        created_at = TimestampField()
        session = ForeignKeyField(Session)
        nano_usd = BigIntegerField()
        expires_at = TimestampField()

        class Meta:
            database = db
            table_name = "model_reservations"

    db.create_tables([ModelReservation])
