"""People of organizations with their tokens, scores by reviewer, and blind assessments."""

from peewee import BooleanField, ForeignKeyField, Model, PostgresqlDatabase, TextField, UUIDField

from models.base import TimestampField


def up(migrator, db):
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

    class Person(Model):
        id = UUIDField(primary_key=True)
        created_at = TimestampField()
        organization = ForeignKeyField(Organization, index=False)
        name = TextField()
        email = TextField(null=True)
        address = TextField(null=True)
        role = TextField()
        active = BooleanField()
        invitation_id = UUIDField(null=True)
        updated_at = TimestampField()
        deleted_at = TimestampField(null=True)

        class Meta:
            database = db
            table_name = "people"
            indexes = ((("organization", "address"), True),)

    class CompletedScoring(Model):
        id = UUIDField(primary_key=True)
        created_at = TimestampField()
        session = ForeignKeyField(Session, index=False)
        person = ForeignKeyField(Person)

        class Meta:
            database = db
            table_name = "completed_scorings"
            indexes = ((("session", "person"), True),)

    db.create_tables([Person, CompletedScoring])
    is_postgres = isinstance(db, PostgresqlDatabase)
    person = f"{'UUID' if is_postgres else 'TEXT'} REFERENCES people (id)"
    db.execute_sql(f"ALTER TABLE reviewers ADD COLUMN person_id {person}")
    db.execute_sql("CREATE INDEX apitoken_person_id ON reviewers (person_id)")
    db.execute_sql("ALTER TABLE assessments ADD COLUMN blind BOOL NOT NULL DEFAULT FALSE")
    db.execute_sql("ALTER TABLE scores ADD COLUMN reason TEXT")
    db.execute_sql("ALTER TABLE scores ADD COLUMN withdrawn_at TIMESTAMPTZ")
