"""A model of assessments, keys and sessions, from R4 and R13 to R31.

Each action takes the current time and returns the expected `(status, code)`; the code is None on success.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

OK, CREATED = (200, None), (201, None)
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
GRACE, COUNTED_AFTER_CLOSE, STORED_AFTER_CLOSE = 5 * MINUTE, 10 * MINUTE, DAY
MAX_EXPIRY = 365 * DAY
NOT_FOUND, KEY_NOT_FOUND, UNAUTHORIZED = (404, "not_found"), (404, "key_not_found"), (401, "unauthorized")


def conflict(code: str) -> tuple[int, str]:
    return 409, code


@dataclass
class Assessment:
    id: str
    limit: int | None
    days: int
    title: str
    deleted: bool = False
    keys: list["Key"] = field(default_factory=list)

    def change(self, member: str, value: object) -> tuple:
        if self.deleted:
            return NOT_FOUND
        if member != "days" and getattr(self, member) != value and any(key.session for key in self.keys):
            return conflict("already_begun")
        setattr(self, member, value)
        return OK

    def open_key(self, email: str, now: datetime) -> "Key | None":
        """The address's latest key that is pending or active."""
        return next((key for key in reversed(self.keys) if key.is_open_for(email, now)), None)

    def cohort_size(self, now: datetime) -> int:
        """The number of closed sessions, including those of revoked keys (R19)."""
        sessions = [key.session for key in self.keys if key.session]
        return sum(session.closed_as_of(now) is not None for session in sessions)


@dataclass
class Session:
    redeemed_at: datetime
    closes_at: datetime | None
    closed_at: datetime | None = None
    closed_by_limit: bool = False
    completed_at: datetime | None = None
    hired: bool = False
    redeem_allowed: bool = False
    events: dict[str, bool] = field(default_factory=dict)  # by id, whether it was late
    score: int | None = None

    def closed_as_of(self, now: datetime) -> datetime | None:
        """The close; that of the limit does not depend on when it is read (R17)."""
        if self.closed_at is None and self.closes_at is not None and self.closes_at <= now:
            self.closed_at, self.closed_by_limit = self.closes_at, True
        return self.closed_at

    def count(self, late: bool) -> int:
        return sum(was_late == late for was_late in self.events.values())

    def status(self, now: datetime) -> str:
        closed = self.closed_as_of(now)
        if self.hired:
            return "hired"
        return "completed" if self.completed_at else "expired" if closed else "active"


@dataclass
class Key:
    id: str
    text: str
    assessment: Assessment
    email: str | None
    expires_at: datetime
    session_id: str | None = None
    session: Session | None = None
    extra: int = 0
    consented: bool = False
    revoked: bool = False
    erased: bool = False

    def is_alive(self) -> bool:
        return not self.revoked and not self.assessment.deleted

    def status(self, now: datetime) -> str:
        if self.session:
            return self.session.status(now)
        return "expired" if self.expires_at <= now else "pending"

    def is_open_for(self, email: str, now: datetime) -> bool:
        is_same = self.email is not None and self.email.casefold() == email.casefold()
        return is_same and not self.revoked and self.status(now) in ("pending", "active")

    def _key_error(self, now: datetime) -> tuple | None:
        """The error for the key in a body or a query (R30)."""
        if not self.is_alive():
            return KEY_NOT_FOUND
        return (410, "key_expired") if not self.session and self.expires_at <= now else None

    # Candidates

    def consent(self, now: datetime) -> tuple:
        if error := self._key_error(now):
            return error
        self.consented = True
        return OK

    def redeem(self, now: datetime) -> tuple:
        if error := self._key_error(now):
            return error
        if self.session is None:
            return self._start_session(now) if self.consented else (403, "consent_required")
        if self.session.closed_as_of(now) or (self.session.events and not self.session.redeem_allowed):
            return conflict("already_redeemed")
        if self.session.events:
            self.session.redeem_allowed = False
        return OK

    def _start_session(self, now: datetime) -> tuple:
        self.session = Session(now, self._close_deadline(now))
        return OK

    def _close_deadline(self, redeemed_at: datetime) -> datetime | None:
        limit = self.assessment.limit
        return None if limit is None else redeemed_at + (limit + self.extra) * MINUTE + GRACE

    def ingest(self, event_id: str, now: datetime) -> tuple:
        if self._key_error(now):
            return UNAUTHORIZED
        if self.session is None:
            return conflict("not_redeemed")
        closed = self.session.closed_as_of(now)
        if closed and now > closed + STORED_AFTER_CLOSE:
            return conflict("session_closed")
        if event_id in self.session.events:
            return OK
        self.session.events[event_id] = bool(closed and now > closed + COUNTED_AFTER_CLOSE)
        return CREATED

    def complete(self, now: datetime) -> tuple:
        if error := self._key_error(now):
            return error
        if self.session is None:
            return conflict("not_redeemed")
        closed = self.session.closed_as_of(now)
        if closed is None:
            self.session.closed_at = self.session.completed_at = now
        elif (
            self.session.closed_by_limit
            and not self.session.completed_at
            and now <= closed + COUNTED_AFTER_CLOSE
        ):
            self.session.completed_at = now
        return OK

    def shown_completion(self) -> datetime | None:
        return self.session and (self.session.completed_at or self.session.closed_at)

    # Reviewers

    def revoke(self) -> tuple:
        if not self.is_alive():
            return NOT_FOUND
        self.revoked = True
        return OK

    def invite(self, now: datetime) -> tuple:
        if not self.is_alive():
            return NOT_FOUND
        if self.status(now) not in ("pending", "active"):
            return conflict("session_ended" if self.session else "expired")
        return OK if self.email else conflict("no_address")

    def extend(self, days: int, now: datetime) -> tuple:
        if not self.is_alive():
            return NOT_FOUND
        if self.session or self.expires_at <= now:
            return conflict("key_redeemed" if self.session else "expired")
        return self._expire(self.expires_at + days * DAY, now)

    def reopen(self, days: int | None, now: datetime) -> tuple:
        if not self.is_alive():
            return NOT_FOUND
        if self.session or self.expires_at > now:
            return conflict("key_redeemed" if self.session else "not_expired")
        return self._expire(now + (days or self.assessment.days) * DAY, now)

    def _expire(self, expires_at: datetime, now: datetime) -> tuple:
        if expires_at > now + MAX_EXPIRY:
            return 400, "invalid_request"
        self.expires_at = expires_at
        return OK

    def accommodate(self, extra: int, now: datetime) -> tuple:
        if not self.is_alive():
            return NOT_FOUND
        if self.session and self.session.closed_as_of(now):
            return conflict("session_closed")
        before, self.extra = self.extra, extra
        if self.session and self.session.closes_at:
            deadline = self._close_deadline(self.session.redeemed_at)
            if deadline is not None and deadline <= now:
                self.extra = before
                return conflict("time_is_over")
            self.session.closes_at = deadline
        return OK

    def allow_redeem(self, now: datetime) -> tuple:
        if not self.is_alive():
            return NOT_FOUND
        if self.session and self.session.closed_as_of(now):
            return conflict("session_closed")
        if self.session:
            self.session.redeem_allowed = True
        return OK

    def hire(self, hired: bool, now: datetime) -> tuple:
        if not self.is_alive():
            return NOT_FOUND
        if self.session is None or not self.session.closed_as_of(now):
            return conflict("not_finished")
        self.session.hired = hired
        return OK

    def close(self, now: datetime) -> tuple:
        """Close the session, even if its key was revoked."""
        if self.session is None or self.assessment.deleted:
            return NOT_FOUND
        if not self.session.closed_as_of(now):
            self.session.closed_at = now
        return OK

    def score(self, value: int) -> tuple:
        if self.session is None or self.assessment.deleted:
            return NOT_FOUND
        if self.erased:
            return conflict("erased")
        self.session.score = value
        return OK

    def erase(self, now: datetime) -> tuple:
        if self.session and not self.session.closed_as_of(now):
            self.session.closed_at = now
        if self.session:
            # The number of counted events stays.
            self.session.events = {name: late for name, late in self.session.events.items() if not late}
        self.revoked = self.erased = True
        self.email = None
        return OK
