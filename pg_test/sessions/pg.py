"""Sessions for tests: psql processes on the server of PGHOST, PGPORT, PGUSER. Standard library only."""
import contextlib
import os
import queue
import re
import shutil
import signal
import struct
import subprocess
import tempfile
import threading
import time
import uuid
import zlib

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
GOLDEN = os.path.join(ROOT, "crates", "clip-core", "tests", "golden")

# Jobs in a shell's background ignore it, and so would what they start.
signal.signal(signal.SIGINT, signal.default_int_handler)


class SqlError(Exception):
    def __init__(self, text):
        super().__init__(text)
        found = re.search(r"(?:ERROR|FATAL|PANIC):\s+([0-9A-Z]{5}):", text)
        self.sqlstate = found.group(1) if found else None


class Session:
    """One connection. `run` gives the rows as lists of strings, or raises SqlError."""

    def __init__(self, dbname="postgres", **env):
        self.psql = subprocess.Popen(
            ["psql", "-X", "-q", "-A", "-t", "-F", "\x1f", "-d", dbname, "-v", "VERBOSITY=verbose", "-P", "null=NULL"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env={**os.environ, "PGOPTIONS": "", "PGCLIENTENCODING": "UTF8", **env})
        self.lines = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()
        self.pid = int(self.run("SELECT pg_backend_pid()")[0][0])

    def _read(self):
        for line in self.psql.stdout:
            self.lines.put(line.rstrip("\n"))
        self.lines.put(None)

    def send(self, sql):
        """Starts a statement; `wait` ends it."""
        self.mark = uuid.uuid4().hex
        self.psql.stdin.write(f"{sql}\n;\n\\echo {self.mark}\n")
        self.psql.stdin.flush()

    def wait(self, timeout=120):
        lines, end = [], time.monotonic() + timeout
        while True:
            line = self.lines.get(timeout=max(0.01, end - time.monotonic()))
            if line is None or line == self.mark:
                break
            lines.append(line)
        text = "\n".join(lines)
        if line is None or re.search(r"(?:ERROR|FATAL|PANIC):|server closed the connection", text):
            raise SqlError(text)
        return [row.split("\x1f") for row in lines]

    def run(self, sql, timeout=120):
        self.send(sql)
        return self.wait(timeout)

    def one(self, sql):
        return self.run(sql)[0][0]

    def fails(self, sql):
        """The SQLSTATE of a statement that must fail."""
        try:
            rows = self.run(sql)
        except SqlError as e:
            return e.sqlstate
        raise AssertionError(f"no error, but {str(rows)[:80]}: {sql[:200]}")

    def close(self):
        self.psql.stdin.close()
        self.psql.wait(timeout=30)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def fresh_database(name, *options):
    """A new database with the extension."""
    with Session() as admin:
        admin.run(f"DROP DATABASE IF EXISTS {name}")
        admin.run(f"CREATE DATABASE {name} {' '.join(options)}")
    with Session(name) as session:
        session.run("SET client_min_messages = error")
        session.run("CREATE EXTENSION pg_clip CASCADE")
    return name


def hexed(data):
    return "'\\x" + data.hex() + "'::bytea"


def png(width, height, pixel=lambda x, y: (x * 7 % 256, y * 5 % 256, (x + y) % 256), declared=None):
    """An RGB PNG; `declared` puts another size into the header."""
    return png_of(declared or (width, height), b"".join(b"\0" + bytes(v for x in range(width) for v in pixel(x, y)) for y in range(height)))


def png_of(size, rows):
    """An RGB PNG of rows that begin with their filter's byte."""
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    header = struct.pack(">IIBBBBB", *size, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 1)) + chunk(b"IEND", b"")


def pgclip():
    """The command line that was built with the extension."""
    target = os.environ.get("CARGO_TARGET_DIR", os.path.join(ROOT, "target"))
    built = os.path.join(target, os.environ.get("BUILD_PROFILE", "release"), "pgclip")
    return built if os.path.exists(built) else shutil.which("pgclip")


@contextlib.contextmanager
def golden_models(sources):
    """A directory with the engine's tiny models, installed by name, that the server can read; removed at the end."""
    models = tempfile.mkdtemp(prefix="pg_clip_models_")
    try:
        os.chmod(models, 0o755)
        for name, source in sources.items():
            subprocess.run([pgclip(), "import", os.path.join(GOLDEN, "models", source), "--name", name, "--model-dir", models],
                           check=True, stdout=subprocess.DEVNULL)
        yield models
    finally:
        shutil.rmtree(models)


# of the same dimensions, so that only the distance tells their spaces apart
TWO_MODELS = {"tiny": "tiny-clip", "tiny-eps": "tiny-clip-eps"}


def as_server_user(command):
    """PostgreSQL's own programs refuse root."""
    return ["runuser", "-u", "postgres", "--", *command] if os.geteuid() == 0 else command


def bindir():
    return subprocess.run([os.environ.get("PG_CONFIG", "pg_config"), "--bindir"], capture_output=True, text=True, check=True).stdout.strip()


def restart_server():
    with Session() as session:
        data = session.one("SHOW data_directory")
    log = os.path.join(os.path.dirname(data), "server.log")
    subprocess.run(as_server_user([os.path.join(bindir(), "pg_ctl"), "-D", data, "-l", log, "-m", "fast", "-w", "-s", "restart"]),
                   check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/")


def memory_kb(pid, field):
    with open(f"/proc/{pid}/status") as status:
        return int(re.search(rf"{field}:\s+(\d+) kB", status.read()).group(1))


class PeakMemory:
    """What a process takes at most from here on, beyond what it has in use now."""

    def __init__(self, pid):
        self.pid = pid
        with open(f"/proc/{pid}/clear_refs", "w") as refs:
            refs.write("5")  # the peak starts anew
        self.before = memory_kb(pid, "VmRSS")

    def kb(self):
        return memory_kb(self.pid, "VmHWM") - self.before


def until(condition, seconds=30, what="what was waited for"):
    """Gives the first value of `condition` that is true."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, f"in {seconds} s did not come: {what}"
        time.sleep(0.02)
    return value


def crash(pid, dbname="postgres"):
    """kill -9 of a process of the server; waits until the server has recovered. False where the process was at its end already,
    so that the server took it for an orderly one."""
    canary = Session(dbname)
    os.kill(pid, signal.SIGKILL)

    def back():
        try:
            Session(dbname).close()
            return True
        except (SqlError, ValueError, OSError):
            return False

    # Reaped: from here on the server lets nobody in before it has ended all sessions and recovered.
    until(lambda: not os.path.exists(f"/proc/{pid}"), what="the end of the killed process")
    until(back, what="the server's recovery")
    try:
        canary.run("SELECT 1")
    except (SqlError, OSError):
        return True
    canary.close()
    return False
