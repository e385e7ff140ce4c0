#!/usr/bin/env python3
"""kill -9 of a worker, of a backend and of the server at random moments of a load: afterwards every row that was
committed has the vector of its own content, and none is left over in the queue.

PG_CLIP_KILLS sets how often, for measuring.
"""
import os
import random
import signal
import subprocess
import threading
import time

from pg import Session, SqlError, as_server_user, bindir, fresh_database, restart_server, until
from rows import copy_rows, pictures, settings

KILLS = int(os.environ.get("PG_CLIP_KILLS", 3))
IMAGES = 60 * KILLS
CHUNK = 20
numbers = random.Random(7)

settings(shared_preload_libraries="pg_clip")
restart_server()
db = fresh_database("clip_queue_kill")
with Session(db) as session:
    session.run("SELECT clip_create_table('load', keep_images => true, mode => 'async', index => false)")
    session.run("ALTER TABLE load ADD UNIQUE (content_ref)")
    DATA = session.one("SHOW data_directory")


def quietly(f):
    try:
        return f()
    except (SqlError, ValueError, OSError, IndexError, subprocess.SubprocessError):
        return None


def connected():
    session = quietly(lambda: Session(db))
    if session is None:
        return False
    session.close()
    return True


def start_server():
    """Until the old server's last process has let go of its memory."""
    for _ in range(100):
        if subprocess.run(as_server_user([os.path.join(bindir(), "pg_ctl"), "-D", DATA, "-w", "-s", "-l", os.path.join(os.path.dirname(DATA), "server.log"), "start"]),
                          stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/").returncode == 0:
            return
        time.sleep(0.1)
    raise AssertionError("the server does not start again")


def load():
    """Chunks of images by COPY, each until it is committed; between them changes of rows that may wait at that moment."""
    images = list(pictures(IMAGES, seed=3))
    for at in range(0, IMAGES, CHUNK):
        def committed():
            with Session(db) as session:
                return session.one(f"SELECT count(*) FROM load WHERE content_ref = 'p{at}'") == "1"
        while not quietly(committed):
            quietly(lambda: copy_rows(db, "load", images[at:at + CHUNK], first=at, pause=0.02, stderr=subprocess.DEVNULL))
            until(connected, 60)

        def change():
            with Session(db) as session:
                session.run(f"UPDATE load SET image = o.image FROM load o WHERE load.content_ref = 'p{at}' AND o.content_ref = 'p{numbers.randrange(at + 1)}'")
        quietly(change)


def pid_of(kind):
    with Session(db) as session:
        rows = session.run(f"SELECT pid FROM pg_stat_activity WHERE backend_type = '{kind}' AND pid <> pg_backend_pid()")
        return int(numbers.choice(rows)[0])


def kill(what):
    if what == "postmaster":
        with open(os.path.join(DATA, "postmaster.pid")) as file:
            os.kill(int(file.readline()), signal.SIGKILL)
        start_server()
        return True
    end = time.monotonic() + 5
    while time.monotonic() < end:  # a worker is there only while there is work
        pid = quietly(lambda: pid_of({"worker": "pg_clip worker", "backend": "client backend"}[what]))
        if pid:
            os.kill(pid, signal.SIGKILL)
            return True
    return False


loader = threading.Thread(target=load)
loader.start()
killed = {"worker": 0, "backend": 0, "postmaster": 0}
for i in range(KILLS):
    time.sleep(numbers.uniform(0.1, 1.5))
    what = ("worker", "postmaster", "backend")[i % 3]
    killed[what] += bool(quietly(lambda: kill(what)))
    until(connected, 60)
loader.join()
try:
    with Session(db) as session:
        until(lambda: session.one("SELECT count(*) FROM clip.queue") == "0"
              or session.one("SELECT count(*) FROM clip.queue") == "0", 300)
        assert session.run("SELECT * FROM clip_failures WHERE state = 'dead'") == []
        assert session.one("SELECT count(*) FROM load") == str(IMAGES)
        assert session.one("SELECT count(*) FROM load WHERE embedding IS NULL") == "0", "rows were lost"
        assert session.one("SELECT count(*) FROM load WHERE embedding <> clip_embed_image(image)") == "0", "stale vectors"
        print(f"killed: {killed}; {IMAGES} rows, each with the vector of its own content")
finally:
    settings(shared_preload_libraries=None)
    restart_server()
