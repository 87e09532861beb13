"""Tables; queries that return queries; verbs that do one thing in one transaction."""

from models.assessments import Assessment, CandidateKey, Issue, KeyCount, Rubric, RubricVersion
from models.audit import AuditChain, AuditEntry
from models.base import bind, clock, db, folded, new_id
from models.delivery import Delivery
from models.idempotency import IdempotentRequest
from models.occurrences import Feed, Occurrence, read_feed
from models.orgs import Organization, Reviewer
from models.privacy import DailyTask, Erasure
from models.proxying import ModelUsage
from models.rollups import CohortCount, CohortRollup
from models.scoring import Score
from models.seals import Seal
from models.service_secrets import ServiceSecret, upload_secret
from models.sessions import (
    Arrival,
    Consent,
    Event,
    Session,
    SigningKey,
    key_records,
    key_status,
    presented_key,
)
from models.submissions import ClientReport, Submission, Upload
from models.webhooks import Webhook, WebhookDelivery

# Parents before children.
TABLES = [
    Organization,
    Reviewer,
    Occurrence,
    Feed,
    Delivery,
    Issue,
    Rubric,
    RubricVersion,
    Assessment,
    CandidateKey,
    KeyCount,
    Consent,
    Session,
    CohortRollup,
    CohortCount,
    SigningKey,
    Event,
    ModelUsage,
    ClientReport,
    Upload,
    Submission,
    Seal,
    ServiceSecret,
    Score,
    Webhook,
    WebhookDelivery,
    Erasure,
    DailyTask,
    AuditEntry,
    AuditChain,
    IdempotentRequest,
]

__all__ = [
    "TABLES",
    "Arrival",
    "Assessment",
    "AuditChain",
    "AuditEntry",
    "CandidateKey",
    "ClientReport",
    "CohortCount",
    "CohortRollup",
    "Consent",
    "DailyTask",
    "Delivery",
    "Erasure",
    "Event",
    "Feed",
    "IdempotentRequest",
    "Issue",
    "KeyCount",
    "ModelUsage",
    "Occurrence",
    "Organization",
    "Reviewer",
    "Rubric",
    "RubricVersion",
    "Score",
    "Seal",
    "ServiceSecret",
    "Session",
    "SigningKey",
    "Submission",
    "Upload",
    "Webhook",
    "WebhookDelivery",
    "bind",
    "clock",
    "db",
    "folded",
    "key_records",
    "key_status",
    "new_id",
    "presented_key",
    "read_feed",
    "upload_secret",
]
