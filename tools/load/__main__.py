"""Measure a web process that forwards many model calls: `python -m tools.load [--minutes 5]`.

Three loads, one after the other: 100 and 600 streams, then 200 working candidates for the remaining minutes. Writes the
results to tools/benchmarks/RESULTS.md. Exits with status 1 if a request failed or a call was not recorded.
"""

import argparse
import asyncio
import random
import sys
import tempfile
import time
from array import array
from collections.abc import Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from tests import postgres
from tests.live.cast import Candidate, make_assessment, make_keys
from tests.live.client import Client
from tests.live.service import HOST, Service
from tools.benchmarks import processes, report
from tools.load.traffic import CHUNKS_PER_SECOND, MAX_BYTES, REQUEST_BYTES, Traffic, provide

METRICS_TOKEN = "a-token-of-the-load-test"
SETTINGS = {
    "ANTHROPIC_API_KEY": "sk-ant-load", "METRICS_TOKEN": METRICS_TOKEN, "RATELIMIT_ENABLED": "true",
    # All candidates have the same address.
    "RATELIMIT_DEFAULT": "100000 per minute",
}  # fmt: skip
CANDIDATES, WORKING_CANDIDATES = 300, 200
# The number of streams, or None for working candidates, and settings that differ from the defaults.
LOADS: dict[str, tuple[int | None, dict[str, str]]] = {
    "100 streams": (100, {}),
    "600 streams": (600, {"WEB_THREADS": "640", "PROXY_STREAMS": "600"}),
    f"{WORKING_CANDIDATES} candidates": (None, {}),
}
STREAM_SECONDS, STARTS_PER_SECOND = 60, 20
REQUESTS_PER_SECOND = 10
# A minute of work in the recordings has 9 events and 2.5 model calls of 8.8 (median) or 12.5 seconds (mean).
EVENTS_PER_SECOND, CALLS_PER_SECOND = 9 / 60, 2.5 / 60
LOG_CALL_SECONDS, MEAN_CALL_SECONDS = (2.17, 0.84), 12.5
OLDEST_DUE = "proofstone_queue_oldest_due_age_seconds"
CONNECTIONS = "SELECT count(*) - 1 FROM pg_stat_activity WHERE datname = current_database()"
RECORDED_CALLS = "SELECT count(*) FROM model_usage WHERE is_whole AND is_recorded"


class Callers(NamedTuple):
    reviewer: Client
    candidates: list[Candidate]


class Sample(NamedTuple):
    """Memory in MiB, and the age of the worker's oldest due item in seconds."""

    web: float
    worker: float
    connections: int
    oldest_due: float


class Load:
    """A load on a running service, and its results."""

    seconds = web_seconds = generator_seconds = 0.0
    recorded = 0

    def __init__(self, name: str, service: Service, worker: int, callers: Callers):
        self.name, self.service, self.worker = name, service, worker
        self.reviewer, self.candidates = callers
        self.traffic = Traffic(service.port)
        self.samples: list[Sample] = []
        self.loop_delays = array("d")

    async def run(self, load: Coroutine[Any, Any, None]) -> None:
        """Measure the load until it ends."""
        observers = [asyncio.create_task(self._take_samples()), asyncio.create_task(self._measure_loop())]
        recorded, web_seconds = self._recorded_calls(), self._web_seconds()
        started_at, generator_seconds = time.monotonic(), time.process_time()
        await load
        self.seconds = time.monotonic() - started_at
        self.generator_seconds = time.process_time() - generator_seconds
        self.web_seconds = self._web_seconds() - web_seconds
        self.recorded = self._recorded_calls() - recorded
        for observer in observers:
            observer.cancel()
        self.samples.append(self._sample())

    async def hold_streams(self, count: int) -> None:
        """Open two streams for each candidate, and send other requests while all of them are open."""
        async with asyncio.TaskGroup() as group:
            for number in range(count):
                call = self.traffic.call_model(
                    self.candidates[number // 2], f"{self.name}-{number}", 1, STREAM_SECONDS
                )
                group.create_task(call)
                await asyncio.sleep(1 / STARTS_PER_SECOND)
            await self._send_requests(STREAM_SECONDS - count / STARTS_PER_SECOND)

    async def work(self, seconds: float) -> None:
        """Let candidates send events and run agents at the recordings' pace."""
        ends_at = time.monotonic() + seconds
        async with asyncio.TaskGroup() as group:
            group.create_task(self._send_requests(seconds))
            for candidate in self.candidates[:WORKING_CANDIDATES]:
                group.create_task(self._run_client(candidate, ends_at))
                group.create_task(self._run_agent(candidate, ends_at))

    async def _send_requests(self, seconds: float) -> None:
        """Send candidates' events and a reviewer's reads."""
        ends_at = time.monotonic() + seconds
        async with asyncio.TaskGroup() as group:
            while time.monotonic() < ends_at:
                group.create_task(self.traffic.send_event(random.choice(self.candidates)))
                group.create_task(self.traffic.request(self.reviewer, "GET", "/v1/candidates"))
                await asyncio.sleep(2 / REQUESTS_PER_SECOND)

    async def _run_client(self, candidate: Candidate, ends_at: float) -> None:
        while (pause := random.expovariate(EVENTS_PER_SECOND)) < ends_at - time.monotonic():
            await asyncio.sleep(pause)
            await self.traffic.send_event(candidate)

    async def _run_agent(self, candidate: Candidate, ends_at: float) -> None:
        number, mean_pause = 0, 1 / CALLS_PER_SECOND - MEAN_CALL_SECONDS
        while (pause := random.expovariate(1 / mean_pause)) < ends_at - time.monotonic():
            await asyncio.sleep(pause)
            number += 1
            seconds = min(random.lognormvariate(*LOG_CALL_SECONDS), ends_at - time.monotonic())
            await self.traffic.call_model(candidate, candidate.id, number, seconds)

    async def _take_samples(self) -> None:
        while True:
            self.samples.append(await asyncio.to_thread(self._sample))
            await asyncio.sleep(2)

    async def _measure_loop(self) -> None:
        """Measure the delay of the load generator's event loop."""
        while True:
            due_at = time.monotonic() + 0.05
            await asyncio.sleep(0.05)
            self.loop_delays.append(time.monotonic() - due_at)

    def _sample(self) -> Sample:
        metrics = Client(self.service.port, Authorization=f"Bearer {METRICS_TOKEN}").get("/metrics").text
        ages = [line.split()[1] for line in metrics.decode().splitlines() if line.startswith(OLDEST_DUE)]
        ((connections,),) = self.service.execute(CONNECTIONS)
        web, worker = processes.memory(self.service.web_processes()), processes.memory([self.worker])
        return Sample(web, worker, connections, max(map(float, ages)))

    def _web_seconds(self) -> float:
        return processes.processor_seconds(self.service.web_processes())

    def _recorded_calls(self) -> int:
        ((count,),) = self.service.execute(RECORDED_CALLS)
        return count

    @property
    def has_failed(self) -> bool:
        return bool(self.traffic.errors) or self.recorded != self.traffic.calls

    def cells(self) -> dict[str, str]:
        traffic, samples = self.traffic, self.samples
        memory = [samples[(len(samples) - 1) * quarter // 4].web for quarter in range(5)]
        return {
            "calls, completed and recorded": f"{traffic.calls}, {traffic.completed}, {self.recorded}",
            "concurrent streams, maximum": f"{traffic.most_running}",
            "start of a stream": milliseconds(traffic.call_starts, 50, 99),
            "delay of a chunk": milliseconds(traffic.chunk_delays, 50, 99),
            "chunks per second": f"{len(traffic.chunk_delays) / self.seconds:.0f}",
            "other requests per second": f"{len(traffic.requests) / self.seconds:.0f}",
            "other requests": milliseconds(traffic.requests, 50, 95),
            "failed requests": f"{traffic.errors.total()}",
            "web process, MiB at each quarter": ", ".join(f"{value:.0f}" for value in memory),
            "worker, MiB": f"{samples[-1].worker:.0f}",
            "database connections, maximum": f"{max(sample.connections for sample in samples)}",
            "worker's oldest due item, maximum": f"{max(sample.oldest_due for sample in samples):.0f} s",
            "processor, web process": f"{self.web_seconds / self.seconds:.0%}",
            "processor, load generator": f"{self.generator_seconds / self.seconds:.0%}",
            "delay of the load generator": milliseconds(self.loop_delays, 50, 99),
        }


def milliseconds(seconds: Sequence[float], *percents: int) -> str:
    """Format percentiles and the maximum."""
    ordered = sorted(seconds)
    values = [*(ordered[len(ordered) * percent // 100] for percent in percents), ordered[-1]]
    return ", ".join(f"{value * 1000:.0f}" for value in values)


def start_sessions(service: Service) -> Callers:
    """Start sessions whose model calls are recorded."""
    reviewer = service.organization("Acme")
    with ThreadPoolExecutor(8) as threads:
        keys = make_keys(reviewer, make_assessment(reviewer), CANDIDATES)
        return Callers(reviewer, list(threads.map(partial(Candidate, service), keys)))


async def measure(minutes: float) -> bool:
    """Run all loads, and write their results. Returns whether one of them failed."""
    provider = await asyncio.start_server(provide, HOST, 0, limit=MAX_BYTES, backlog=1000)
    settings = SETTINGS | {"ANTHROPIC_BASE_URL": f"http://{HOST}:{provider.sockets[0].getsockname()[1]}"}
    loads: list[Load] = []
    callers = None
    with postgres.start(durable=True, tcp=True) as server, tempfile.TemporaryDirectory() as folder:
        url = server.create_database("proofstone_load")
        for name, (streams, threads) in LOADS.items():
            service = Service(Path(folder), url, **settings, **threads)
            with service.start(1), service.worker() as worker:
                callers = callers or start_sessions(service)
                load = Load(name, service, worker.pid, callers)
                remaining = minutes * 60 - sum(load.seconds for load in loads)
                await load.run(load.hold_streams(streams) if streams else load.work(remaining))
                loads.append(load)
                for error, count in load.traffic.errors.most_common():
                    print(f"{name}: {count} times {error}", file=sys.stderr)
        # In a thread, so that the provider can close its connections.
        ledger = (await asyncio.to_thread(service.flask, "ledger", "verify")).strip()
    document = _document(loads, ledger)
    report.write("load", document)
    print(document)
    return any(load.has_failed for load in loads)


def _document(loads: list[Load], ledger: str) -> str:
    columns = [load.cells() for load in loads]
    rows = [[name, *(column[name] for column in columns)] for name in columns[0]]
    return f"""## Many model calls

`make load`. One web process and one worker on one durable PostgreSQL, with the default settings; for 600 streams
`WEB_THREADS=640` and `PROXY_STREAMS=600`. Each candidate has two streams of {STREAM_SECONDS} seconds,
{CHUNKS_PER_SECOND} chunks a second; {STARTS_PER_SECOND} start each second. A call sends {REQUEST_BYTES // 1000} KB,
and is recorded. Working candidates send events and make calls at the pace of the recordings ([SIZING.md](SIZING.md)).
Other requests store an event or list candidates, each over a new connection. Times are the median, 99 % (95 % for other
requests) and maximum, in ms.

{report.markdown(["", *(load.name for load in loads)], rows)}

- Duration: {", ".join(f"{load.seconds:.0f} s" for load in loads)}. `flask ledger verify`: {ledger}
- {report.describe_machine()}; {date.today().isoformat()}. Provider, clients and database share the machine.
"""


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tools.load", description="Measure a web process under many model calls."
    )
    parser.add_argument("--minutes", type=float, default=5, help="duration of all loads (%(default)s)")
    sys.exit(asyncio.run(measure(parser.parse_args().minutes)))


if __name__ == "__main__":
    main()
