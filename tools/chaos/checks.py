"""Is everything there that was acknowledged, nothing twice, and nothing half? Asked through the API."""

import hashlib
import json
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.live.client import Answer
from tests.live.scripted_chain import verify
from tools.chaos.calls import Breach
from tools.chaos.feed import Feed
from tools.chaos.ledger import Batch, Work
from tools.chaos.story import Story
from tools.chaos.world import World

AT_A_TIME = 4


class Checks:
    """Looks at stories that are over; `found` counts what was there although nobody was told so."""

    def __init__(self, world: World, feed: Feed):
        self.world = world
        self.feed = feed
        self.found: Counter[str] = Counter()
        self.looked_at: Counter[str] = Counter()
        self._lock = threading.Lock()

    def breaches(self, stories: list[Story]) -> list[str]:
        """What is wrong with these stories, each sentence with the story's label."""
        with ThreadPoolExecutor(AT_A_TIME) as threads:
            return [sentence for found in threads.map(self._of_story, stories) for sentence in found]

    def _of_story(self, story: Story) -> list[str]:
        found = []
        try:
            for sentence in self._sentences(story):
                found.append(sentence)
        except (Breach, AssertionError, KeyError) as error:
            found.append(repr(error))
        return [f"{story.label} (assessment {story.assessment_id}): {sentence}" for sentence in found]

    def _sentences(self, story: Story) -> Iterator[str]:
        # One that was broken off has been accused already.
        if not story.is_over:
            return
        yield from self._keys(story)
        yield from self._feed(story)
        for work in story.works:
            for sentence in self._session(work):
                yield f"session {work.session_id}: {sentence}"

    def _count(self, counter: Counter[str], kind: str, count: int = 1) -> None:
        with self._lock:
            counter[kind] += count

    def _get(self, path: str, expected: tuple[int, ...] = (200,)) -> Answer:
        return self.world.line.insist("GET", path, headers=self.world.reviewer, expected=expected)

    # Keys, and the mails to their candidates

    def _keys(self, story: Story) -> Iterator[str]:
        assessment = self._get(f"/v1/assessments/{story.assessment_id}")["assessment"]
        if assessment["title"] != story.label:
            yield f"its title is {assessment['title']}"
        listed = self._get(f"/v1/assessments/{story.assessment_id}/keys")["keys"]
        if len({key["key"] for key in listed}) != len(listed):
            yield "a key stands there twice"
        by_batch: dict[str, list] = {batch.name: [] for batch in story.batches}
        for key in listed:
            by_batch.setdefault(key["candidateName"], []).append(key)
        if len(by_batch) != len(story.batches):
            yield f"there are keys that nobody asked for: {list(by_batch)}"
        if story.gone & {key["id"] for key in listed}:
            yield "a key is there that was revoked or erased"
        self._count(self.looked_at, "assessment", 1)
        self._count(
            self.looked_at, "revocation", len(story.gone) - sum(work.is_erased for work in story.works)
        )
        for batch in story.batches:
            yield from self._batch(batch, by_batch[batch.name], story.gone)
        for key in listed:
            yield from self._mail(key)

    def _batch(self, batch: Batch, listed: list[dict[str, Any]], gone: set[str]) -> Iterator[str]:
        there = [key["id"] for key in listed]
        if batch.keys is None:
            if len(there) not in (0, len(batch.addresses)):
                yield f"half a batch: {len(there)} of {len(batch.addresses)} keys of {batch.name}"
            self._count(self.found, "key", len(there))
            return
        promised = [key["id"] for key in batch.keys if key["id"] not in gone]
        if sorted(there) != sorted(promised):
            yield f"{batch.name} has the keys {there}, and acknowledged were {promised}"
        if [key["key"] for key in batch.keys if key["id"] in set(there)] != [key["key"] for key in listed]:
            yield f"{batch.name} has other keys than those that were shown"
        self._count(self.looked_at, "key", len(promised))

    def _mail(self, key: dict[str, Any]) -> Iterator[str]:
        arrived = self.world.receivers.mails.arrived.get(key["candidateEmail"], Counter())
        if key["invite"]["state"] != "sent":
            yield f"the invitation to {key['candidateEmail']} is {key['invite']}"
        if len(arrived) != 1:
            yield f"the mails to {key['candidateEmail']} have the ids {list(arrived)}"
        self._count(self.looked_at, "mail", 1)
        self._count(self.found, "repeated mail", arrived.total() - len(arrived))

    # Sessions

    def _session(self, work: Work) -> Iterator[str]:
        there = self._exported(work)
        session = self._get(f"/v1/sessions/{work.session_id}").json
        if session["completedAt"] != work.completed_at:
            yield f"completed at {session['completedAt']}, and told was {work.completed_at}"
        yield from self._integrity(work, len(there))
        self._count(self.looked_at, "redemption")
        self._count(self.looked_at, "completion")
        if work.is_erased:
            self._count(self.looked_at, "erasure", 1)
            yield from _erased(work, session, there)
            return
        yield from self._events(work, there)
        if session["eventCount"] + session["lateEventCount"] != len(there):
            yield f"it counts {session['eventCount']} events and has {len(there)}"
        yield from self._consent(work)
        yield from self._scores(work)
        yield from self._bundle(work)
        if work.is_signed:
            signed = verify(self._get(f"/v1/sessions/{work.session_id}/signed-log").json)
            if signed != len(there):
                yield f"its signed log has {signed} events of {len(there)}"

    def _exported(self, work: Work) -> list[str]:
        lines = self._get(f"/v1/sessions/{work.session_id}/export").text.splitlines()[1:]
        return [json.loads(line)["id"] for line in lines]

    def _events(self, work: Work, there: list[str]) -> Iterator[str]:
        if len(set(there)) != len(there):
            yield f"events twice: {[it for it, count in Counter(there).items() if count > 1]}"
        if lost := work.acknowledged - set(there):
            yield f"events lost: {sorted(lost)}"
        if unknown := set(there) - work.sent.keys():
            yield f"events that nobody sent: {sorted(unknown)}"
        for ids in work.together:
            if 0 < len(set(ids) & set(there)) < len(ids):
                yield f"half a batch of events: {ids}"
        self._count(self.looked_at, "event", len(work.acknowledged))
        self._count(self.found, "event", len(set(there) - work.acknowledged))

    def _integrity(self, work: Work, count: int) -> Iterator[str]:
        told = self._get(f"/v1/sessions/{work.session_id}/integrity").json
        facts = [fact["code"] for fact in told["facts"]]
        if facts != (["erased"] if work.is_erased else []):
            yield f"its integrity says {told['facts']}"
        if work.is_erased:
            return
        counts = told["counts"]
        wrong = ("unsealed", "invalid", "unknownKey", "notJudged")
        if counts["events"] != count or counts["sealed"] != count or any(counts[name] for name in wrong):
            yield f"its integrity counts {counts}"

    def _consent(self, work: Work) -> Iterator[str]:
        headers = {"X-API-Key": work.key["key"]}
        consents = self.world.line.insist("GET", "/v1/candidate/me", headers=headers)["consents"]
        if len(consents) != 1:
            yield f"the candidate agreed once, and there are the consents {consents}"
        self._count(self.looked_at, "consent", 1)

    def _scores(self, work: Work) -> Iterator[str]:
        sheet = self._get(f"/v1/sessions/{work.session_id}/scores")
        for criterion in sheet["criteria"]:
            value, acknowledged, open_ones = work.scores[criterion["key"]]
            times = len(criterion["history"])
            if criterion["score"] is None or criterion["score"]["value"] != value:
                yield f"the score {criterion['key']} is {criterion['score']}, and acknowledged was {value}"
            if not acknowledged <= times <= acknowledged + open_ones:
                yield f"the score {criterion['key']} was given {times} times"
            self._count(self.found, "score", times - acknowledged)
        told = self.feed.counts["score.updated", work.session_id]
        if told != sum(len(criterion["history"]) for criterion in sheet["criteria"]):
            yield f"the feed tells of {told} scores"
        self._count(self.looked_at, "score", len(work.scores))

    def _bundle(self, work: Work) -> Iterator[str]:
        answer = self._get(f"/v1/sessions/{work.session_id}/bundle", (200, 404, 409))
        if hashlib.sha256(answer.text).hexdigest() != work.bundle_sha256:
            yield f"its bundle is not what was handed in: {answer.status}"
        self._count(self.looked_at, "submission", 1)

    # The feed

    def _feed(self, story: Story) -> Iterator[str]:
        yield from self._told_once("assessment.created", story.assessment_id)
        known = {key["id"] for batch in story.batches for key in batch.keys or []}
        for key_id in known:
            yield from self._told_once("key.created", key_id)
        for work in story.works:
            yield from self._told_in_order(story, work)

    def _told_once(self, kind: str, subject: str) -> Iterator[str]:
        if (times := self.feed.counts[kind, subject]) != 1:
            yield f"the feed tells {times} times of {kind} {subject}"

    def _told_in_order(self, story: Story, work: Work) -> Iterator[str]:
        steps = [
            ("assessment.created", story.assessment_id),
            ("key.created", work.key["id"]),
            ("session.started", work.session_id),
            ("session.completed", work.session_id),
            ("score.updated", work.session_id),
        ]
        if work.is_erased:
            steps.append(("candidate.erased", work.key["id"]))
        for step in steps[2:]:
            if step[0] != "score.updated":
                yield from self._told_once(*step)
        places = [self.feed.places.get(step, -1) for step in steps]
        if places != sorted(places) or -1 in places:
            yield f"the feed has {list(zip(steps, places, strict=True))} in the wrong order"


def _erased(work: Work, session: dict[str, Any], there: list[str]) -> Iterator[str]:
    if there:
        yield f"events are left after the erasure: {there}"
    if session["candidateName"] or session["candidateEmail"]:
        yield "a name is left after the erasure"
    if not len(work.acknowledged) <= session["eventCount"] <= len(work.sent):
        yield f"it counted {session['eventCount']} events before the erasure"


def of_audit(world: World) -> list[str]:
    """What `flask audit verify` finds."""
    try:
        world.service.flask("audit", "verify")
    except subprocess.CalledProcessError as error:
        return [f"The audit log is broken: {error.stdout}"]
    return []


def of_keys(world: World) -> list[str]:
    """No key and no address twice over all organizations, past the API, which hides what was revoked."""
    twice = world.ask_database("SELECT key, count(*) FROM candidate_keys GROUP BY key HAVING count(*) > 1")
    return [f"The key {key} stands there {count} times." for key, count in twice]
