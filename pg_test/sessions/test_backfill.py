#!/usr/bin/env python3
"""clip_backfill under fire: killed and cancelled it goes on where it was, other sessions' changes never get a stale
vector, rows that others hold locked are waited for without blocking anybody."""
import time

from pg import Session, SqlError, crash, fresh_database, until

ROWS = 1500
db = fresh_database("clip_backfill")


def progress(session):
    rows = session.run("SELECT rows_done, rows_total, running, rows_per_second > 0, estimated_end > started_at FROM clip_progress")
    return rows[0] if rows else None



with Session(db) as session:
    session.run("CREATE TABLE items (id int PRIMARY KEY, title text, note text, embedding vector(256))")
    session.run(f"INSERT INTO items SELECT i, 'number ' || i FROM generate_series(1, {ROWS}) i")
    session.run("SELECT clip_attach('items', text_column => 'title')")

# kill -9 in the middle: what was committed stays, and the next call does the rest and no more
victim, watcher = Session(db), Session(db)
victim.send("CALL clip_backfill('items', batch_size => 16)")
until(lambda: (progress(watcher) or ["0"])[0] not in ("0", "16"))
_, total, running, rate, end = progress(watcher)
assert (total, running, rate, end) == (str(ROWS), "t", "t", "t"), progress(watcher)
# two at a time would do the work twice
assert watcher.fails("CALL clip_backfill('items')") == "55006"
crash(victim.pid, db)
with Session(db) as session:
    done, _, running, _, _ = progress(session)
    assert running == "f" and 16 < int(done) < ROWS, progress(session)
    assert session.one("SELECT count(embedding) FROM items") == done

    # cancelled, the same
    session.send("CALL clip_backfill('items', batch_size => 16)")
    with Session(db) as other:
        until(lambda: int(progress(other)[0]) > int(done) + 16)
        other.run(f"SELECT pg_cancel_backend({session.pid})")
    try:
        raise AssertionError(f"not cancelled: {session.wait()}")
    except SqlError as e:
        assert e.sqlstate == "57014", e
    done = progress(session)[0]
    assert session.one("SELECT count(embedding) FROM items") == done

    items = "SELECT coalesce(sum(items + memo_hits), 0) FROM clip_stats"
    before = int(session.one(items))
    session.run("CALL clip_backfill('items')")
    assert int(session.one(items)) - before == ROWS - int(done), "rows were embedded twice"
    assert progress(session) is None
    assert session.one("SELECT rows_done FROM clip.backfills") == str(ROWS)
    WRONG = ("WITH v AS (SELECT array_agg(id ORDER BY id) ids, clip_embed_texts(array_agg(title ORDER BY id)) e FROM items) "
             "SELECT count(*) FROM v, unnest(ids, e) u(id, e) JOIN items USING (id) WHERE embedding IS DISTINCT FROM u.e")
    assert session.one(WRONG) == "0"

    # while it runs, rows change: their sources, and other columns; others are deleted and inserted
    session.run("UPDATE items SET embedding = NULL")
    session.send("CALL clip_backfill('items', batch_size => 100)")
    with Session(db) as other:
        changes = 0
        while progress(other) is None:
            time.sleep(0.005)
        while progress(other) is not None:
            for row in range(changes % 7, ROWS, 50):
                other.run(f"UPDATE items SET title = 'changed {changes} ' || id WHERE id = {row}; UPDATE items SET note = 'x' WHERE id = {row + 1}")
            other.run(f"DELETE FROM items WHERE id = {changes * 20 + 3}; INSERT INTO items (id, title) VALUES ({10000 + changes}, 'new {changes}')")
            changes += 1
    session.wait()
    assert changes > 1
    assert session.one("SELECT count(*) FROM items WHERE embedding IS NULL") == "0"
    assert session.one(WRONG) == "0"
    print(f"{changes} rounds of changes during a backfill, no stale vector")

    # a row that is held locked keeps neither its holder nor the other rows waiting
    session.run("UPDATE items SET embedding = NULL WHERE id <= 200")
    with Session(db) as holder:
        holder.run("BEGIN")
        holder.run("UPDATE items SET note = 'mine' WHERE id = 100")
        session.send("CALL clip_backfill('items')")
        until(lambda: holder.one("SELECT count(*) FROM items WHERE embedding IS NULL") == "1")
        started = time.monotonic()
        holder.run("UPDATE items SET note = 'mine too' WHERE id = 101")
        assert time.monotonic() - started < 5
        holder.run("COMMIT")
    session.wait()
    assert session.one("SELECT count(*) FROM items WHERE embedding IS NULL") == "0"
    assert session.one(WRONG) == "0"

    # the walk's row goes away between two steps
    session.run("BEGIN; DELETE FROM clip.backfills")
    try:
        went_on = session.run("SELECT clip.backfill_continue('items', 'embedding')")
        raise AssertionError(f"went on: {went_on}")
    except SqlError as e:
        assert e.sqlstate == "55006", e
    session.run("ROLLBACK")

    # the table goes away while it is backfilled
    session.run("UPDATE items SET embedding = NULL")
    session.send("CALL clip_backfill('items', batch_size => 10)")
    with Session(db) as other:
        until(lambda: progress(other) is not None)
        other.run("DROP TABLE items")
        assert other.one("SELECT count(*) FROM clip.backfills") == "0"
    try:
        raise AssertionError(f"backfilled what is not there: {session.wait()}")
    except SqlError as e:
        assert e.sqlstate in ("42704", "42P01"), e
