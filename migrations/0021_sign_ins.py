"""Sign-ins to the console, and the grants of mailed links and OpenID Connect."""

from peewee import ForeignKeyField, Model, TextField, UUIDField

from models.base import TimestampField


def up(migrator, db):
    class Reviewer(Model):
        id = UUIDField(primary_key=True)

        class Meta:
            database = db
            table_name = "reviewers"

    class SignIn(Model):
        id = UUIDField(primary_key=True)
        created_at = TimestampField()
        fingerprint = TextField(unique=True)
        token = ForeignKeyField(Reviewer)
        method = TextField()
        expires_at = TimestampField(index=True)
        last_used_at = TimestampField(null=True)
        ended_at = TimestampField(null=True)

        class Meta:
            database = db
            table_name = "sign_ins"

    class SignInGrant(Model):
        id = UUIDField(primary_key=True)
        created_at = TimestampField()
        address = TextField()
        method = TextField()
        fingerprint = TextField(null=True, unique=True)
        expires_at = TimestampField(index=True)
        queued_at = TimestampField(null=True)
        used_at = TimestampField(null=True)

        class Meta:
            database = db
            table_name = "sign_in_grants"

    db.create_tables([SignIn, SignInGrant])
