#!/usr/bin/env python3
"""Background workers: a COPY into an async table is embedded by itself, with the same vectors as in mode sync; workers
start at the commit, leave when idle, and stand in nobody's way. PG_CLIP_IMAGES sets how many, for measuring."""
import ctypes
import os
import platform
import struct
import time

from pg import Session, fresh_database, hexed, png, restart_server, until
from rows import copy_rows, no_workers, pictures, settings

IMAGES = int(os.environ.get("PG_CLIP_IMAGES", 400))
SIZE = (256, 192) if IMAGES > 1000 else (60, 40)
# of this database: rows of others may wait, as those of a schema that was not updated do
WORKERS = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'pg_clip worker' AND datname = 'clip_workers'"


def helpers(pid):
    """Of a process's threads but the first: name, nice value, blocked signals."""
    found = []
    for thread in os.listdir(f"/proc/{pid}/task"):
        try:
            with open(f"/proc/{pid}/task/{thread}/stat") as stat, open(f"/proc/{pid}/task/{thread}/status") as status:
                name, rest = stat.read().split("(", 1)[1].rsplit(")", 1)
                blocked = int(next(line for line in status if line.startswith("SigBlk")).split()[1], 16)
                if int(thread) != int(pid):
                    found.append((name, int(rest.split()[16]), blocked))
        except (FileNotFoundError, ProcessLookupError):
            pass  # it ended
    return found


def slice_of(pid):
    """How long Linux lets a process run at a time, in ns, by sched_getattr; None where that does not tell (before 6.12)."""
    number = {"x86_64": 315, "aarch64": 275}.get(platform.machine())
    if number is None or tuple(int(part) for part in platform.release().split(".")[:2]) < (6, 12):
        return None
    attributes = ctypes.create_string_buffer(56)
    assert ctypes.CDLL(None).syscall(number, pid, attributes, 56, 0) == 0
    return struct.unpack_from("IIQiIQ", attributes)[5]


settings(shared_preload_libraries="pg_clip")
restart_server()
try:
    db = fresh_database("clip_workers")
    with Session(db) as session, Session() as admin:
        until(lambda: admin.one("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'pg_clip launcher'") == "1")
        # after its start the server looks into every database once, which may not have begun yet
        until(lambda: all(admin.one(WORKERS) == "0" and not time.sleep(0.2) for _ in range(15)))
        session.run("SELECT clip_create_table('loaded', mode => 'async', index => false), clip_create_table('other', mode => 'async')")

        # nothing is embedded before the commit, everything after it
        session.run("BEGIN; INSERT INTO other (modality, content_ref) VALUES ('text', 'cat')")
        time.sleep(0.3)
        assert admin.one(WORKERS) == "0", "woken before the commit"
        start = time.monotonic()
        session.run("COMMIT")
        until(lambda: session.one("SELECT embedding IS NOT NULL FROM other") == "t")
        print(f"the first row of an idle server was embedded {(time.monotonic() - start) * 1000:.0f} ms after its commit")
        assert session.one("SELECT embedding = clip_embed_text('cat') FROM other") == "t"
        # pg_stat_activity tells what a worker does
        until(lambda: admin.run("SELECT state, query FROM pg_stat_activity WHERE backend_type = 'pg_clip worker' AND datname = 'clip_workers'")
              == [["idle", "waiting for rows"]])
        session.run("INSERT INTO other (modality, content_ref) VALUES ('text', 'dog')")
        until(lambda: session.one("SELECT bool_and(embedding IS NOT NULL) FROM other") == "t", 1)
        until(lambda: admin.one(WORKERS) == "0")

        # COPY
        images = list(pictures(IMAGES, size=SIZE))
        start = time.monotonic()
        assert copy_rows(db, "loaded", images) == 0
        copied = time.monotonic() - start
        # it computes on threads that give way to sessions and take no signals, and on no others
        [[pid]] = until(lambda: admin.run("SELECT pid FROM pg_stat_activity WHERE backend_type = 'pg_clip worker' AND datname = 'clip_workers'"))
        assert os.sched_getscheduler(int(pid)) == os.SCHED_BATCH, "it takes processors away from sessions"
        assert slice_of(int(pid)) in (None, 20_000_000), "a session that wakes up waits for it"
        until(lambda: session.one("SELECT workers FROM clip_queue WHERE relation = 'loaded'::regclass") == "1")
        # a thread takes its name and place itself, after it has begun
        ready = lambda found: found and all(name.startswith("clip-") and nice > 0 for name, nice, _ in found) and found
        seen = until(lambda: ready(helpers(pid)))
        with open("/proc/self/stat") as stat:
            mine = int(stat.read().rsplit(")", 1)[1].split()[16])
        for name, nice, blocked in seen:
            assert name.startswith("clip-") and nice == min(mine + 10, 19), seen
            assert all(blocked >> (signal - 1) & 1 for signal in (1, 2, 10, 12, 14, 15, 23)), seen
        until(lambda: session.one("SELECT count(*) FROM clip.queue") == "0", 600)
        spent = time.monotonic() - start
        print(f"{IMAGES} images of {SIZE[0]} x {SIZE[1]}, {sum(map(len, images)) // IMAGES} bytes: COPY {copied:.2f} s, "
              f"all embedded {spent - copied:.2f} s later, {IMAGES / (spent - copied):.0f} a second")
        assert session.one("SELECT count(*) FROM loaded WHERE embedding IS NULL OR image IS NOT NULL") == "0"
        assert session.one("SELECT count(*) FROM loaded") == str(IMAGES)
        session.run("SELECT clip_create_table('direct', index => false)")
        start = time.monotonic()
        assert copy_rows(db, "direct", images) == 0
        print(f"COPY in mode sync: {IMAGES / (time.monotonic() - start):.0f} a second")
        assert session.one("SELECT bool_and(l.embedding = d.embedding) FROM loaded l JOIN direct d USING (content_ref)") == "t"
        assert session.one("SELECT count(*) FROM loaded l JOIN direct d USING (content_ref)") == str(IMAGES)
        # the engine alone, batches in one session: what the queue is to be measured by
        session.run("CREATE TABLE plain (modality text, content_ref text, image bytea); SET clip.cache_entries = 0")
        session.run("SELECT clip_embed_image(NULL)")
        assert copy_rows(db, "plain", images) == 0
        start = time.monotonic()
        session.run("SELECT sum(cardinality(clip_embed_images(a))) FROM (SELECT array_agg(image) a FROM "
                    "(SELECT image, row_number() OVER () / 64 AS g FROM plain) q GROUP BY g) q", 900)
        print(f"clip_embed_images, 64 at a time: {IMAGES / (time.monotonic() - start):.0f} a second")

        # poison: dead letters with their SQLSTATEs, and the others go on
        bad = [b"no image", png(1, 1, declared=(30000, 30000))]
        values = ", ".join(f"('image', 'mix {i}', {hexed(bad[i % 2] if i % 10 < 2 else png(8 + i, 9))})" for i in range(40))
        session.run(f"INSERT INTO loaded (modality, content_ref, image) VALUES {values}")
        until(lambda: session.one("SELECT count(*) FROM clip_failures") == "8")
        until(lambda: session.one("SELECT count(*) FROM clip.queue") == "0")
        assert session.run("SELECT sqlstate, count(*) FROM clip_failures GROUP BY 1 ORDER BY 1") == [["22P03", "4"], ["54000", "4"]]
        assert session.one("SELECT count(*) FROM loaded WHERE content_ref LIKE 'mix %' AND embedding IS NULL") == "8"

        # an UPDATE of another column embeds nothing and enqueues nothing
        before = session.one("SELECT last_value FROM clip.queue_id")
        session.run("UPDATE loaded SET metadata = '{}'")
        assert session.one("SELECT last_value FROM clip.queue_id") == before

        # plans that were made when a table had one row find the rows by their key when it has many
        session.run("SELECT clip_create_table('grown', mode => 'async', index => false)")
        session.run("INSERT INTO grown (modality, content_ref) VALUES ('text', 'the first')")
        until(lambda: session.one("SELECT count(*) FROM clip.queue") == "0")
        session.run("INSERT INTO grown (modality, content_ref) SELECT 'text', 'cat ' || i FROM generate_series(1, 2000) i")
        until(lambda: session.one("SELECT count(*) FROM clip.queue") == "0", 60)
        counts = "SELECT idx_scan >= 6000, seq_scan FROM pg_stat_user_tables WHERE relid = 'grown'::regclass"
        [[_, scans]] = until(lambda: [row for row in session.run(counts) if row[0] == "t"])
        assert int(scans) < 10, f"the table was read as a whole {scans} times"

        # without workers rows wait; the next setting takes them up
        no_workers(admin)

        def waits():
            session.run("TRUNCATE loaded")
            session.run("INSERT INTO loaded (modality, content_ref) VALUES ('text', 'patient')")
            time.sleep(0.5)
            return session.one("SELECT embedding IS NULL FROM loaded") == "t"

        until(waits, what="a row that waits")  # a worker that was on its way before takes what it finds
        admin.run("ALTER SYSTEM SET clip.workers = 2")
        admin.run("SELECT pg_reload_conf()")
        until(lambda: session.one("SELECT embedding IS NOT NULL FROM loaded") == "t")

        # a second worker comes to what is more than the first one takes, and to nothing else
        done = "SELECT count(*) FROM clip.queue"

        def one_is_enough():
            session.run("INSERT INTO loaded (modality, content_ref) VALUES ('text', 'alone')")
            until(lambda: session.one(done) == "0")
            return admin.one(WORKERS) == "1"

        until(one_is_enough, 30)  # one that was started before, on a busy machine, leaves
        session.run("INSERT INTO grown (modality, content_ref) SELECT 'text', 'dog ' || i FROM generate_series(1, 4000) i")
        until(lambda: admin.one(WORKERS) == "2", 10)
        until(lambda: session.one(done) == "0", 60)
        assert session.one("SELECT count(*) FROM grown WHERE embedding IS NULL") == "0"
        # one that is told to go while it is idle is not waited for
        admin.run("SELECT pg_terminate_backend(min(pid)) FROM pg_stat_activity WHERE backend_type = 'pg_clip worker' AND datname = 'clip_workers'")
        until(lambda: admin.one(WORKERS) == "1", 1)
        session.run("INSERT INTO loaded (modality, content_ref) VALUES ('text', 'left alone')")
        until(lambda: session.one(done) == "0", 1)

    # an idle worker leaves in time for a plain DROP DATABASE
    with Session(db) as session:
        session.run("INSERT INTO loaded (modality, content_ref) VALUES ('text', 'last')")
        until(lambda: session.one("SELECT bool_and(embedding IS NOT NULL) FROM loaded") == "t")
    with Session() as admin:
        admin.run(f"DROP DATABASE {db}")
finally:
    settings(shared_preload_libraries=None, clip__workers=None)
    restart_server()
