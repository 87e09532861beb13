"""A query that is built once gives what peewee would give, with other values each time."""

import sys
from functools import partial

import factories
import peewee
import pytest

from models import Assessment, CandidateKey, DailyTask, Session, clock, db, key_records
from models.base import insert_rows
from models.compiled import Compiled, Parameter
from tests.live.client import at_once


def keys_with_sessions():
    query = CandidateKey.select(CandidateKey, Assessment, Session).join(Assessment)
    query = query.join_from(CandidateKey, Session, peewee.JOIN.LEFT_OUTER, attr="begun")
    return query.where(CandidateKey.id == Parameter("id", CandidateKey.id))


def test_a_row_with_its_joins_is_what_peewee_makes_of_it(key):
    session = factories.make_session(key)
    found = Compiled(keys_with_sessions).first(id=key.id)
    for instance, model in ((found, key), (found.assessment, key.assessment), (found.begun, session)):
        assert instance.__data__ == type(model).get_by_id(model.id).__data__


def test_each_run_has_values_of_its_own(assessment):
    one, other = (factories.make_key(assessment) for _ in range(2))
    look_up = Compiled(keys_with_sessions)
    assert [look_up.first(id=key.id).key for key in (one, other, one)] == [one.key, other.key, one.key]


@pytest.fixture
def tasks(app_on_database):
    """Rows that every connection sees."""
    with db.connection_context():
        insert_rows(DailyTask, [{"name": f"task {number}", "day": "some day"} for number in range(20)])
        yield DailyTask.day == "some day"
        DailyTask.delete().where(DailyTask.day == "some day").execute()


@pytest.fixture
def switching_often():
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(interval)


def test_threads_that_come_first_at_the_same_moment_all_get_the_rows(tasks, switching_often):
    """The first run finds out how rows are read; that of one must not get into the way of another's."""

    def run(compiled):
        with db.connection_context():
            return len(compiled.all()), len(compiled.dicts())

    for _ in range(30):
        compiled = Compiled(lambda: DailyTask.select().where(tasks))
        assert at_once([partial(run, compiled)] * 8) == [(20, 20)] * 8


def test_what_no_join_finds_is_none(key):
    assert Compiled(keys_with_sessions).first(id=key.id).begun is None


def test_what_is_not_there_is_none(key):
    assert Compiled(keys_with_sessions).first(id=key.assessment_id) is None


def test_rows_as_dictionaries_are_what_peewee_makes_of_them(key):
    factories.make_session(key)
    now = clock.now()
    look_up = Compiled(lambda: key_records(Parameter("now", Session.closes_at)))
    assert look_up.dicts(now=now) == look_up.dicts(now=now) == list(key_records(now))


def test_a_count_is_a_number(key):
    count = CandidateKey.select(peewee.fn.COUNT(CandidateKey.id))
    counted = Compiled(lambda: count.where(CandidateKey.id == Parameter("id", CandidateKey.id)))
    assert [counted.scalar(id=each) for each in (key.id, key.assessment_id)] == [1, 0]
