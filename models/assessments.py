"""What candidates are given: problems, rubrics, assessments, and the keys to them."""

from datetime import datetime, timedelta
from typing import Any

import peewee

from errors import NotFound, QuotaExceeded, RubricInUse, invalid
from models.base import (
    Model,
    Query,
    TimestampField,
    clock,
    db,
    folded,
    insert_new_rows,
    insert_rows,
    is_postgres,
    locked,
    new_id,
)
from models.compiled import Compiled, Parameter
from models.delivery import Delivery
from models.feed import FeedEvent
from models.orgs import ApiToken, Organization
from rules import candidate_keys, plans, retention, session_clock

# Thirty letters to the eighth power are 6.6e11 keys: a batch that meets an old key is drawn anew, and ten
# times in a row means that something else is wrong.
KEY_DRAWS = 10
# What `key_records` says of a key that was issued just now, besides its row.
FRESH = {
    "status": "pending",
    "session_id": None,
    "redeemed_at": None,
    "completed_at": None,
    "external_id": None,
    "metadata": None,
    "erasure_requested_at": None,
    "invite_attempts": 0,
    "invite_last_error": None,
    "invite_sent_at": None,
}
CHANGES_AT_A_TIME = 500


class Issue(Model):
    """A problem of the library: the organization's own, or with no organization one of the catalogue for all."""

    organization = peewee.ForeignKeyField(Organization, null=True)
    title = peewee.TextField()
    repo_url = peewee.TextField(null=True)
    repo_commit = peewee.TextField(null=True)
    repo_subdir = peewee.TextField(null=True)
    description = peewee.TextField(null=True)
    difficulty = peewee.TextField(null=True)
    language = peewee.TextField(null=True)
    labels = peewee.JSONField(default=list)
    task_brief = peewee.TextField()
    setup_instructions = peewee.TextField(null=True)
    test_command = peewee.TextField(null=True)
    reference_sha = peewee.TextField(null=True)
    sources = peewee.JSONField(default=list)
    license = peewee.TextField(null=True)
    search_text = peewee.TextField(default="")
    updated_at = TimestampField(default=clock.now)
    deleted_at = TimestampField(null=True)

    class Meta:
        table_name = "issues"

    @classmethod
    def visible_to(cls, caller: Any) -> Query:
        """The catalogue and the organization's own; a candidate sees the one that the own assessment is about."""
        if isinstance(caller, CandidateKey):
            given = Assessment.select(Assessment.issue).where(Assessment.id == caller.assessment_id)
            return cls.select(*SHOWN_TO_CANDIDATES).where(cls.id.in_(given))
        return cls.select().where(
            cls.organization.is_null() | (cls.organization == caller.organization_id),
            cls.deleted_at.is_null(),
        )

    @classmethod
    def owned_by(cls, caller: ApiToken) -> Query:
        return cls.visible_to(caller).where(cls.organization == caller.organization_id)

    @classmethod
    def add(cls, organization: Organization, values: dict[str, Any]) -> "Issue":
        return cls.create(organization=organization, **values, search_text=_searched(values))

    @classmethod
    def upsert(cls, values: dict[str, Any]) -> None:
        """Import one entry of the catalogue under its fixed id; importing it again is safe."""
        now = clock.now()
        row = dict.fromkeys(CATALOGUE_FIELDS) | {"labels": [], "sources": []} | values
        row |= {"search_text": _searched(values), "updated_at": now, "deleted_at": None}
        changed = {getattr(cls, name): value for name, value in row.items() if name != "id"}
        insert = cls.insert(row | {"created_at": now})
        insert.on_conflict(
            conflict_target=[cls.id], update=changed, where=cls.organization.is_null()
        ).execute()

    def change(self, values: dict[str, Any]) -> None:
        shown = {name: getattr(self, name) for name in ("title", "description")} | values
        changed = values | {"search_text": _searched(shown), "updated_at": clock.now()}
        Issue.update(changed).where(Issue.id == self.id).execute()

    def delete_softly(self) -> None:
        Issue.update(deleted_at=clock.now()).where(Issue.id == self.id).execute()


# What solves an issue, or leads to where it was solved.
FOR_REVIEWERS_ONLY = ("test_command", "reference_sha", "sources", "license")
# The columns that are left out read as None (R3).
SHOWN_TO_CANDIDATES = [
    column
    for column in Issue._meta.sorted_fields  # type: ignore[attr-defined]
    if column.name not in FOR_REVIEWERS_ONLY
]
CATALOGUE_FIELDS = (
    "repo_url",
    "repo_commit",
    "repo_subdir",
    "description",
    "difficulty",
    "language",
    "setup_instructions",
    "test_command",
    "reference_sha",
    "license",
)


def _searched(values: dict[str, Any]) -> str:
    return folded(values["title"], values.get("description"))


class Rubric(Model):
    """A scoring rubric; its name and criteria lie in versions, so that a change alters no score given before it."""

    organization = peewee.ForeignKeyField(Organization)
    name = peewee.TextField()
    criteria = peewee.JSONField()
    version = peewee.IntegerField(default=1)
    updated_at = TimestampField(default=clock.now)
    deleted_at = TimestampField(null=True)

    class Meta:
        table_name = "rubrics"

    @classmethod
    def visible_to(cls, caller: ApiToken) -> Query:
        return cls.select().where(cls.organization == caller.organization_id, cls.deleted_at.is_null())

    @classmethod
    def draft(cls, organization: Organization, name: str, criteria: list[dict]) -> "Rubric":
        with db.atomic():
            rubric = cls.create(organization=organization, name=name, criteria=criteria)
            rubric._keep_version()
        return rubric

    def change(self, values: dict[str, Any]) -> "Rubric":
        """Change name or criteria as the next version; the earlier versions stay as they were."""
        with db.atomic():
            rubric = locked(Rubric.select().where(Rubric.id == self.id)).get()
            for name, value in values.items():
                setattr(rubric, name, value)
            rubric.version += 1
            rubric.updated_at = clock.now()
            rubric.save()
            rubric._keep_version()
        return rubric

    def delete_softly(self) -> None:
        """Delete the rubric; RubricInUse names the assessments that refer to it."""
        with db.atomic():
            self.organization.take_turn()
            users = Assessment.alive().where(Assessment.rubric == self).order_by(Assessment.id)
            named = [{"id": str(user.id), "title": user.title} for user in users.limit(100)]
            if named:
                raise RubricInUse(assessments=named)
            Rubric.update(deleted_at=clock.now()).where(Rubric.id == self.id).execute()

    def _keep_version(self) -> None:
        RubricVersion.create(rubric=self, number=self.version, name=self.name, criteria=self.criteria)


class RubricVersion(Model):
    """A rubric as it once was; never changed."""

    rubric_id: Any
    rubric = peewee.ForeignKeyField(Rubric, index=False)
    number = peewee.IntegerField()
    name = peewee.TextField()
    criteria = peewee.JSONField()

    class Meta:
        table_name = "rubric_versions"
        indexes = ((("rubric", "number"), True),)


class Assessment(Model):
    """A brief, a repository and a time limit, to which candidates are invited.

    What is taken from an issue is copied at creation and stays as it was if the issue changes later.
    """

    organization_id: Any
    issue_id: Any
    rubric_id: Any
    organization = peewee.ForeignKeyField(Organization, index=False)
    title = peewee.TextField()
    role = peewee.TextField()
    task_brief = peewee.TextField()
    repo_url = peewee.TextField(null=True)
    repo_commit = peewee.TextField(null=True)
    repo_subdir = peewee.TextField(null=True)
    setup_instructions = peewee.TextField(null=True)
    issue = peewee.ForeignKeyField(Issue, null=True)
    rubric = peewee.ForeignKeyField(Rubric, null=True)
    brief = peewee.JSONField(null=True)
    allowed_tools = peewee.JSONField(null=True)
    token_budget_nano_usd = peewee.BigIntegerField(null=True)
    time_limit_minutes = peewee.IntegerField(null=True)
    expires_in_days = peewee.IntegerField(default=7)
    reminder_days_before = peewee.IntegerField(null=True)
    updated_at = TimestampField(default=clock.now)
    deleted_at = TimestampField(null=True)

    class Meta:
        table_name = "assessments"
        indexes = ((("organization", "created_at", "id"), False),)

    @classmethod
    def alive(cls) -> Query:
        return cls.select().where(cls.deleted_at.is_null())

    @classmethod
    def is_present(cls, reference: Any) -> peewee.Expression:
        """Whether the assessment that a column refers to is not deleted; with a select in the place of a join, since
        PostgreSQL takes four times as long to plan joins as to run them."""
        deleted_at = cls.select(cls.deleted_at).where(cls.id == reference)
        return peewee.Expression(deleted_at, peewee.OP.IS, None)

    @classmethod
    def deleted_ids(cls, organization: Any) -> Query:
        """Of an organization, or of the one that a Parameter stands for."""
        return cls.select(cls.id).where(cls.organization == organization, cls.deleted_at.is_null(False))

    @classmethod
    def visible_to(cls, caller: ApiToken) -> Query:
        """The organization's, with their issues; a candidate's own one comes with the key (access/auth.py, R3)."""
        query = cls.alive().select_extend(Issue).join(Issue, peewee.JOIN.LEFT_OUTER)
        return query.where(cls.organization == caller.organization_id)

    @classmethod
    def open(cls, reviewer: ApiToken, **values: Any) -> "Assessment":
        """Create an assessment within the month's quota.

        Raises Invalid for an unknown issue or rubric (R8), or where neither brief nor issue is given, and
        QuotaExceeded with `used` and `quota` (R10).
        """
        organization = reviewer.organization
        with db.atomic():
            # One at a time decides on the quota, and no rubric vanishes under an assessment that takes it.
            organization.take_turn()
            issue = cls.referred(Issue, "issueId", values.pop("issue_id", None), reviewer)
            rubric = cls.referred(Rubric, "rubricId", values.pop("rubric_id", None), reviewer)
            values = _taken_from(issue, values.get("repo_url")) | values
            if not values.get("task_brief"):
                raise invalid("taskBrief", "Required when issueId is not provided.")
            cls.require_quota(organization)
            assessment = cls.create(organization=organization, issue=issue, rubric=rubric, **values)
            FeedEvent.publish(organization.id, "assessment.created", {"assessmentId": assessment.id})
        return assessment

    @staticmethod
    def referred(model: Any, member: str, given: Any, reviewer: ApiToken) -> Any:
        """The row that a request's member names, or None for None; Invalid where the reviewer cannot use it (R8)."""
        if given is None:
            return None
        found = model.visible_to(reviewer).where(model.id == given).get_or_none()
        if found is None:
            raise invalid(member, "There is none with this id that your organization can use.")
        return found

    @classmethod
    def require_quota(cls, organization: Organization) -> None:
        used = cls.used_this_month(organization)
        if plans.is_used_up(organization.plan, used):
            raise QuotaExceeded(used=used, quota=plans.PLANS[organization.plan].monthly_assessments)

    @classmethod
    def used_this_month(cls, organization: Organization) -> int:
        """How many the organization created in this calendar month, deleted ones included (R10)."""
        first, following = plans.month_of(clock.now())
        created = cls.select().where(
            cls.organization == organization, cls.created_at >= first, cls.created_at < following
        )
        return created.count()

    def delete_softly(self) -> None:
        """Out of every list and look-up, its keys with it, which stop to authenticate at once.

        Keys are looked up with their assessment, so that the deletion costs the same for one key or 100,000.
        """
        Assessment.update(deleted_at=clock.now()).where(Assessment.id == self.id).execute()

    @classmethod
    def shared_by(cls, caller: ApiToken) -> Query:
        """What the organization can issue keys to, with what that takes to know, held against a deletion."""
        return locked(cls._issued_by(caller), "FOR SHARE")

    @classmethod
    def held_by(cls, caller: ApiToken) -> Query:
        """As `shared_by`, by one at a time."""
        return locked(cls._issued_by(caller))

    @classmethod
    def _issued_by(cls, caller: ApiToken) -> Query:
        query = cls.alive().select(cls.id, cls.organization, cls.expires_in_days)
        return query.where(cls.organization == caller.organization_id)

    def issue_keys(self, candidates: list[dict[str, Any]], org_name: str | None = None) -> list[Any]:
        """Issue one key for each candidate (`email`, `name`, either None) and queue the invitations: all, or none.

        Returns the ids of the keys, in the order of the candidates.
        """
        with db.atomic():
            held = self.hold("FOR SHARE")
            return [record["id"] for record in held.issue_records(candidates, org_name)]

    def issue_records(self, candidates: list[dict[str, Any]], org_name: str | None) -> list[dict[str, Any]]:
        """As issue_keys, for an assessment that is held; returns the keys as `key_records` would."""
        rows = [CandidateKey.row(**candidate) for candidate in candidates]
        same = self._given_to_keys(clock.now())
        told = [{"candidateId": row["id"], "assessmentId": self.id, "status": "pending"} for row in rows]
        FeedEvent.publish(self.organization_id, "key.created", *told)
        invitations = [(row["invitation_id"], row["id"]) for row in rows if row["invitation_id"]]
        Delivery.enqueue_invitations(self.organization, invitations, org_name or self.organization.shown_name)
        KeyCount.change_by(len(rows), self.organization_id, self.id)
        CandidateKey.add(rows, same)
        same |= FRESH
        return [{**same, **row, "invite_state": row["invitation_id"] and "queued"} for row in rows]

    def _given_to_keys(self, now: datetime) -> dict[str, Any]:
        """The columns in which keys that are issued together do not differ."""
        expires_at = now + timedelta(days=self.expires_in_days)
        same = {"organization": self.organization_id, "assessment": self.id}
        return same | {"expires_at": expires_at, "created_at": now}

    def hold(self, strength: str = "FOR NO KEY UPDATE") -> "Assessment":
        """The row as it is now, held until the transaction ends, against a deletion at the same moment; NotFound
        where it is deleted already."""
        found = locked(Assessment.alive().where(Assessment.id == self.id), strength).get_or_none()
        if found is None:
            raise NotFound()
        return found


def _taken_from(issue: Issue | None, repo_url: str | None) -> dict[str, Any]:
    if issue is None:
        return {}
    copied = ["task_brief"]
    if repo_url in (None, issue.repo_url):
        # Commit, folder and set-up belong to the issue's repository and mean nothing in another one.
        copied += ["repo_url", "repo_commit", "repo_subdir", "setup_instructions"]
    return {name: getattr(issue, name) for name in copied}


class CandidateKey(Model):
    """A candidate's key to one assessment; the invitation is the latest one's delivery.

    `address` is the folded email address. An accommodation is `extra_minutes` or `time_multiplier_thousandths`, or
    neither. `reminded_at` is when the reminder of the present expiry was queued; `bounced` says that mails to the
    address come back.
    """

    organization_id: Any
    assessment_id: Any
    own_session_id: Any  # of a key that has authenticated (access/auth.py): its session's, or None
    organization = peewee.ForeignKeyField(Organization, index=False)
    assessment = peewee.ForeignKeyField(Assessment, index=False)
    key = peewee.TextField(unique=True)
    candidate_email = peewee.TextField(null=True)
    candidate_name = peewee.TextField(null=True)
    address = peewee.TextField(null=True)
    search_text = peewee.TextField(default="")
    external_id = peewee.TextField(null=True)
    metadata = peewee.JSONField(null=True)
    extra_minutes = peewee.IntegerField(null=True)
    time_multiplier_thousandths = peewee.IntegerField(null=True)
    invitation_id = peewee.UUIDField(null=True)
    bounced = peewee.BooleanField(default=False)
    reminded_at = TimestampField(null=True)
    expires_at = TimestampField()
    revoked_at = TimestampField(null=True)
    erasure_requested_at = TimestampField(null=True)
    erased_at = TimestampField(null=True)

    class Meta:
        table_name = "candidate_keys"
        indexes = ((("assessment", "created_at", "id"), False),)

    @classmethod
    def row(cls, email: str | None, name: str | None) -> dict[str, Any]:
        """The columns in which keys that are issued together differ."""
        row = {"id": new_id(), "key": candidate_keys.make(), "invitation_id": new_id() if email else None}
        return row | cls.person(name, email)

    @classmethod
    def add(cls, rows: list[dict[str, Any]], same: dict[str, Any]) -> None:
        """Insert keys; those that were drawn before, by whomever, are drawn anew."""
        for _ in range(KEY_DRAWS):
            if insert_new_rows(cls, rows, cls.key, **same) == len(rows):
                return
            added = {key.id for key in cls.select(cls.id).where(cls.id.in_([row["id"] for row in rows]))}
            rows = [row for row in rows if row["id"] not in added]
            for row in rows:
                row["key"] = candidate_keys.make()
        raise RuntimeError("No key can be drawn that is not taken.")

    @staticmethod
    def person(name: str | None, email: str | None) -> dict[str, Any]:
        """The columns that say whose key it is."""
        return {
            "candidate_name": name,
            "candidate_email": email,
            "address": email and email.casefold(),
            "search_text": folded(name, email),
        }

    @classmethod
    def alive(cls) -> Query:
        """Keys that are not revoked, of assessments that are not deleted, with both."""
        query = cls.select(cls, Assessment, Organization).join(Assessment).switch(cls).join(Organization)
        return query.where(cls.revoked_at.is_null(), Assessment.deleted_at.is_null())

    @classmethod
    def visible_to(cls, caller: ApiToken) -> Query:
        return cls.alive().where(cls.organization == caller.organization_id)

    @classmethod
    def of_organization(cls, caller: ApiToken) -> Query:
        """All of the organization's, the revoked ones and those of deleted assessments too."""
        query = cls.select(cls, Assessment, Organization).join(Assessment).switch(cls).join(Organization)
        return query.where(cls.organization == caller.organization_id)

    def revoke(self) -> None:
        with db.atomic():
            still_valid = (CandidateKey.id == self.id) & CandidateKey.revoked_at.is_null()
            if CandidateKey.update(revoked_at=clock.now()).where(still_valid).execute():
                KeyCount.change_by(-1, self.organization_id, self.assessment_id)

    @property
    def time_limit_minutes(self) -> int | None:
        """What the candidate is told: the assessment's limit with the accommodation."""
        limit = self.assessment.time_limit_minutes
        return None if limit is None else limit + self.added_minutes

    @property
    def added_minutes(self) -> int:
        """What the accommodation adds to the assessment's limit."""
        limit = self.assessment.time_limit_minutes
        return session_clock.extra_minutes(limit, self.extra_minutes, self.time_multiplier_thousandths)

    @property
    def ended_at(self) -> datetime | None:
        """When it stopped, or stops, to be of use where no session came of it."""
        return retention.earliest([self.expires_at, self.revoked_at, self.assessment.deleted_at])

    def request_erasure(self) -> datetime:
        """Keep that the candidate asked for the erasure; returns when it was first."""
        CandidateKey.update(erasure_requested_at=clock.now()).where(
            CandidateKey.id == self.id, CandidateKey.erasure_requested_at.is_null()
        ).execute()
        return CandidateKey.get_by_id(self.id).erasure_requested_at

    @classmethod
    def of_person(cls, key: "CandidateKey", session: Any) -> Query:
        return cls.select().where(cls.id == key.id)

    @classmethod
    def erase_of(cls, key: "CandidateKey", session: Any) -> int:
        """Take the names away and revoke the key, so that nothing new can come in. The caller holds its row."""
        now = clock.now()
        if key.revoked_at is None:
            KeyCount.change_by(-1, key.organization_id, key.assessment_id)
        nobody = cls.person(None, None) | {"external_id": None, "metadata": None}
        nobody |= {"extra_minutes": None, "time_multiplier_thousandths": None}
        ended = {"revoked_at": key.revoked_at or now, "erased_at": now}
        return cls.update(**nobody, **ended).where(cls.id == key.id).execute()


# With all that a list asks of the keys that it passes over, so that a page far behind visits none of them.
CandidateKey.add_index(
    CandidateKey.index(
        CandidateKey.organization,
        CandidateKey.created_at,
        CandidateKey.id,
        CandidateKey.assessment,
        CandidateKey.revoked_at,
        name="candidate_keys_in_order",
    )
)
CandidateKey.add_index(
    CandidateKey.index(CandidateKey.address, CandidateKey.assessment, name="candidate_keys_of_address")
)
# What Worker looks for when reminders are due.
CandidateKey.add_index(
    CandidateKey.index(
        CandidateKey.expires_at,
        where=CandidateKey.reminded_at.is_null(),
        name="candidate_keys_to_remind",
    )
)


class KeyCount(Model):
    """How many valid keys each assessment has: the sum of its rows' changes, for totals that count nothing.

    Whoever issues or revokes adds a row in the same transaction: no one waits for another, and in every snapshot the
    sum is what counting the keys would give. The worker makes one row of many (`fold`). A total takes the same 0.2 ms
    so for any number of keys, where counting 10,000 of them took 10.
    """

    organization_id: Any
    assessment_id: Any
    organization = peewee.ForeignKeyField(Organization)
    assessment = peewee.ForeignKeyField(Assessment, index=False)
    change = peewee.IntegerField()
    is_sum = peewee.BooleanField(default=False)

    class Meta:
        table_name = "key_counts"

    @classmethod
    def change_by(cls, number: int, organization_id: Any, assessment_id: Any) -> None:
        """Note that so many keys came, or went where it is negative, in the transaction in which they do."""
        row = {"organization": organization_id, "assessment": assessment_id, "change": number}
        insert_rows(cls, [row] if number else [])

    @classmethod
    def total(cls, organization_id: Any, assessment_id: Any = None) -> int:
        """How many keys that are not revoked the organization has to assessments that are not deleted."""
        total = _TOTAL_OF_ASSESSMENT if assessment_id else _TOTAL
        return total.scalar(organization_id=organization_id, assessment_id=assessment_id)

    @classmethod
    def _counted(cls) -> Query:
        organization = Parameter("organization_id", cls.organization)
        return cls.select(peewee.fn.COALESCE(peewee.fn.SUM(cls.change), 0)).where(
            cls.organization == organization, cls.assessment.not_in(Assessment.deleted_ids(organization))
        )

    @classmethod
    def fold(cls) -> int:
        """Add up what was committed since the last time, one row for each assessment; returns how many changes.

        Several workers may do it at once: each adds what it took away.
        """
        count = 0
        while folded_now := cls._fold_some():
            count += folded_now
        return count

    @classmethod
    def _fold_some(cls) -> int:
        waiting = cls.select(cls.id).where(~cls.is_sum).limit(CHANGES_AT_A_TIME)
        if not waiting.exists():
            return 0
        with db.atomic():
            some = waiting.for_update(skip_locked=True) if is_postgres() else waiting
            taken = list(cls.delete().where(cls.id.in_(some)).returning(cls).execute())
            for assessment_id in sorted({row.assessment_id for row in taken}):
                cls._add([row for row in taken if row.assessment_id == assessment_id])
        return len(taken)

    @classmethod
    def _add(cls, changes: list["KeyCount"]) -> None:
        first = changes[0]
        row = {"organization": first.organization_id, "assessment": first.assessment_id, "is_sum": True}
        insert = cls.insert(row | {"change": sum(each.change for each in changes)})
        insert.on_conflict(
            conflict_target=[cls.assessment],
            conflict_where=cls.is_sum,
            update={cls.change: cls.change + peewee.EXCLUDED.change},
        ).execute()


KeyCount.add_index(
    KeyCount.index(KeyCount.assessment, unique=True, where=KeyCount.is_sum, name="key_counts_sums")
)
# What `fold` looks for.
KeyCount.add_index(KeyCount.index(KeyCount.id, where=~KeyCount.is_sum, name="key_counts_to_fold"))
_TOTAL = Compiled(KeyCount._counted)
_TOTAL_OF_ASSESSMENT = Compiled(
    lambda: KeyCount._counted().where(KeyCount.assessment == Parameter("assessment_id", KeyCount.assessment))
)
