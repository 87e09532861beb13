"""Attacks by someone with the database and the code, without a ledger key. Each test fails while nothing reports it."""

import json
import uuid
from datetime import timedelta

import pytest
from factories import (
    add_event,
    envelope,
    make_assessment,
    make_key,
    make_model_call,
    make_person,
    make_rubric,
    make_session,
)
from signing import Signer

from models import (
    ApiToken,
    Event,
    LedgerEntry,
    ModelUsage,
    Organization,
    Score,
    Session,
    SignIn,
    SigningKey,
    Submission,
    clock,
    db,
    new_id,
    privacy,
    sessions,
)
from models.base import is_postgres
from models.ledger import checkpoints, epochs, keys
from models.orgs import User
from models.sessions.submissions import SubmissionFile, delete_unused
from models.sign_ins import SignInGrant
from models.task_failures import TaskFailure
from ops import ledger
from rules.ledger import entries
from rules.ledger.checkpoints import ArchivedCheckpoint

pytestmark = pytest.mark.bypasses_ledger
LEDGER_CODES = {
    *(
        "event_changed",
        "event_missing",
        "event_inserted",
        "column_changed",
        "metrics_changed",
        "session_changed",
    ),
    *("data_changed", "seal_broken", "seal_missing", "seal_key_unknown"),
}


def differences():
    return [text for organization in Organization.select() for text in ledger.differences(organization)]


@pytest.fixture
def session(clock, organization, reviewer, worker):
    assessment = make_assessment(organization, rubric_id=make_rubric(organization).id)
    session = make_session(make_key(assessment), Signer().public_key)
    for second in range(3):
        add_event(session, envelope(at=second))
    make_model_call(session, counts={"input": 10, "output": 20})
    Submission.reserve(session, "zip", str(session.id)).record(10, "1" * 64, 2**20)
    sessions.complete(session)
    Score.submit(session, "quality", reviewer.row, value=1, comment="Good", evidence=[])
    worker.run_once()
    assert differences() == []
    return Session.get_by_id(session.id)


@pytest.fixture
def reported(organization, reviewer, session, worker):
    last = (
        LedgerEntry.select()
        .where(LedgerEntry.position.is_null(False))
        .order_by(LedgerEntry.position.desc())
        .first()
    )
    archived = ArchivedCheckpoint(organization.id, last.position, last.link.hex(), clock.now())

    def reported(of=session):
        """Whether verify or /integrity reports something, before and after the worker has run."""
        found = []
        for _ in range(2):
            response = reviewer.get(f"/v1/sessions/{of.id}/integrity")
            codes = (
                [each["code"] for each in response.json["findings"]] if response.status_code == 200 else []
            )
            found.append(differences() + [code for code in codes if code in LEDGER_CODES])
            worker.run_once()
        print(found)
        print("CHECKPOINT", [difference for _, difference in checkpoints.compare([archived])])
        return all(found)

    return reported


def row_dict(row):
    return type(row).select().where(type(row).id == row.id).dicts().get()


# 1. A trigger changes what the service writes, before the entry's hash is read from the database.


def test_trigger_changes_a_score_before_it_is_signed(organization, reviewer, session, reported):
    if is_postgres():
        db.execute_sql(
            "CREATE FUNCTION forge() RETURNS trigger AS $$ BEGIN NEW.value = 2; RETURN NEW; END $$ LANGUAGE plpgsql"
        )
        db.execute_sql("CREATE TRIGGER forge BEFORE INSERT ON scores FOR EACH ROW EXECUTE FUNCTION forge()")
    else:
        db.execute_sql(
            "CREATE TRIGGER forge AFTER INSERT ON scores BEGIN UPDATE scores SET value = 2 WHERE id = NEW.id; END"
        )
    refused = False
    try:
        Score.submit(session, "quality", reviewer.row, value=1, comment="Still weak", evidence=[])
    except Exception as error:
        refused = True
        print(repr(error))
    db.execute_sql("DROP TRIGGER forge ON scores" if is_postgres() else "DROP TRIGGER forge")
    assert refused or Score.select().where(Score.value == 2).exists()
    assert refused or reported()


def test_trigger_changes_other_columns_of_a_legitimate_update(session, reported):
    if is_postgres():
        db.execute_sql(
            "CREATE FUNCTION forge2() RETURNS trigger AS $$ BEGIN NEW.closed_by = 'limit'; RETURN NEW; END $$ LANGUAGE plpgsql"
        )
        db.execute_sql(
            "CREATE TRIGGER forge BEFORE UPDATE ON sessions FOR EACH ROW EXECUTE FUNCTION forge2()"
        )
    else:
        db.execute_sql(
            "CREATE TRIGGER forge AFTER UPDATE OF hired_at ON sessions BEGIN"
            " UPDATE sessions SET closed_by = 'limit' WHERE id = NEW.id; END"
        )
    refused = False
    try:
        sessions.mark_hired(session, True)
    except Exception:
        refused = True
    db.execute_sql("DROP TRIGGER forge ON sessions" if is_postgres() else "DROP TRIGGER forge")
    assert refused or reported()


# 2. Delete an event and send a different one with its id through the API, as the candidate.


def test_event_is_deleted_and_sent_again_with_its_id(organization, session, worker, reported):
    other = make_session(make_key(session.assessment))
    original = envelope(data={"text": "please write everything"})
    add_event(other, original)
    worker.run_once()
    Event.delete().where(Event.session == other).execute()
    add_event(make_session(make_key(session.assessment)), envelope())
    assert add_event(other, original | {"data": {"text": "hello"}}) == "created"
    worker.run_once()
    assert reported(other)


# 3. A forged entry with an unknown key makes an erasure sign the changed row.


def test_erasure_covers_a_change(clock, session, reported):
    score = Score.get(Score.session == session)
    genuine = LedgerEntry.newest("scores", score.id)
    saved = row_dict(genuine)
    genuine.delete_instance()
    forged = saved | {"id": new_id(), "key_id": "other", "position": None, "link": None}
    LedgerEntry.insert(forged).execute()
    Score.update(value=2).where(Score.id == score.id).execute()
    privacy.erase(session.key)
    LedgerEntry.delete().where(LedgerEntry.id == forged["id"]).execute()
    LedgerEntry.insert(saved).execute()
    assert Score.get_by_id(score.id).value == 2
    assert reported()


# 4. Purges count rows.


def sign_in(organization, name):
    person = make_person(organization, name=name)
    return SignIn.start(ApiToken.for_sign_ins(person), "email")[0]


def test_purge_counts_an_inserted_row(clock, organization, session, worker, reported):
    genuine = sign_in(organization, "Eve")
    worker.run_once()
    copy = row_dict(genuine) | {"id": new_id(), "fingerprint": "x", "expires_at": clock.fixed - timedelta(1)}
    SignIn.insert(copy).execute()
    SignIn.delete_expired()
    genuine.delete_instance()
    assert reported()


def test_purge_deletes_a_row_whose_expiry_was_changed(clock, organization, session, worker, reported):
    genuine = sign_in(organization, "Eve")
    worker.run_once()
    SignIn.update(expires_at=clock.fixed - timedelta(1)).where(SignIn.id == genuine.id).execute()
    assert SignIn.delete_expired() == 1
    assert reported()


def test_purged_row_is_put_back_and_another_deleted(clock, organization, session, worker, reported):
    first, second = sign_in(organization, "Eve"), sign_in(organization, "Mallory")
    saved = row_dict(first)
    worker.run_once()
    SignIn.update(expires_at=clock.fixed + timedelta(days=9)).where(SignIn.id == second.id)
    clock.fixed += timedelta(days=60)
    third = sign_in(organization, "Trent")
    SignIn.delete_expired()
    worker.run_once()
    assert differences() == []
    SignIn.insert(saved).execute()
    third.delete_instance()
    assert reported()


def test_purge_before_a_restart_excuses_a_deletion_after_it(clock, organization, session, worker, reported):
    sign_in(organization, "Eve")
    clock.fixed += timedelta(days=60)
    SignIn.delete_expired()
    later = sign_in(organization, "Trent")
    worker.run_once()
    epochs.restart(organization, "test")
    worker.run_once()
    assert differences() == []
    later.delete_instance()
    assert reported()


# 5. Put back what an erasure deleted.


def test_erased_row_is_put_back(session, worker, reported):
    saved = [
        row_dict(row)
        for table in (SigningKey, Submission)
        for row in table.select().where(table.session == session)
    ]
    privacy.erase(session.key)
    worker.run_once()
    SigningKey.insert(saved[0]).execute()
    Submission.insert(saved[1]).execute()
    assert reported()


# 6. Keep the worker from listing events, and delete them later.


def test_events_that_are_not_listed_for_hours(clock, session, worker, reported):
    other = make_session(make_key(session.assessment))
    TaskFailure.insert(
        task="list_events",
        owner=str(other.id),
        attempts=1,
        error="x",
        retry_at=clock.fixed + timedelta(seconds=20),
    ).execute()
    add_event(other, envelope())
    worker.run_once()
    assert Session.get_by_id(other.id).listed_seq == 0
    # The attacker renews it.
    clock.fixed += timedelta(hours=3)
    assert differences()


# 7. object_key decides which submission is current, and files without a hash are shown.


def test_current_submission_is_hidden(session, reported):
    Submission.update(object_key=None).where(Submission.session == session).execute()
    assert reported()


def test_files_are_inserted_for_a_submission_that_was_not_read(session, reported):
    SubmissionFile.insert(
        session=session,
        path="x.py",
        status="added",
        is_binary=False,
        is_truncated=False,
        lines_added=9,
        lines_removed=0,
        diff="+bad",
        manual_ranges=[],
    ).execute()
    assert reported()


# 8. Duplicates.


def test_row_is_repeated(session, reported):
    score = Score.get(Score.session == session)
    if is_postgres():
        db.execute_sql("ALTER TABLE scores DROP CONSTRAINT scores_pkey CASCADE")
        db.execute_sql(f"INSERT INTO scores SELECT * FROM scores WHERE id = '{score.id}'")
    else:
        names = [field.column_name for field in Score._meta.sorted_fields if field.name != "id"]
        db.execute_sql(
            f"INSERT INTO scores (id, {', '.join(names)}) SELECT upper(id), {', '.join(names)} FROM scores"
        )
    assert reported()


def test_call_is_repeated_as_part_of_an_erased_candidates_list(session, worker, reported):
    other = make_session(make_key(session.assessment))
    make_model_call(other)
    worker.run_once()
    privacy.erase(other.key)
    worker.run_once()
    assert differences() == []
    if is_postgres():
        db.execute_sql("ALTER TABLE model_usage DROP CONSTRAINT model_usage_pkey CASCADE")
    else:
        db.execute_sql("CREATE TABLE m2 AS SELECT * FROM model_usage")
        db.execute_sql("DROP TABLE model_usage")
        db.execute_sql("ALTER TABLE m2 RENAME TO model_usage")
    call = ModelUsage.get(ModelUsage.session == other)
    ModelUsage.insert(row_dict(call)).execute()
    assert ModelUsage.select().where(ModelUsage.session == other).count() == 2
    assert reported(other)


# 9. A whole organization.


def test_organization_is_deleted(app, organization, session, tmp_path, reported):
    entry = (
        LedgerEntry.select()
        .where(LedgerEntry.position.is_null(False))
        .order_by(LedgerEntry.position.desc())
        .first()
    )
    line = {
        "type": "ledger.checkpoint",
        "data": {
            "organizationId": str(organization.id),
            "position": entry.position,
            "head": entry.link.hex(),
            "sessions": 1,
            "createdAt": clock.now().isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        },
    }
    archive = tmp_path / "archive"
    archive.write_text(json.dumps(line))
    if is_postgres():
        db.execute_sql("SET LOCAL session_replication_role = replica")
    else:
        db.execute_sql("PRAGMA defer_foreign_keys = ON")
    organization.delete_instance()
    result = app.test_cli_runner().invoke(args=["ledger", "verify"])
    print(result.output)
    bare = result.exit_code
    # With the archive: all rows and entries are deleted, and a restore is forged.
    saved = row_dict(entry)
    LedgerEntry.delete().execute()
    LedgerEntry.insert(
        saved | {"kind": "epoch", "reason": "restored", "position": None, "link": None}
    ).execute()
    LedgerEntry.update(id=uuid.UUID(int=uuid.UUID(str(saved["id"])).int | 1 << 126)).execute()
    result = app.test_cli_runner().invoke(args=["ledger", "verify", "--checkpoints", str(archive)])
    print(result.output)
    assert (bare, result.exit_code) == (1, 1)


# 10. A forged sign-in link.


def test_sign_in_with_an_inserted_grant(organization, session, worker, reported):
    from rules import sign_ins

    admin = make_person(organization, "admin", "Root", "root@people.example")
    worker.run_once()
    secret = sign_ins.generate(sign_ins.PREFIX)
    SignInGrant.insert(
        address="root@people.example",
        method="email",
        fingerprint=sign_ins.fingerprint(secret),
        expires_at=clock.now() + timedelta(minutes=5),
        queued_at=clock.now(),
    ).execute()
    try:
        SignInGrant.find(secret).use(admin)
    except Exception as error:
        print(repr(error))
        return
    SignInGrant.delete().execute()
    assert reported()


# 11. Values of other types.


def test_cost_as_text(session, reported):
    if is_postgres():
        pytest.skip("SUM fails on text")
    cost = ModelUsage.get(ModelUsage.session == session).cost_nano_usd
    db.execute_sql("CREATE TABLE m2 AS SELECT * FROM model_usage")
    db.execute_sql("DROP TABLE model_usage")
    db.execute_sql("ALTER TABLE m2 RENAME TO model_usage")
    text = f"{str(cost)[0]}_{str(cost)[1:]}"
    db.execute_sql("UPDATE model_usage SET cost_nano_usd = CAST(? AS TEXT)", (text,))
    spent = ModelUsage.spent_nano_usd(session)
    print(cost, spent)
    assert spent == cost or reported() or ledger.altered_tables()


def test_text_that_is_not_utf8(session, reported):
    if is_postgres():
        pytest.skip("SQLite")
    db.execute_sql("UPDATE scores SET comment = CAST(x'ff' AS TEXT)")
    assert reported()


# 12. A lost key after a restart.


def test_lost_key_excuses_nothing_after_a_restart(organization, session, worker, reported):
    score = Score.get(Score.session == session)
    lost, new = dict(keys.known()), {"new": b"k" * 32}
    keys.use(new)
    epochs.restart(organization, "lost")
    worker.run_once()
    before = differences()
    LedgerEntry.insert(
        id=new_id(),
        organization_id=organization.id,
        candidate_id=session.key_id,
        kind="scores",
        subject=score.id,
        version=3,
        reason="deleted",
        content_hash=b"",
        column_digests=b"",
        key_id=next(iter(lost)),
        signature=b"s" * 32,
    ).execute()
    score.delete_instance()
    found = differences()
    print(before, found)
    assert any("scores" in each for each in found)


# 13. Checkpoints.


def test_inserted_checkpoint_silences_later_ones(clock, organization, session, worker, reported):
    checkpoints.Checkpoint.insert(
        organization=organization, position=10**15, head="", sessions=1, created_at=clock.fixed
    ).execute()
    before = checkpoints.Checkpoint.select().count()
    make_person(organization, name="Later")
    clock.fixed += timedelta(hours=2)
    worker.run_once()
    assert checkpoints.Checkpoint.select().count() > before


# 14. Settings.


def test_retention_period_is_changed(clock, organization, session, worker, reported):
    clock.fixed += timedelta(days=3)
    Organization.update(retention_days=1).execute()
    print("erased", privacy.erase_overdue(organization, __import__("models").ledger.audit.WORKER))
    Organization.update(retention_days=None).execute()
    assert reported()


def test_rubric_of_an_assessment_is_removed(session, reported):
    from models import Assessment

    Assessment.update(rubric=None).execute()
    assert reported()


def test_current_rubric_version_is_set_back(session, reported):
    from models import Rubric

    Rubric.get().apply_changes({"name": "Two"})
    Rubric.update(version=1).execute()
    assert reported()


# 15. PostgreSQL's values that Python does not distinguish.


def test_json_null_and_microseconds(session, reported):
    if not is_postgres():
        pytest.skip("PostgreSQL")
    db.execute_sql("UPDATE submissions SET file_tree = 'null'::jsonb")
    db.execute_sql("UPDATE sessions SET completed_at = completed_at + interval '700 microseconds'")
    assert reported()


# 16. Order of events with the same time.


def test_arrival_numbers_are_swapped(session, reported):
    first, second = Event.select().where(Event.session == session).order_by(Event.seq).limit(2)
    Event.update(seq=-1).where(Event.seq == first.seq).execute()
    Event.update(seq=first.seq).where(Event.seq == second.seq).execute()
    Event.update(seq=second.seq).where(Event.seq == -1).execute()
    assert reported()


# 17. An epoch moved to the end.


def test_restart_is_moved_to_the_end(organization, session, worker, reported):
    epochs.restart(organization, "test")
    worker.run_once()
    assert differences() == []
    rows = list(
        LedgerEntry.select().where(LedgerEntry.position.is_null(False)).order_by(LedgerEntry.position)
    )
    archived = ArchivedCheckpoint(organization.id, rows[-2].position, rows[-2].link.hex(), clock.now())
    print(list(checkpoints.compare([archived])))
    epoch = next(row for row in rows if row.reason == "restarted" and row.kind == "epoch")
    rows.remove(epoch)
    rows.append(epoch)
    LedgerEntry.update(position=None).where(LedgerEntry.position.is_null(False)).execute()
    link = entries.START
    for position, row in enumerate(rows, 1):
        link = entries.next_link(link, position, str(row.id), row.signature)
        LedgerEntry.update(position=position, link=link).where(LedgerEntry.id == row.id).execute()
    print(list(checkpoints.compare([archived])))
    Score.delete().execute()
    Session.update(listed_seq=0).execute()
    assert reported()


# False alarms: these must report nothing.


def test_interrupted_submission_is_removed(clock, session, worker):
    other = make_session(make_key(session.assessment))
    Submission.reserve(other, "zip", "unused")
    worker.run_once()
    clock.fixed += timedelta(days=3)
    assert delete_unused() >= 1
    worker.run_once()
    assert differences() == []


# 18. The database lies to the verifier.


def test_view_returns_other_values_to_the_verifier(session, reported):
    if not is_postgres():
        pytest.skip("SQLite has no current_query()")
    others = ", ".join(f.column_name for f in Score._meta.sorted_fields if f.name != "value")
    db.execute_sql("ALTER TABLE scores RENAME TO hidden")
    db.execute_sql(
        f"CREATE VIEW scores AS SELECT {others}, CASE WHEN current_query() LIKE '%%ledger_version, t.ledger_salt%%'"
        " THEN value ELSE 2 END AS value FROM hidden"
    )
    assert Score.get(Score.session == session).value == 2
    assert reported() or ledger.altered_tables()


# 19. Inserted rows make a legitimate operation delete a genuine one, with a signed entry.


def test_inserted_submissions_displace_an_old_one(clock, session, worker, reported):
    other = make_session(make_key(session.assessment))
    first = Submission.reserve(other, "zip", "one")
    first.record(10, "1" * 64, 2**20)
    Submission.reserve(other, "zip", "two").record(11, "2" * 64, 2**20)
    worker.run_once()
    clock.fixed += timedelta(seconds=1)
    row = row_dict(first)
    fakes = [row | {"id": new_id(), "created_at": clock.fixed} for _ in range(100)]
    Submission.insert_many(fakes).execute()
    Submission.reserve(other, "zip", "three").record(12, "3" * 64, 2**20)
    Submission.delete().where(Submission.id.in_([fake["id"] for fake in fakes])).execute()
    assert Submission.get_or_none(Submission.id == first.id) is None
    assert reported(other)


# 20. Metrics are computed from events that nobody verifies; an erasure then removes the events.


def test_metrics_of_changed_events_survive_an_erasure(clock, session, worker, reported):
    event = Event.select().where(Event.session == session).order_by(Event.seq.desc()).first()
    Event.delete().where(Event.seq == event.seq).execute()
    Event.update(envelope=json.dumps(envelope("command", data={"command": "rm", "exitCode": 1}))).where(
        Event.session == session
    ).execute()
    Session.update(metrics_due=True, event_count=Session.event_count).execute()
    worker.run_once()
    changed = Session.get_by_id(session.id)
    print(session.prompt_count, changed.prompt_count)
    privacy.erase(session.key)
    assert changed.prompt_count == session.prompt_count or reported()


# 21. A role is changed only while it is used.


def test_role_is_changed_for_a_moment(organization, session, worker, reported):

    observer = make_person(organization, "observer", "Mallory")
    worker.run_once()
    User.update(role="admin").where(User.id == observer.id).execute()
    sign_in = SignIn.start(ApiToken.for_sign_ins(observer), "email")[0]
    Score.submit(session, "quality", sign_in.token, value=2, comment="Great", evidence=[])
    User.update(role="observer").where(User.id == observer.id).execute()
    assert reported()


def test_row_is_changed_while_its_key_is_missing_and_then_erased(session, worker, reported):
    known = dict(keys.known())
    keys.use({"other": b"k" * 32})
    Score.update(value=2).where(Score.session == session).execute()
    privacy.erase(session.key)
    keys.use(known | {"other": b"k" * 32})
    assert reported()
