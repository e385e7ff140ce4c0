#!/usr/bin/env python3
"""statement_timeout, pg_cancel_backend and pg_terminate_backend stop a running embedding, and the session goes on."""
import time

from pg import Session, SqlError, fresh_database, hexed, png, until

db = fresh_database("clip_cancel")
# 64 different images that take seconds: large ones, different in the bytes after their end
BATCH = ("SELECT cardinality(clip_embed_images(array_agg(image || int4send(i)))) "
         "FROM picture, generate_series(1, 64) i")
TEXTS = ("SELECT cardinality(clip_embed_texts(array_agg('number ' || i || repeat(' and one more', 20)))) "
         "FROM generate_series(1, 16384) i")

with Session(db) as session, Session(db) as other:
    session.run("CREATE TABLE picture (image bytea)")
    session.run(f"INSERT INTO picture VALUES ({hexed(png(2500, 2500))})")
    session.run("SET clip.cache_entries = 0")
    session.run("SELECT clip_embed_image(image) IS NULL, clip_embed_text('warm') IS NULL FROM picture")

    for work in (BATCH, TEXTS):
        session.run("SET statement_timeout = '200ms'")
        start = time.monotonic()
        assert session.fails(work) == "57014"
        spent = time.monotonic() - start
        print(f"statement_timeout of 200 ms ended after {spent * 1000:.0f} ms")
        assert spent < 5, "the whole batch ran"
        session.run("SET statement_timeout = 0")

        session.send(work)
        until(lambda: other.one(f"SELECT state = 'active' FROM pg_stat_activity WHERE pid = {session.pid}") == "t")
        time.sleep(0.1)
        other.run(f"SELECT pg_cancel_backend({session.pid})")
        try:
            raise AssertionError(f"not cancelled: {session.wait()}")
        except SqlError as e:
            assert e.sqlstate == "57014", e
        assert session.one("SELECT vector_norm(clip_embed_text('still here')) > 0.99") == "t"

    # A terminated backend exits from within the engine, while threads decode images.
    for round in range(12):
        victim = Session(db)
        victim.send(TEXTS if round % 4 == 3 else BATCH)
        time.sleep(0.2 + round * 0.02)
        other.run(f"SELECT pg_terminate_backend({victim.pid})")
        try:
            raise AssertionError(f"not terminated: {victim.wait()}")
        except SqlError as e:
            assert e.sqlstate == "57P01", e
        until(lambda: other.one(f"SELECT count(*) FROM pg_stat_activity WHERE pid = {victim.pid}") == "0")
    assert other.one("SELECT vector_norm(clip_embed_text('alive')) > 0.99") == "t"
