"""A reference model of assessments, keys and sessions (R4, R13 to R31).

Each action takes the current time and returns the expected `(status, code)`; the code is None on success.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import wraps

OK, CREATED = (200, None), (201, None)
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
GRACE, FLUSH_WINDOW, LATE_WINDOW = 5 * MINUTE, 10 * MINUTE, DAY
MAX_EXPIRY = 365 * DAY
OPEN = ("pending", "active")
NOT_FOUND, KEY_NOT_FOUND, UNAUTHORIZED = (404, "not_found"), (404, "key_not_found"), (401, "unauthorized")


def conflict(code):
    return 409, code


@dataclass
class Assessment:
    id: str
    limit: int | None
    days: int
    title: str = "One"
    deleted: bool = False
    keys: list["Key"] = field(default_factory=list)

    def update(self, field, value):
        if self.deleted:
            return NOT_FOUND
        if field != "days" and getattr(self, field) != value and any(key.session for key in self.keys):
            return conflict("already_started")
        setattr(self, field, value)
        return OK

    def open_key(self, email, now):
        """Return the email address's latest pending or active key, if any."""
        keys = [key for key in self.keys if key.email and key.email.casefold() == email.casefold()]
        return next((key for key in reversed(keys) if not key.revoked and key.status(now) in OPEN), None)

    def cohort_size(self, now):
        """Count closed sessions, including those with revoked keys (R19)."""
        return sum(bool(key.session and key.session.closed_as_of(now)) for key in self.keys)


@dataclass
class Session:
    redeemed_at: datetime
    closes_at: datetime | None
    closed_at: datetime | None = None
    closed_by_limit: bool = False
    completed_at: datetime | None = None
    hired: bool = False
    redeem_allowed: bool = False
    events: dict[str, bool] = field(default_factory=dict)  # event id to whether it was late
    score: int | None = None

    def closed_as_of(self, now):
        """Return the closing time, if any. The time limit closes a session even if it is read later (R17)."""
        if self.closed_at is None and self.closes_at is not None and self.closes_at <= now:
            self.closed_at, self.closed_by_limit = self.closes_at, True
        return self.closed_at

    def count(self, late):
        return sum(was_late == late for was_late in self.events.values())

    def status(self, now):
        if self.hired or self.completed_at:
            return "hired" if self.hired else "completed"
        return "expired" if self.closed_as_of(now) else "active"


def for_reviewers(action):
    """Return 404 for a revoked key or a deleted assessment's key."""
    return wraps(action)(lambda key, *args: action(key, *args) if key.is_alive() else NOT_FOUND)


def for_candidates(action):
    """Return an error for an unknown or expired key in a body (R30)."""

    @wraps(action)
    def wrapper(key, now):
        if not key.is_alive():
            return KEY_NOT_FOUND
        return (410, "key_expired") if key.is_expired(now) else action(key, now)

    return wrapper


@dataclass
class Key:
    id: str
    key: str
    assessment: Assessment
    email: str | None
    expires_at: datetime
    session_id: str | None = None
    session: Session | None = None
    extra: int = 0
    consented: bool = False
    revoked: bool = False
    erased: bool = False

    def is_alive(self):
        return not self.revoked and not self.assessment.deleted

    def is_expired(self, now):
        return not self.session and self.expires_at <= now

    def status(self, now):
        unredeemed = "expired" if self.is_expired(now) else "pending"
        return self.session.status(now) if self.session else unredeemed

    @for_candidates
    def consent(self, now):
        self.consented = True
        return OK

    @for_candidates
    def redeem(self, now):
        if self.session is None:
            if not self.consented:
                return 403, "consent_required"
            self.session = Session(now, self._close_deadline(now))
        elif self.session.closed_as_of(now) or (self.session.events and not self.session.redeem_allowed):
            return conflict("already_redeemed")
        elif self.session.events:
            self.session.redeem_allowed = False
        return OK

    def _close_deadline(self, redeemed_at):
        limit = self.assessment.limit
        return None if limit is None else redeemed_at + (limit + self.extra) * MINUTE + GRACE

    def ingest(self, event_id, now):
        if not self.is_alive() or self.is_expired(now):
            return UNAUTHORIZED
        if self.session is None:
            return conflict("not_redeemed")
        closed = self.session.closed_as_of(now)
        if closed and now > closed + LATE_WINDOW:
            return conflict("session_closed")
        if event_id in self.session.events:
            return OK
        self.session.events[event_id] = bool(closed and now > closed + FLUSH_WINDOW)
        return CREATED

    @for_candidates
    def complete(self, now):
        session = self.session
        if session is None:
            return conflict("not_redeemed")
        closed = session.closed_as_of(now)
        if closed is None:
            session.closed_at = session.completed_at = now
        elif session.closed_by_limit and not session.completed_at and now <= closed + FLUSH_WINDOW:
            session.completed_at = now
        return OK

    @for_reviewers
    def revoke(self, now):
        self.revoked = True
        return OK

    @for_reviewers
    def invite(self, now):
        if self.status(now) not in OPEN:
            return conflict("session_ended" if self.session else "invitation_expired")
        return OK if self.email else conflict("no_email_address")

    @for_reviewers
    def extend(self, days, now, reopens=False):
        if self.session or self.is_expired(now) != reopens:
            code = "not_expired" if reopens else "invitation_expired"
            return conflict("key_redeemed" if self.session else code)
        expires_at = (now if reopens else self.expires_at) + (days or self.assessment.days) * DAY
        if expires_at > now + MAX_EXPIRY:
            return 400, "invalid_request"
        self.expires_at = expires_at
        return OK

    def reopen(self, days, now):
        return self.extend(days, now, True)

    @for_reviewers
    def accommodate(self, extra, now):
        if extra and self.assessment.limit is None:
            return conflict("no_time_limit")
        if self.session and self.session.closed_as_of(now):
            return conflict("session_closed")
        before, self.extra = self.extra, extra
        if self.session and self.session.closes_at:
            deadline = self._close_deadline(self.session.redeemed_at)
            if deadline is not None and deadline <= now:
                self.extra = before
                return conflict("time_limit_passed")
            self.session.closes_at = deadline
        return OK

    @for_reviewers
    def allow_redeem(self, now):
        if self.session and self.session.closed_as_of(now):
            return conflict("session_closed")
        if self.session:
            self.session.redeem_allowed = True
        return OK

    @for_reviewers
    def hire(self, hired, now):
        is_finished = self.session is not None and self.session.closed_as_of(now)
        if hired and not is_finished:
            return conflict("not_finished")
        if is_finished:
            self.session.hired = hired
        return OK

    @for_reviewers
    def update_email(self, email, now):
        self.email = email
        return OK

    # Session actions also accept revoked keys.

    def close(self, now):
        if self.session is None or self.assessment.deleted:
            return NOT_FOUND
        self.session.closed_at = self.session.closed_as_of(now) or now
        return OK

    def submit_score(self, value, now):
        if self.session is None or self.assessment.deleted:
            return NOT_FOUND
        if self.erased:
            return conflict("erased")
        self.session.score = value
        return OK

    def erase(self, now):
        if self.session:
            self.session.closed_at = self.session.closed_as_of(now) or now
            # Late events are deleted.
            self.session.events = {name: late for name, late in self.session.events.items() if not late}
        self.revoked = self.erased = True
        self.email = None
        return OK
