"""Tables, queries, and methods that each run in one transaction."""

from models.accepted_senders import AcceptedSender
from models.access_hours import AccessHour
from models.assessments import Assessment
from models.base import case_folded, clock, db, new_id, tables
from models.candidates import CandidateList, CandidateRow, find_candidate
from models.database import bind
from models.deliveries import Delivery
from models.feed import Feed, FeedEvent, read_feed
from models.heartbeats import Heartbeat
from models.idempotency import IdempotentRequest
from models.issues import Issue
from models.key_generation import generate_keys
from models.keys import CandidateKey
from models.ledger import keys as ledger_keys
from models.ledger.audit import AuditEntry
from models.ledger.checkpoints import Checkpoint
from models.ledger.protection import LedgerEntry, ProtectedModel
from models.new_organizations import create_organization
from models.orgs import ApiToken, Organization, User
from models.privacy import DailyTask, Erasure
from models.review.assignments import Assignment
from models.review.notes import Note
from models.review.reveals import ScoreReveal
from models.rubrics import Rubric, RubricVersion
from models.scores import CompletedScoring, Score
from models.service_secrets import ServiceSecret, service_secret
from models.sessions import Consent, Event, ReceivedEvent, Session, SigningKey
from models.sessions.client_reports import ClientReport
from models.sessions.model_usage import ModelCaller, ModelReservation, ModelUsage
from models.sessions.recorded_texts import RecordedText
from models.sessions.submissions import BundleUpload, Submission, SubmissionFile
from models.sign_ins import SignIn, SignInGrant
from models.storage_marker import StorageMarker
from models.task_failures import TaskFailure
from models.tasks.checks import TaskCheck
from models.tasks.files import TaskFile
from models.tasks.runner_tokens import RunnerToken
from models.tasks.runs import TestRun
from models.webhooks import Webhook, WebhookDelivery
