#!/usr/bin/env python3
"""clip_stats: of this session without preloading, of all with it; reset by those who may; counted across a crash."""

from pg import Session, crash, fresh_database, restart_server

db = fresh_database("clip_stats")
ROW = "SELECT calls, items, memo_hits, errors, errors_by_sqlstate, batches, largest_batch, shared FROM clip_stats WHERE kind = "


def work(session):
    session.run("SELECT clip_embed_texts(ARRAY['one', 'two', 'three', 'one']), clip_embed_text('four')")
    session.run("SELECT clip_embed_text('four')")
    assert session.fails("SELECT clip_embed_image('\\x00')") == "22P03"



with Session(db) as a, Session(db) as b:
    work(a)
    assert a.run(ROW + "'text'") == [["3", "4", "2", "0", "{}", "2", "3", "f"]], a.run(ROW + "'text'")
    assert a.run(ROW + "'image'") == [["1", "0", "0", "1", '{"22P03": 1}', "0", "0", "f"]], a.run(ROW + "'image'")
    assert a.one("SELECT bool_and(total_ms >= max_ms AND max_ms > 0) FROM clip_stats") == "t"
    assert b.run(ROW + "'text'") == []
    a.run("SELECT clip_stats_reset()")
    assert a.run(ROW + "'text'") == []
    a.run("ALTER SYSTEM SET shared_preload_libraries = 'pg_clip'")
try:
    restart_server()
    with Session(db) as a, Session(db) as b, Session(db) as c:
        work(a)
        work(b)
        expected = [["6", "8", "4", "0", "{}", "4", "3", "t"]]
        for session in (a, b, c):
            assert session.run(ROW + "'text'") == expected, session.run(ROW + "'text'")
            assert session.run(ROW + "'image'") == [["2", "0", "0", "2", '{"22P03": 2}', "0", "0", "t"]]
        assert a.one("SELECT calls FROM clip.counters(true) WHERE kind = 'text'") == "3"
        # they outlive the session that made them, and parallel workers count too
        a.close()
        assert b.run(ROW + "'text'") == expected
        b.run("CREATE ROLE clip_nobody")
        b.run("SET ROLE clip_nobody")
        assert b.fails("SELECT clip_stats_reset()") == "42501"
        assert b.run(ROW + "'text'") == expected
        b.run("RESET ROLE")
        b.run("GRANT EXECUTE ON FUNCTION clip_stats_reset() TO clip_nobody")
        b.run("SET ROLE clip_nobody")
        b.run("SELECT clip_stats_reset()")
        assert c.run(ROW + "'text'") == []
        b.run("RESET ROLE")
        b.run("REVOKE ALL ON FUNCTION clip_stats_reset() FROM clip_nobody")
        b.run("DROP ROLE clip_nobody")
        # a parallel scan calls a function once in each of its processes
        b.run("CREATE TABLE t AS SELECT i, clip_embed_text('x') v FROM generate_series(1, 5000) i; ANALYZE t")
        b.run("SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0; SET max_parallel_workers_per_gather = 2")
        b.run("SELECT clip_stats_reset()")
        plan = b.run("EXPLAIN (ANALYZE, COSTS OFF) SELECT count(*) FROM t WHERE v <=> clip_embed_text('x') < 0.5")
        assert any("Workers Launched: 2" in line for [line] in plan), plan
        assert b.one("SELECT sum(calls) BETWEEN 1 AND 3 FROM clip_stats") == "t", b.run(ROW + "'text'")
        b.run("SELECT clip_stats_reset()")
        # many sessions count at once, and nothing is lost
        sessions = [Session(db) for _ in range(6)]
        for session in sessions:
            session.send("SELECT count(clip_embed_text('text ' || i % 2)) FROM generate_series(1, 500) i")
        for session in sessions:
            session.wait()
            session.close()
        assert c.one("SELECT calls = items + memo_hits AND calls = 3000 FROM clip_stats") == "t", c.run(ROW + "'text'")
        # after a crash the server begins with new memory
        crash(b.pid, db)
    with Session(db) as a:
        assert a.run(ROW + "'text'") == []
        work(a)
        assert a.run(ROW + "'text'") == [["3", "4", "2", "0", "{}", "2", "3", "t"]]
finally:
    with Session() as session:
        session.run("ALTER SYSTEM RESET shared_preload_libraries")
    restart_server()
