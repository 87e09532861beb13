"""Threads that tell one story after the other until they are told to stop."""

import random
import threading
import traceback
from typing import Self

from tools.chaos.calls import Breach
from tools.chaos.ledger import Ledger
from tools.chaos.story import Story
from tools.chaos.world import World

WRITERS = 6


class Writers:
    """Stories by writers that go on while the `with` block runs, and end their last one after it."""

    def __init__(self, world: World, ledger: Ledger, seed: int, count: int = WRITERS):
        self.world = world
        self.ledger = ledger
        self.seed = seed
        self.stories: list[Story] = []
        self._numbers = [0] * count
        self._stopped = threading.Event()
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        self._stopped.clear()
        self._threads = [
            threading.Thread(target=self._write, args=(writer,), daemon=True)
            for writer in range(len(self._numbers))
        ]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def _write(self, writer: int) -> None:
        while not self._stopped.is_set():
            story = self._story(writer)
            self.stories.append(story)
            try:
                story.play()
            except Breach as breach:
                self.ledger.accuse(f"{story.label}: {breach}")
            except Exception:
                self.ledger.accuse(f"{story.label}: {traceback.format_exc()}")

    def _story(self, writer: int) -> Story:
        label = f"{self.seed}-{writer}-{self._numbers[writer]}"
        self._numbers[writer] += 1
        world = self.world
        return Story(label, random.Random(label), world.line, self.ledger, world.reviewer, world.rubric_id)
