#!/usr/bin/env python3
"""kill -9 of a backend in the middle of its work: the server recovers, committed rows are whole, no other is there."""
import os
import signal
import time

from pg import Session, SqlError, fresh_database, until

db = fresh_database("clip_kill")
with Session(db) as session:
    session.run("SELECT clip_create_table('survivors')")
    session.run("INSERT INTO survivors (modality, content_ref) VALUES ('text', 'committed before')")

victim = Session(db)
victim.send("INSERT INTO survivors (modality, content_ref) SELECT 'text', 'never committed ' || i FROM generate_series(1, 100000) i")
time.sleep(0.5)
os.kill(victim.pid, signal.SIGKILL)
try:
    raise AssertionError(f"survived: {victim.wait()}")
except SqlError:
    pass


def back():
    try:
        Session(db).close()
        return True
    except (SqlError, ValueError, OSError):
        return False


until(back)
with Session(db) as session:
    assert session.one("SELECT count(*) FROM survivors") == "1"
    assert session.one("SELECT embedding = clip_embed_text('committed before') FROM survivors") == "t"
    session.run("INSERT INTO survivors (modality, content_ref) VALUES ('text', 'after')")
    assert session.one("SELECT content_ref FROM survivors ORDER BY embedding <=> clip_embed_text('after') LIMIT 1") == "after"
