#!/usr/bin/env python3
"""One owner's table stops nobody else's rows: whatever its code does in a worker, it sleeps, raises what a cancel raises, is
locked, or does not let itself be cancelled, another owner's row has its vector within two seconds; with one worker and with
four. What took too long has failed, with a message that names the setting."""
import contextlib
import os
import time

from pg import Session, fresh_database, restart_server, until
from rows import empty_queue, no_workers, preloaded, settings

LOG = os.path.join(os.environ["PGHOST"], "server.log")
BEFORE = os.path.getsize(LOG)  # other tests kill processes
SLEEP = "PERFORM pg_sleep(3600)"
# what mallory's table does when one of its rows is read or written: statements, `{f}` is a function of plpgsql
TRAPS = {
    "a trigger that sleeps": ("trigger", SLEEP),
    "a trigger that catches the cancel": ("trigger", f"LOOP BEGIN {SLEEP}; EXCEPTION WHEN query_canceled THEN NULL; END; END LOOP"),
    "a trigger that catches the cancel and raises another error": ("trigger", f"BEGIN {SLEEP}; EXCEPTION WHEN query_canceled THEN RAISE 'caught'; END"),
    "a trigger that raises 57014": ("trigger", "RAISE 'remote timeout' USING ERRCODE = '57014'"),
    "a trigger that raises 57P01": ("trigger", "RAISE 'remote shutdown' USING ERRCODE = '57P01'"),
    "a trigger that raises 57P02": ("trigger", "RAISE 'remote crash' USING ERRCODE = '57P02'"),
    "a constraint that sleeps": ("check", SLEEP),
    "a constraint trigger that sleeps": ("deferred", SLEEP),
    "an index expression that sleeps": ("index", SLEEP),
    "a key's domain that sleeps": ("domain", SLEEP),
    "a trigger that waits for a lock": ("trigger", "LOCK TABLE m.other"),
    "a table that is locked": ("lock", ""),
    "a row that is locked": ("row", ""),
}


LIMIT = 10  # seconds: 2 on an idle machine, where it took minutes or for ever before tables had turns


def embedded_within(session, seconds, what):
    """A row of the other owner's table; how long it takes to be embedded."""
    session.run("INSERT INTO good (modality, content_ref) VALUES ('text', 'row')")
    start = time.monotonic()
    until(lambda: session.one("SELECT count(*) FROM good WHERE embedding IS NULL") == "0", 30)
    spent = time.monotonic() - start
    assert spent < seconds, f"{what}: embedded after {spent:.1f} s"
    return spent


def trap(session, kind, body):
    """Mallory's table, whose workers call `body`."""
    session.run("DROP TABLE IF EXISTS m.t CASCADE; DROP DOMAIN IF EXISTS m.key; DROP FUNCTION IF EXISTS m.f()")
    session.run("SET ROLE mallory")
    # a domain is asked by whoever writes its values
    where = "current_setting('application_name') <> 'psql'" if kind == "domain" else "true"
    arguments, result = ("", "trigger") if kind in ("trigger", "deferred") else ("v anyelement", "boolean")
    value = "NEW" if result == "trigger" else "true"
    session.run(f"CREATE OR REPLACE FUNCTION m.f({arguments}) RETURNS {result} LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN "
                f"IF {where} THEN {body or 'NULL'}; END IF; RETURN {value}; END $$")
    if kind == "domain":
        session.run("CREATE DOMAIN m.key AS integer CHECK (m.f(VALUE))")
    session.run(f"CREATE TABLE m.t (id {'m.key' if kind == 'domain' else 'integer'} PRIMARY KEY, title text, embedding vector)")
    session.run({
        "trigger": "CREATE TRIGGER f BEFORE UPDATE ON m.t FOR EACH ROW EXECUTE FUNCTION m.f()",
        "deferred": "CREATE CONSTRAINT TRIGGER f AFTER UPDATE ON m.t DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION m.f()",
        "check": "ALTER TABLE m.t ADD CHECK (embedding IS NULL OR m.f(id))",
        "index": "CREATE INDEX ON m.t (m.f(id)) WHERE embedding IS NOT NULL",
    }.get(kind, "SELECT 1"))
    session.run("SELECT clip_attach('m.t', text_column => 'title', mode => 'async')")
    session.run("RESET ROLE")


@contextlib.contextmanager
def held(what, kind):
    with Session("clip_neighbours") as other:
        if kind == "lock":
            other.run("BEGIN; LOCK TABLE m.t")
        elif kind == "row":
            other.run("INSERT INTO m.t SELECT i, 'held' FROM generate_series(100, 163) i; BEGIN; UPDATE m.t SET title = title")
        elif "waits for a lock" in what:
            other.run("BEGIN; LOCK TABLE m.other")
        yield
        other.run("ROLLBACK")


def workers(count, timeout="3s"):
    preloaded(clip__workers=count, clip__worker_timeout=timeout)


workers(1)
db = fresh_database("clip_neighbours")
try:
    with Session(db) as session:
        session.run("SELECT clip_create_table('good', mode => 'async', index => false)")
        session.run("CREATE ROLE mallory; CREATE SCHEMA m AUTHORIZATION mallory; CREATE TABLE m.other (i int); ALTER TABLE m.other OWNER TO mallory")
    for count in (1, 4):
        workers(count)
        with Session(db) as session:
            embedded_within(session, 10, "the first row")
            longest = 0
            traps = {what: trap for what, trap in TRAPS.items() if count == 1 or "sleeps" in what or "catches the cancel" == what[-18:]}
            for what, (kind, body) in traps.items():
                trap(session, kind, body)
                with held(what, kind):
                    if kind == "lock":
                        # by hand: an INSERT would wait
                        session.run("INSERT INTO clip.queue (relation, embedding_column, key) SELECT 'm.t', 'embedding', ARRAY[i::text] FROM generate_series(1, 100) i")
                    elif kind != "row":
                        session.run("INSERT INTO m.t SELECT i, 'text ' || i FROM generate_series(1, 100) i")
                    for wait in (0, 1):  # before a worker is in the trap, and when it is
                        time.sleep(wait)
                        longest = max(longest, embedded_within(session, LIMIT, f"{count} workers, {what}"))
                # those in the trap leave first: they have the rows of the queue locked
                session.run("SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity WHERE backend_type = 'pg_clip worker'")
                empty_queue(session, "relation = 'm.t'::regclass")
            print(f"{count} worker(s), {len(traps)} traps: another owner's row was embedded within {longest * 1000:.0f} ms")
            # mallory has many tables, each a trap, and time: workers are left for others
            workers(count, "60s")
        with Session(db) as session:
            session.run("DROP TABLE m.t CASCADE; SET ROLE mallory")
            session.run(f"CREATE OR REPLACE FUNCTION m.sleep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {SLEEP}; RETURN NEW; END $$")
            for i in range(20):
                session.run(f"CREATE TABLE m.t{i} (id int PRIMARY KEY, title text, embedding vector); "
                            f"CREATE TRIGGER sleep BEFORE UPDATE ON m.t{i} FOR EACH ROW EXECUTE FUNCTION m.sleep(); "
                            f"SELECT clip_attach('m.t{i}', text_column => 'title', mode => 'async'); INSERT INTO m.t{i} SELECT i, 'x' FROM generate_series(1, 200) i")
            session.run("RESET ROLE")
            for wait in (0, 1, 2):
                time.sleep(wait)
                embedded_within(session, LIMIT, f"{count} workers, 20 tables that sleep")
            session.run("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE backend_type = 'pg_clip worker'")
            empty_queue(session, "relation <> 'good'::regclass")
            for i in range(20):
                session.run(f"DROP TABLE m.t{i}")

    # what took too long has failed, as other failures do, and says why; the others of its batch are tried alone
    settings(clip__worker_timeout="1s", clip__workers=1)
    restart_server()
    with Session(db) as session:
        trap(session, "trigger", f"IF NEW.id = 3 THEN {SLEEP}; END IF")
        session.run("INSERT INTO m.t SELECT i, 'text ' || i FROM generate_series(1, 6) i")
        row = "SELECT sqlstate, message, state FROM clip.failures WHERE relation = 'm.t'::regclass AND key = '{3}'"
        [[sqlstate, message, state]] = until(lambda: session.run(row))
        assert (sqlstate, message, state) == ("57014", "code of the table took longer than clip.worker_timeout (1000 ms)", "waiting"), (sqlstate, message, state)
        until(lambda: session.run("SELECT id FROM m.t WHERE embedding IS NULL") == [["3"]], 60)
        # in clip_drain it is the same, and the session's own limits still end the call
        no_workers(session)
        session.run("UPDATE clip.queue SET not_before = now()")
        before = session.one("SELECT attempts FROM clip.queue WHERE key = '{3}'")
        session.run("CALL clip_drain('m.t')")
        assert session.one("SELECT attempts FROM clip.queue WHERE key = '{3}'") == str(int(before) + 1)
        session.run("UPDATE clip.queue SET not_before = now(); SET clip.worker_timeout = 0; SET statement_timeout = '500ms'")
        assert session.fails("CALL clip_drain('m.t')") == "57014"
        session.run("RESET statement_timeout")
        assert session.one("SELECT attempts FROM clip.queue WHERE key = '{3}'") == str(int(before) + 1)
        trap(session, "trigger", "RAISE 'remote timeout' USING ERRCODE = '57014'")
        session.run("CREATE OR REPLACE FUNCTION m.f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'remote timeout' USING ERRCODE = '57014'; END $$")
        session.run("INSERT INTO m.t VALUES (1, 'x')")
        session.run("CALL clip_drain('m.t')")
        assert session.run("SELECT sqlstate, message, attempts FROM clip.failures") == [["57014", "remote timeout", "1"]]

    # an administrator's cancel is nobody's failure: the worker goes on
    settings(clip__worker_timeout="60s", clip__workers=1)
    restart_server()
    with Session(db) as session:
        empty_queue(session)
        trap(session, "trigger", "PERFORM pg_sleep(0.8)")
        session.run("INSERT INTO m.t SELECT i, 'text' FROM generate_series(1, 4) i")
        until(lambda: session.one("SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity WHERE backend_type = 'pg_clip worker' AND query LIKE 'writing%'") == "1")
        until(lambda: session.one("SELECT count(*) FROM m.t WHERE embedding IS NULL") == "0", 60)
        assert session.one("SELECT count(*) FROM clip.queue") == "0"
        session.run("DROP SCHEMA m CASCADE; DROP ROLE mallory")
    with open(LOG, errors="replace") as log:
        log.seek(BEFORE)
        assert "terminated by signal" not in log.read()
finally:
    settings(shared_preload_libraries=None, clip__workers=None, clip__worker_timeout=None)
    restart_server()
