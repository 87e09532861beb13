"""Create the first tables: a frozen copy of the models at that time."""

from peewee import (
    BigAutoField,
    BigIntegerField,
    BooleanField,
    ForeignKeyField,
    IntegerField,
    JSONField,
    Model,
    TextField,
    UUIDField,
)

from models.base import BytesField, TimestampField


def up(migrator, db):
    class Table(Model):
        id = UUIDField(primary_key=True)
        created_at = TimestampField()

        class Meta:
            database = db

    class Organization(Table):
        name = TextField()
        plan = TextField(default="self_hosted")
        subscription = TextField(null=True)
        trial_ends_at = TimestampField(null=True)
        display_name = TextField(null=True)
        reply_to = TextField(null=True)
        retention_days = IntegerField(null=True)
        disclosure_additions = JSONField(null=True)

        class Meta:
            table_name = "organizations"

    class Issue(Table):
        organization = ForeignKeyField(Organization, null=True)
        title = TextField()
        repo_url = TextField(null=True)
        repo_commit = TextField(null=True)
        repo_subdir = TextField(null=True)
        description = TextField(null=True)
        difficulty = TextField(null=True)
        language = TextField(null=True)
        labels = JSONField(default=list)
        task_brief = TextField()
        setup_instructions = TextField(null=True)
        test_command = TextField(null=True)
        reference_sha = TextField(null=True)
        sources = JSONField(default=list)
        license = TextField(null=True)
        search_text = TextField(default="")
        updated_at = TimestampField()
        deleted_at = TimestampField(null=True)

        class Meta:
            table_name = "issues"

    class Rubric(Table):
        organization = ForeignKeyField(Organization)
        name = TextField()
        criteria = JSONField()
        version = IntegerField(default=1)
        updated_at = TimestampField()
        deleted_at = TimestampField(null=True)

        class Meta:
            table_name = "rubrics"

    class Assessment(Table):
        organization = ForeignKeyField(Organization, index=False)
        title = TextField()
        role = TextField()
        task_brief = TextField()
        repo_url = TextField(null=True)
        repo_commit = TextField(null=True)
        repo_subdir = TextField(null=True)
        setup_instructions = TextField(null=True)
        issue = ForeignKeyField(Issue, null=True)
        rubric = ForeignKeyField(Rubric, null=True)
        brief = JSONField(null=True)
        allowed_tools = JSONField(null=True)
        token_budget_nano_usd = BigIntegerField(null=True)
        time_limit_minutes = IntegerField(null=True)
        expires_in_days = IntegerField(default=7)
        reminder_days_before = IntegerField(null=True)
        updated_at = TimestampField()
        deleted_at = TimestampField(null=True)

        class Meta:
            table_name = "assessments"
            indexes = ((("organization", "created_at", "id"), False),)

    class AuditChain(Table):
        organization = ForeignKeyField(Organization, unique=True)
        head = BytesField(null=True)
        count = BigIntegerField(default=0)

        class Meta:
            table_name = "audit_chains"

    class AuditEntry(Table):
        organization = ForeignKeyField(Organization, index=False)
        action = TextField()
        actor_kind = TextField()
        actor_id = UUIDField(null=True)
        actor_name = TextField(null=True)
        subject_kind = TextField(null=True)
        subject_id = UUIDField(null=True)
        further_ids = JSONField(default=list)
        members = JSONField(default=list)
        came_from = TextField(null=True)
        request_id = TextField(null=True)
        position = BigIntegerField(null=True)
        hash = BytesField(null=True)

        class Meta:
            table_name = "audit_entries"
            indexes = (
                (("organization", "position"), True),
                (("organization", "created_at", "id"), False),
                (("organization", "subject_id"), False),
            )

    AuditEntry.add_index(
        AuditEntry.index(
            AuditEntry.id,
            where=AuditEntry.position.is_null(),
            name="audit_entries_unchained",
        )
    )

    class CandidateKey(Table):
        organization = ForeignKeyField(Organization, index=False)
        assessment = ForeignKeyField(Assessment, index=False)
        key = TextField(unique=True)
        candidate_email = TextField(null=True)
        candidate_name = TextField(null=True)
        address = TextField(null=True)
        search_text = TextField(default="")
        external_id = TextField(null=True)
        metadata = JSONField(null=True)
        extra_minutes = IntegerField(null=True)
        time_multiplier_thousandths = IntegerField(null=True)
        invitation_id = UUIDField(null=True)
        bounced = BooleanField(default=False)
        reminded_at = TimestampField(null=True)
        expires_at = TimestampField()
        revoked_at = TimestampField(null=True)
        erasure_requested_at = TimestampField(null=True)
        erased_at = TimestampField(null=True)

        class Meta:
            table_name = "candidate_keys"
            indexes = (
                (("organization", "created_at", "id"), False),
                (("assessment", "created_at", "id"), False),
            )

    CandidateKey.add_index(CandidateKey.index(CandidateKey.address, name="candidatekey_address"))
    CandidateKey.add_index(
        CandidateKey.index(
            CandidateKey.expires_at,
            where=CandidateKey.reminded_at.is_null(),
            name="candidate_keys_to_remind",
        )
    )

    class Session(Table):
        organization = ForeignKeyField(Organization, index=False)
        assessment = ForeignKeyField(Assessment)
        key = ForeignKeyField(CandidateKey, unique=True)
        closes_at = TimestampField(null=True)
        closed_at = TimestampField(null=True)
        closed_by = TextField(null=True)
        completed_at = TimestampField(null=True)
        hired_at = TimestampField(null=True)
        redeem_allowed = BooleanField(default=False)
        tests_passed_count = IntegerField(null=True)
        tests_failed_count = IntegerField(null=True)
        tests_skipped_count = IntegerField(null=True)
        tests_note = TextField(null=True)
        metrics_due = BooleanField(default=False)
        derivation_version = IntegerField(null=True)
        event_count = IntegerField(null=True)
        duration_ms = BigIntegerField(null=True)
        prompt_count = BigIntegerField(null=True)
        command_fail_rate = BigIntegerField(null=True)
        verify_intensity = BigIntegerField(null=True)
        manual_edit_ratio = BigIntegerField(null=True)
        first_change_latency_ms = BigIntegerField(null=True)
        tests_passed = BooleanField(null=True)
        further_metrics = JSONField(null=True)
        sealed_count = IntegerField(default=0)
        seal_head = BytesField(null=True)

        class Meta:
            table_name = "sessions"
            indexes = ((("organization", "created_at", "id"), False),)

    Session.add_index(
        Session.index(Session.closes_at, where=Session.closed_at.is_null(), name="sessions_open")
    )
    Session.add_index(Session.index(Session.id, where=Session.metrics_due, name="sessions_metrics_due"))

    class ClientReport(Table):
        session = ForeignKeyField(Session)
        kind = TextField()
        data = JSONField()

        class Meta:
            table_name = "client_reports"

    class Consent(Table):
        key = ForeignKeyField(CandidateKey)
        disclosure_version = TextField(null=True)
        disclosure_hash = TextField(null=True)

        class Meta:
            table_name = "consents"

    class DailyTask(Table):
        name = TextField(unique=True)
        day = TextField()

        class Meta:
            table_name = "daily_tasks"

    class Delivery(Table):
        organization = ForeignKeyField(Organization)
        kind = TextField()
        subject_id = UUIDField(index=True)
        data = JSONField()
        state = TextField(default="queued")
        attempts = IntegerField(default=0)
        due_at = TimestampField()
        last_error = TextField(null=True)
        sent_at = TimestampField(null=True)

        class Meta:
            table_name = "deliveries"

    Delivery.add_index(
        Delivery.index(
            Delivery.due_at, Delivery.id, where=(Delivery.state == "queued"), name="deliveries_due"
        )
    )
    Delivery.add_index(
        Delivery.index(Delivery.organization, Delivery.state, Delivery.id, name="deliveries_of")
    )

    class Reviewer(Table):
        organization = ForeignKeyField(Organization)
        name = TextField()
        scope = TextField()
        fingerprint = TextField(unique=True)
        last_four = TextField()
        expires_at = TimestampField(null=True)
        last_used_at = TimestampField(null=True)
        revoked_at = TimestampField(null=True)

        class Meta:
            table_name = "reviewers"

    class Erasure(Table):
        organization = ForeignKeyField(Organization)
        key = ForeignKeyField(CandidateKey, unique=True)
        kind = TextField()
        reviewer = ForeignKeyField(Reviewer, null=True)
        session_id = UUIDField(null=True)
        counts = JSONField()

        class Meta:
            table_name = "erasures"

    class Event(Model):
        seq = BigAutoField()
        session = ForeignKeyField(Session, index=False)
        event_id = TextField()
        kind = TextField()
        source = TextField(null=True)
        actor = TextField(null=True)
        attribution = TextField(null=True)
        time_ns = BigIntegerField()
        received_at = TimestampField()
        late = BooleanField()
        subject = TextField(null=True)
        note = TextField(null=True)
        size = IntegerField()
        verdict = TextField(null=True)
        envelope = TextField()

        class Meta:
            database = db
            table_name = "events"
            indexes = (
                (("session", "event_id"), True),
                (("session", "seq"), False),
                (("session", "time_ns", "seq"), False),
                (("session", "kind", "time_ns", "seq"), False),
            )

    Event.add_index(Event.index(Event.seq, where=Event.verdict.is_null(), name="events_not_judged"))

    class Feed(Table):
        organization = ForeignKeyField(Organization, unique=True)
        position = BigIntegerField(default=0)

        class Meta:
            table_name = "feeds"

    class IdempotentRequest(Table):
        reviewer = ForeignKeyField(Reviewer)
        fingerprint = TextField()
        digest = TextField()
        status = IntegerField(null=True)
        answer = TextField(null=True)

        class Meta:
            table_name = "idempotent_requests"
            indexes = ((("reviewer", "fingerprint"), True),)

    class ModelUsage(Table):
        session = ForeignKeyField(Session)
        provider = TextField()
        model = TextField(null=True)
        started_at = TimestampField()
        ended_at = TimestampField()
        status_code = IntegerField()
        is_whole = BooleanField()
        input_tokens = BigIntegerField(null=True)
        output_tokens = BigIntegerField(null=True)
        cache_read_tokens = BigIntegerField(null=True)
        cache_write_tokens = BigIntegerField(null=True)
        cache_write_1h_tokens = BigIntegerField(null=True)
        cost_nano_usd = BigIntegerField(null=True)

        class Meta:
            table_name = "model_usage"

    class Occurrence(Table):
        organization = ForeignKeyField(Organization, index=False)
        type = TextField()
        data = JSONField()
        position = BigIntegerField(null=True)

        class Meta:
            table_name = "occurrences"
            indexes = ((("organization", "position"), True),)

    Occurrence.add_index(
        Occurrence.index(Occurrence.id, where=Occurrence.position.is_null(), name="occurrences_not_numbered")
    )

    class RubricVersion(Table):
        rubric = ForeignKeyField(Rubric, index=False)
        number = IntegerField()
        name = TextField()
        criteria = JSONField()

        class Meta:
            table_name = "rubric_versions"
            indexes = ((("rubric", "number"), True),)

    class Score(Table):
        session = ForeignKeyField(Session, index=False)
        criterion = TextField()
        rubric_version = ForeignKeyField(RubricVersion)
        value = IntegerField()
        comment = TextField(null=True)
        evidence = JSONField(default=list)
        reviewer = ForeignKeyField(Reviewer)

        class Meta:
            table_name = "scores"
            indexes = ((("session", "id"), False),)

    class Seal(Table):
        session = ForeignKeyField(Session, index=False)
        position = IntegerField()
        event_seq = BigIntegerField(unique=True)
        event_id = TextField()
        head = BytesField()

        class Meta:
            table_name = "seals"
            indexes = ((("session", "position"), True),)

    class ServiceSecret(Table):
        name = TextField(unique=True)
        value = BytesField()

        class Meta:
            table_name = "service_secrets"

    class SigningKey(Table):
        session = ForeignKeyField(Session, index=False)
        public_key = TextField()

        class Meta:
            table_name = "signing_keys"
            indexes = ((("session", "public_key"), True),)

    class Upload(Table):
        session = ForeignKeyField(Session)
        object_key = TextField(unique=True)
        expires_at = TimestampField()

        class Meta:
            table_name = "uploads"

    class Submission(Table):
        session = ForeignKeyField(Session, index=False)
        upload = ForeignKeyField(Upload, null=True)
        verdict = TextField()
        bundle_size = BigIntegerField()
        bundle_sha256 = TextField()
        found_size = BigIntegerField(null=True)
        found_sha256 = TextField(null=True)
        repo_url = TextField(null=True)
        base_sha = TextField(null=True)
        file_tree = JSONField(null=True)
        diff = TextField(null=True)

        class Meta:
            table_name = "submissions"
            indexes = ((("session", "created_at", "id"), False),)

    class Webhook(Table):
        organization = ForeignKeyField(Organization)
        url = TextField()
        description = TextField(null=True)
        types = JSONField(default=list)
        include_personal = BooleanField(default=False)
        secret = TextField()
        former_secrets = JSONField(default=list)
        disabled_reason = TextField(null=True)
        disabled_at = TimestampField(null=True)
        failing_since = TimestampField(null=True)
        held_until = TimestampField(null=True)
        updated_at = TimestampField()
        deleted_at = TimestampField(null=True)

        class Meta:
            table_name = "webhooks"

    class WebhookDelivery(Table):
        webhook = ForeignKeyField(Webhook, index=False)
        event_id = UUIDField()
        type = TextField()
        candidate_id = UUIDField(index=True, null=True)
        body = TextField()
        state = TextField(default="queued")
        attempts = IntegerField(default=0)
        due_at = TimestampField()
        attempted_at = TimestampField(null=True)
        status = IntegerField(null=True)
        duration_ms = IntegerField(null=True)
        answer = TextField(null=True)
        last_error = TextField(null=True)
        is_erased = BooleanField(default=False)

        class Meta:
            table_name = "webhook_deliveries"
            indexes = ((("webhook", "event_id"), True), (("webhook", "created_at", "id"), False))

    WebhookDelivery.add_index(
        WebhookDelivery.index(
            WebhookDelivery.due_at,
            WebhookDelivery.id,
            where=(WebhookDelivery.state == "queued"),
            name="webhook_deliveries_due",
        )
    )

    tables = [
        Organization, Issue, Rubric, Assessment, AuditChain, AuditEntry, CandidateKey, Session,
        ClientReport, Consent, DailyTask, Delivery, Reviewer, Erasure, Event, Feed,
        IdempotentRequest, ModelUsage, Occurrence, RubricVersion, Score, Seal, ServiceSecret,
        SigningKey, Upload, Submission, Webhook, WebhookDelivery,
    ]  # fmt: skip
    db.create_tables(tables)
