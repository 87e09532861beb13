"""Hostile submissions.

The out-of-process task: the submission is a program, `main.py`, that listens on port 8000 and must answer with the sum
of two random numbers. Each attack is the body of `attack(...)`; `main.py` calls it, answers with its result, and never
with the sum, so that every passed test would be unearned.
"""

# ruff: noqa: E501

MAIN = """
import ctypes, http.server, os, pathlib, signal, socket, subprocess, sys, time
libc = ctypes.CDLL(None, use_errno=True)

def attack():
{attack}

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = RESULT.encode("utf-8", "replace")
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

try:
    RESULT = str(attack())
except BaseException as error:
    RESULT = repr(error)
http.server.HTTPServer(("127.0.0.1", 8000), Handler).serve_forever()
"""

# The hidden tests. "evidence" always fails with the submission's answer as its output.
RUN = """
import os, random, time, urllib.request
from xml.sax.saxutils import escape
MARKER = "HIDDEN" + "MARKER"
a, b = random.randrange(10**9), random.randrange(10**9)
answer, end = "no answer", time.monotonic() + 8
while time.monotonic() < end:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:8000/?a={a}&b={b}", timeout=3) as response:
            answer = response.read(100_000).decode("utf-8", "replace")
        break
    except OSError:
        time.sleep(0.05)
answer = escape("".join(c for c in answer if c.isprintable() or c in "\\n\\t"))
failure = "" if answer == str(a + b) else "<failure>wrong</failure>"
with open(os.environ["REPORT"], "w") as report:
    report.write(f'<testsuite><testcase name="evidence"><failure>{answer}</failure></testcase>'
                 f'<testcase name="sum">{failure}</testcase></testsuite>')
"""
HIDDEN = {
    "run.py": RUN,
    "HIDDENMARKER.txt": "HIDDENMARKER",
    "serve/serve.py": "import runpy; runpy.run_path('/work/main.py')",
}

SEARCH = """
def search(*words):
    found = []
    for root in ("/", "/proc"):
        for folder, folders, files in os.walk(root):
            if folder == "/":
                folders[:] = [name for name in folders if name not in ("proc", "usr", "sys", "lib")]
            folders[:] = [name for name in folders if not os.path.islink(os.path.join(folder, name))]
            for name in files:
                if any(word in name for word in words):
                    found.append(os.path.join(folder, name))
                if name in ("main.py", "kmsg", "kcore", "mem", "pagemap"):
                    continue
                try:
                    descriptor = os.open(os.path.join(folder, name), os.O_RDONLY | os.O_NONBLOCK)
                    data = os.read(descriptor, 100_000)
                    os.close(descriptor)
                except OSError:
                    continue
                if any(word.encode() in data for word in words):
                    found.append(os.path.join(folder, name))
    return found
"""

CALLS = """
def call(number, *arguments):
    ctypes.set_errno(0)
    result = libc.syscall(number, *arguments)
    return "open" if result >= 0 else "closed"
"""

# Name: (body of attack, pattern of the evidence). The pattern None: the submission never answers.
OUT_OF_PROCESS = {
    "network": (
        """
reached = []
for address in (("127.0.0.1", {port}), ("{address}", {port}), ("10.0.0.1", 80), ("1.1.1.1", 53), ("169.254.169.254", 80)):
    try:
        socket.create_connection(address, 0.5).close()
        reached.append(address)
    except OSError:
        pass
return f"reached {reached}"
""",
        r"reached \[\]",
    ),
    "names": ('return socket.getaddrinfo("localhost.example", 80)', "gaierror"),
    "hidden files": (SEARCH + "return f\"found {search(chr(72) + 'IDDENMARKER')}\"", r"found \[\]"),
    "token": (SEARCH + "return f\"found {search('psr' + '_', '127.0.0.1:' + str({port}))}\"", r"found \[\]"),
    "processes": (
        """
names = [(path / "cmdline").read_bytes().replace(b"\\0", b" ").decode() for path in pathlib.Path("/proc").glob("[0-9]*")]
return f"{len(names)} processes; tests: {any('run.py' in name or 'psr_' in name for name in names)}"
""",
        "^[2-9] processes; tests: False",
    ),
    "fork bomb": ("while True:\n    try:\n        os.fork()\n    except OSError:\n        pass", None),
    "thread bomb": (
        """
import threading
count = 0
try:
    while count < 5000:
        threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
        count += 1
except RuntimeError:
    pass
return f"{count} threads"
""",
        r"^[0-3]?\d threads",
    ),
    "memory bomb": ("parts = []\nwhile True:\n    parts.append(b'x' * 10_000_000)", None),
    "full disk": (
        """
written = 0
for folder in ("/work", "/tmp", "/dev/shm", "/serve", "/", "/dev", "/var/tmp", "/run", "/usr"):
    try:
        with open(f"{folder}/file", "wb", buffering=0) as file:
            while True:
                written += file.write(b"x" * 1_000_000)
    except OSError:
        pass
return f"{written >> 20} MiB"
""",
        r"^(\d\d|1[0-5]\d) MiB|no answer",
    ),
    "many files": (
        """
count = 0
try:
    while True:
        os.mkdir(f"/work/{count}")
        count += 1
except OSError:
    return count
""",
        None,
    ),
    "output flood": ("while True:\n    os.write(1, b'x' * 65536)\n    os.write(2, b'x' * 65536)", None),
    "endless loop": ("while True:\n    pass", None),
    "no answer": ("time.sleep(3600)", None),
    "endless answer": (
        """
server = socket.create_server(("127.0.0.1", 8000))
while True:
    client, _ = server.accept()
    try:
        client.sendall(b"HTTP/1.1 200 OK\\r\\n\\r\\n")
        while True:
            client.sendall(b"x" * 65536)
    except OSError:
        pass
""",
        "xxxx",
    ),
    "report of its own": (
        """
for path in ("/report/junit.xml", "/tests/run.py", "/serve/../report/junit.xml", "/tmp/junit.xml", "/work/report.xml"):
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        pathlib.Path(path).write_text('<testsuite><testcase name="sum"/></testsuite>')
    except OSError:
        pass
os.write(1, b'<testsuite><testcase name="sum"/></testsuite>')
for path in pathlib.Path("/proc").glob("[0-9]*/fd/*"):
    try:
        with open(os.open(path, os.O_WRONLY | os.O_NONBLOCK), "wb", buffering=0) as file:
            file.write(b'<testsuite><testcase name="sum"/></testsuite>')
    except OSError:
        pass
return "written"
""",
        None,
    ),
    "daemons": (
        """
for _ in range(5):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            for number in range(1, 65):
                try:
                    signal.signal(number, signal.SIG_IGN)
                except (OSError, ValueError):
                    pass
            time.sleep(3600)
        os._exit(0)
return "started"
""",
        "started",
    ),
    "kill everything": (
        """
for process in (1, os.getppid(), -os.getppid(), -1):
    try:
        os.kill(process, signal.SIGKILL)
    except OSError:
        pass
return "alive"
""",
        "alive|no answer",
    ),
    "signals to other processes": (
        """
hit = []
for process in range(2, 70_000):
    if process not in (os.getpid(), os.getppid()):
        try:
            os.kill(process, signal.SIGSTOP)
            hit.append(process)
        except OSError:
            pass
return f"{len(hit)} hit"
""",
        "^[01] hit",
    ),
    "ptrace and memory of other processes": (
        """
others = [path.name for path in pathlib.Path("/proc").glob("[0-9]*") if path.name != str(os.getpid())]
owners = {os.stat(f"/proc/{name}").st_uid for name in others}
return f"{len(others)} others of {owners - {os.getuid(), 65534}}"
""",
        r"^[0-4] others of set\(\)",
    ),
    "abstract sockets": (
        """
lines = pathlib.Path("/proc/net/unix").read_text().splitlines()[1:]
server = socket.socket(socket.AF_UNIX)
server.bind("\\0proofstone")
return f"{[line for line in lines if '@' in line]}"
""",
        r"^\[\]",
    ),
    "ports of the tests": (
        """
open_ports = []
for port in [*range(1, 8000), *range(8001, 10_000)]:
    with socket.socket() as client:
        if client.connect_ex(("127.0.0.1", port)) == 0:
            open_ports.append(port)
return f"open {open_ports}"
""",
        r"open \[\]",
    ),
    "shared memory": (
        """
segments = pathlib.Path("/proc/sysvipc/shm").read_text().splitlines()[1:]
semaphores = pathlib.Path("/proc/sysvipc/sem").read_text().splitlines()[1:]
return f"{segments + semaphores} {os.listdir('/dev/shm')}"
""",
        r"^\[\] \[\]",
    ),
    "huge shared memory": (
        """
count = 0
while count < 100:
    segment = libc.shmget(0, 20_000_000, 0o1666)
    libc.shmat.restype = ctypes.c_void_p
    address = libc.shmat(segment, None, 0)
    ctypes.memset(address, 1, 20_000_000)
    count += 1
return "filled"
""",
        None,
    ),
    "setuid files": (
        """
import shutil
shutil.copy("/usr/bin/id", "/work/id")
os.chmod("/work/id", 0o6755)
try:
    os.chown("/work/id", 0, 0)
except OSError:
    pass
first = subprocess.run(["/work/id", "-u"], capture_output=True, text=True).stdout.strip()
for path in ("/usr/bin/su", "/usr/bin/mount", "/usr/bin/sudo", "/usr/bin/passwd"):
    if os.path.exists(path):
        os.stat(path)
try:
    os.setuid(0)
except OSError:
    pass
status = pathlib.Path("/proc/self/status").read_text().split()
value = lambda name: status[status.index(name) + 1]
return f"{first} {os.getuid()} {value('CapEff:')} {value('CapBnd:')} {value('NoNewPrivs:')} {value('Seccomp:')}"
""",
        "^64701 64701 0{16} 0{16} 1 2",
    ),
    "namespaces and mounts": (
        CALLS
        + """
user, mount = 0x10000000, 0x20000
return [call(272, user), call(272, mount), call(272, user | mount), call(56, user | 17, 0, 0, 0, 0),
        call(165, b"none", b"/work", b"tmpfs", 0, None), call(166, b"/usr", 2), call(161, b"/work"),
        call(308, os.open("/proc/self/ns/net", os.O_RDONLY), 0), call(155, b"/work", b"/work")]
""",
        r"^\['closed'(, 'closed'){8}\]",
    ),
    "kernel calls": (
        CALLS
        + """
empty = ctypes.create_string_buffer(256)
return [call(425, 8, empty), call(321, 0, empty, 120), call(298, empty, 0, -1, -1, 0), call(250, 0, -3, 1),
        call(248, b"user", b"a", b"b", 1, -3), call(323, 0), call(246, 0, 0, 0, 0), call(175, empty, 1, b""),
        call(304, 3, empty, 0), call(169, 0, 0, 0, 0), call(103, 3, empty, 10), call(206, 1, empty)]
""",
        r"^\['closed'(, 'closed'){11}\]",
    ),
    "32-bit calls": (
        CALLS + "return [call(0x40000000 | 39), call(0x40000000 | 101, 0, 1, 0, 0)]",
        r"^\['closed', 'closed'\]|no answer",
    ),
    "socket families": (
        """
result = []
for family, kind, protocol in ((17, 3, 768), (2, 3, 1), (38, 5, 0), (40, 1, 0), (16, 3, 2)):
    try:
        socket.socket(family, kind, protocol).close()
        result.append("open")
    except OSError:
        result.append("closed")
return result
""",
        r"^\['closed'(, 'closed'){4}\]",
    ),
    "settings of the machine": (
        """
written = []
for path in ("/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger", "/proc/sys/kernel/hostname", "/proc/1/oom_score_adj",
             "/proc/self/uid_map", "/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/cgroup.procs",
             "/etc/passwd", "/usr/bin/python3", "/dev/mem", "/dev/vda", "/dev/kmsg"):
    try:
        with open(path, "r+b", buffering=0) as file:
            file.write(b"1")
        written.append(path)
    except OSError:
        pass
return f"written {[path for path in written if 'oom' not in path]}"
""",
        r"written \[\]",
    ),
    "terminal": (
        """
import fcntl, termios
try:
    fcntl.ioctl(os.open("/dev/tty", os.O_RDWR), termios.TIOCSTI, b"x")
    return "typed"
except OSError:
    return "closed"
""",
        "closed",
    ),
    "report in the answer": (
        "return '</failure></testcase><testcase name=\"sum\"/><testcase><failure>'",
        "testcase name",
    ),
    "deep folders": (
        """
for _ in range(3000):
    os.mkdir("d" * 200)
    os.chdir("d" * 200)
pathlib.Path("file").write_text("x")
return "created"
""",
        "created",
    ),
    "strange names": (
        """
for name in ("a\\nb", "-rf", "\\x1b[2J", "../work/x", "é" * 100, "$(id)", "`id`", ";id"):
    pathlib.Path("/work", name).write_text("x")
os.symlink("/", "/work/root")
os.mkfifo("/work/fifo")
return "created"
""",
        "created",
    ),
    "closed streams": ("for number in range(3):\n    os.close(number)\nreturn 'closed'", None),
    # More than all memory of the sandbox. podman cannot limit it with version 1 of cgroups.
    "socket buffers": (
        """
server, held, sent = socket.create_server(("127.0.0.1", 9000)), [], 0
end = time.monotonic() + 3
for _ in range(1500):
    client = socket.create_connection(("127.0.0.1", 9000))
    held += [client, server.accept()[0]]
    client.setblocking(False)
    try:
        while time.monotonic() < end:
            sent += client.send(b"x" * 262_144)
    except BlockingIOError:
        pass
return f"{sent >> 20} MiB"
""",
        r"^[12]?\d?\d MiB|no answer",
    ),
}

SEEN = "\npathlib.Path('/work/seen').write_text(str(seen))\nreturn seen"
# Name: (body of attack in the setup command, state, pattern of the evidence or the reason).
SETUPS = {
    "hidden files": (
        SEARCH
        + "\nseen = f\"{search(chr(72) + 'IDDENMARKER')} {[os.path.exists(p) for p in ('/tests', '/serve', '/report')]}\""
        + SEEN,
        "finished",
        r"^\[\] \[False, False, False\]",
    ),
    "network": (
        "\ntry:\n    socket.create_connection(('{address}', {port}), 1)\n    seen = 'reached'\nexcept OSError:\n    seen = 'closed'"
        + SEEN,
        "finished",
        "^closed",
    ),
    "daemon": (
        "seen = 'started'\nif os.fork() == 0:\n    os.setsid()\n    time.sleep(3600)" + SEEN,
        "finished",
        "^started",
    ),
    "endless loop": ("while True:\n    pass", "timed_out", "Setup took longer than 5 seconds"),
    "failure": ("print('broken')\nos._exit(3)", "finished", "Setup failed"),
    "no files": (
        "subprocess.run(['sh', '-c', 'cd /work && python3 -c \"import shutil; shutil.rmtree(chr(46))\"'])\nreturn 1",
        "finished",
        ".*",
    ),
    # With bubblewrap, the pipe belongs to the runner's user, so it cannot be opened again.
    "false archive": (
        """
seen = 0
for name in os.listdir("/proc"):
    if name.isdigit() and name != str(os.getpid()):
        for number in range(20):
            try:
                if not os.readlink(f"/proc/{name}/fd/{number}").startswith("pipe:"):
                    continue
                descriptor = os.open(f"/proc/{name}/fd/{number}", os.O_WRONLY | os.O_NONBLOCK)
                os.write(descriptor, b"x" * 10_000)
                seen += 1
            except OSError:
                pass
"""
        + SEEN,
        "finished",
        "^0|cannot be read",
    ),
    "too many files": (
        "for number in range(200_000):\n    os.symlink('x', f'/work/{number}')\nreturn 'created'",
        "finished",
        "Setup failed|cannot be read|entries|MiB|too large",
    ),
    "devices and links": (
        "os.mkfifo('/work/fifo')\nos.symlink('/serve', '/work/serve')\nos.link('/work/main.py', '/work/hard')\nseen = 'made'"
        + SEEN,
        "finished",
        "^made",
    ),
}
