"""A small service that speaks the runner API, and archives for its jobs."""

import io
import json
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MAX_BODY_BYTES = 16 << 20
TOKEN = "psr_0123456789abcdefghijklmnopqrstuv"
LIMITS = {
    "seconds": 20,
    "setupSeconds": 20,
    "memoryMb": 128,
    "processes": 32,
    "diskMb": 32,
    "cpus": 1,
}
SETTINGS = {
    "version": 1,
    "command": "python3 run.py",
    "serve": None,
    "setup": None,
    "setupNetwork": False,
    "files": [{"from": ".", "to": "."}],
    "framework": None,
    "report": None,
    "image": None,
}


def pack(files: dict[str, str | bytes], mode: str = "w:gz") -> bytes:
    """Return a tar of text files; a value that is a TarInfo is added unchanged."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode=mode) as archive:
        for name, content in files.items():
            if isinstance(content, tarfile.TarInfo):
                archive.addfile(content)
                continue
            data = content if isinstance(content, bytes) else content.encode()
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(data), 0o755
            archive.addfile(info, io.BytesIO(data))
    return target.getvalue()


class Service:
    """Hands out jobs in order, and keeps each result."""

    def __init__(self):
        self.jobs, self.claims, self.results, self.heartbeats = [], [], [], 0
        self.failures: list[int] = []
        self.lost: set[str] = set()
        self.changed = threading.Condition()
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def respond(self, status, body=b""):
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def handle_request(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                with service.changed:
                    try:
                        status, content = service.answer(self.command, self.path, self.headers, body)
                    finally:
                        service.changed.notify_all()
                self.respond(status, content)

            do_GET = do_POST = do_PUT = handle_request

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05})
        self.thread.start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def add(self, work, tests, form="tar.gz", reference=None, limits=None, **settings):
        """Queue a job and return its id."""
        number = str(len(self.jobs) + 1)
        inputs = {"work": (form, work), "tests": ("tar.gz", tests)}
        if reference:
            inputs["reference"] = ("tar.gz", reference)
        settings = SETTINGS | settings | {"limits": LIMITS | (limits or {})}
        self.jobs.append({"id": number, "inputs": inputs, "settings": settings, "attempt": 0})
        return number

    def answer(self, method, path, headers, body):
        if headers["Authorization"] != f"Bearer {TOKEN}":
            return 401, b"{}"
        if self.failures:
            return self.failures.pop(0), b"{}"
        parts = path.removeprefix("/v1/runner/jobs/").split("/")
        if parts == ["claim"]:
            self.claims.append(json.loads(body))
            job = next((job for job in self.jobs if job["attempt"] == 0), None)
            if job is None:
                self.changed.wait(0.2)
                return 204, b""
            job["attempt"] = 1
            return 200, json.dumps({"job": self.describe(job)}).encode()
        if len(body) > MAX_BODY_BYTES:
            return 413, b"{}"
        job = next(job for job in self.jobs if job["id"] == parts[0])
        if parts[1] in job["inputs"]:
            return 200, job["inputs"][parts[1]][1]
        if job["id"] in self.lost:
            return 409, b'{"code": "claim_lost"}'
        if parts[1] == "result":
            self.results.append(json.loads(body) | {"id": job["id"]})
        else:
            self.heartbeats += 1
        return 200, b'{"leaseSeconds": 1}'

    def describe(self, job):
        inputs = {
            name: {"url": f"/v1/runner/jobs/{job['id']}/{name}", "format": form}
            for name, (form, _) in job["inputs"].items()
        }
        described = {"id": job["id"], "attempt": job["attempt"], "purpose": "submission", "leaseSeconds": 1}
        return described | {
            "settings": job["settings"],
            "inputs": {"reference": None} | inputs,
        }

    def wait_for(self, condition, seconds=60):
        with self.changed:
            assert self.changed.wait_for(condition, seconds), "The condition did not become true in time."
