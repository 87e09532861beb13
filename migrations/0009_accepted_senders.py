"""Store the senders of accepted credentials, and wrong credentials and addresses by hour."""

from peewee import IntegerField, Model, TextField, UUIDField

from models.base import TimestampField


def up(migrator, db):
    class AcceptedSender(Model):
        id = UUIDField(primary_key=True)
        created_at = TimestampField()
        fingerprint = TextField(unique=True)
        credential = TextField(index=True)
        seen_at = TimestampField(index=True)

        class Meta:
            database = db
            table_name = "accepted_senders"

    class AccessHour(Model):
        id = UUIDField(primary_key=True)
        created_at = TimestampField()
        hour = TimestampField(unique=True)
        wrong_credentials = IntegerField()
        sole_address = TextField(null=True)

        class Meta:
            database = db
            table_name = "access_hours"

    db.create_tables([AcceptedSender, AccessHour])
