"""Tables; queries that return queries; verbs that do one thing in one transaction."""

from models.assessments import Assessment, CandidateKey, Issue, KeyCount, Rubric, RubricVersion
from models.audit import AuditChain, AuditEntry
from models.base import bind, clock, db, folded, new_id
from models.delivery import Delivery
from models.feed import Feed, FeedEvent, read_feed
from models.idempotency import IdempotentRequest
from models.model_usage import ModelUsage
from models.orgs import ApiToken, Organization
from models.privacy import DailyTask, Erasure
from models.rollups import CohortCount, CohortRollup
from models.scores import Score
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
from models.submissions import BundleUpload, ClientReport, Submission
from models.webhooks import Webhook, WebhookDelivery

# Parents before children.
TABLES = [
    Organization,
    ApiToken,
    FeedEvent,
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
    BundleUpload,
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
    "ApiToken",
    "Arrival",
    "Assessment",
    "AuditChain",
    "AuditEntry",
    "BundleUpload",
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
    "FeedEvent",
    "IdempotentRequest",
    "Issue",
    "KeyCount",
    "ModelUsage",
    "Organization",
    "Rubric",
    "RubricVersion",
    "Score",
    "Seal",
    "ServiceSecret",
    "Session",
    "SigningKey",
    "Submission",
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
