#!/usr/bin/env python3
"""ALTER EXTENSION pg_clip UPDATE from each released version, and dumps of them: the library serves the old schema's writers
until then, all work that was begun goes on, and the catalogue is that of a new database."""
import difflib
import os
import subprocess

from old_versions import catalogue, released_versions, with_version
from pg import TWO_MODELS, Session, SqlError, fresh_database, golden_models, hexed, png, restart_server, until
from rows import no_workers, preloaded, settings

LOG = os.path.join(os.environ["PGHOST"], "server.log")
UPDATE = "Run ALTER EXTENSION pg_clip UPDATE."
TEXTS = ("items", "waiting", "parts")


def fill(session):
    """What 0.1.0 left behind in the midst of everything. The bookkeeping is written by hand, as its library wrote it."""
    session.run("SET client_min_messages = error")
    session.run("SELECT clip_create_table('items'), clip_create_table('waiting', mode => 'async')")
    session.run("""CREATE TABLE parts (id int, modality text, content_ref text, embedding vector, PRIMARY KEY (id)) PARTITION BY RANGE (id);
        CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (100);
        CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (100) TO (1000)""")
    session.run("SELECT clip_attach('parts', text_column => 'content_ref', modality_column => 'modality', mode => 'async')")
    session.run("CREATE SCHEMA shop; CREATE TABLE shop.products (id int PRIMARY KEY, title text, photo bytea, title_vec vector, photo_vec vector)")
    session.run("SELECT clip_attach('shop.products', 'title_vec', text_column => 'title'), clip_attach('shop.products', 'photo_vec', image_column => 'photo')")
    write(session, 1)
    # a queue: beside what waits, one that is to be tried again, one that was given up, one of a worker that is gone
    for ref, columns in (("retried", "attempts = 2, sqlstate = '58030', error = 'no luck', not_before = now() + interval '1 hour'"),
                         ("dead", "attempts = 5, sqlstate = '22P03', error = 'no image', failed_at = now()"),
                         ("claimed", "attempts = 1, claimed_by = 1, claimer_start = now(), not_before = now() + interval '5 minutes'")):
        session.run(f"INSERT INTO waiting (modality, content_ref) VALUES ('text', '{ref}')")
        session.run(f"UPDATE clip.queue SET {columns} WHERE key = (SELECT ARRAY[id::text] FROM waiting WHERE content_ref = '{ref}')")
    # a backfill that was interrupted, with a row that could not be embedded and one that came into its table later
    session.run("CREATE TABLE old (id int PRIMARY KEY, photo bytea, embedding vector)")
    session.run("INSERT INTO old SELECT i, CASE WHEN i = 3 THEN '\\x00' ELSE " + hexed(png(9, 7)) + " END FROM generate_series(1, 20) i")
    session.run("SELECT clip_attach('old', image_column => 'photo')")
    session.run("UPDATE old SET embedding = clip_embed_image(photo) WHERE id <= 5 AND id <> 3")
    session.run("""INSERT INTO clip.backfills (relation, embedding_column, rows_total, rows_done, rows_failed, part, place, pass_done)
        SELECT 'old', 'embedding', 20, 4, 1, 'old', max(ctid), 4 FROM old WHERE id <= 5""")
    session.run("""INSERT INTO clip.backfill_errors (relation, embedding_column, part, place, version, key, sqlstate, message)
        SELECT 'old', 'embedding', 'old', ctid, xmin, '{"id": 3}', '22P03', 'no image' FROM old WHERE id = 3""")
    # changes of model: one that will end, one that will be aborted, and one that has all of its vectors
    for table in ("changing", "regretted", "waits"):
        session.run(f"CREATE TABLE {table} (id int PRIMARY KEY, title text, embedding vector({session.one(DIMENSIONS)}) NOT NULL)")
        session.run(f"CREATE INDEX ON {table} USING hnsw (embedding vector_cosine_ops); SELECT clip_attach('{table}', text_column => 'title')")
        session.run(f"INSERT INTO {table} SELECT i, 'number ' || i FROM generate_series(1, 10) i")
        session.run(f"ALTER TABLE {table} ADD embedding_next vector({session.one(DIMENSIONS)})")
        session.run(f"""CREATE TRIGGER clip_change_embedding_next BEFORE INSERT OR UPDATE OF title ON {table} FOR EACH ROW
            EXECUTE FUNCTION clip_embed_trigger('embedding_next', 'title', '', '', 'true', 'tiny-eps', '{session.one(FINGERPRINT)}')""")
        session.run(f"""INSERT INTO clip.model_changes (relation, embedding_column, new_column, model, fingerprint, dimensions, skip_missing, stage, index_failure)
            SELECT '{table}', 'embedding', 'embedding_next', name, fingerprint, dimensions, false, 'embedding', '1 no place' FROM clip_models() WHERE name = 'tiny-eps'""")
        session.run(f"""INSERT INTO clip.tables SELECT relation, new_column, 'title', NULL, NULL, true, model, fingerprint, dimensions, true
            FROM clip.model_changes WHERE relation = '{table}'::regclass""")
        session.run(f"INSERT INTO clip.backfills (relation, embedding_column, rows_total, part, place) VALUES ('{table}', 'embedding_next', 10, '{table}', '(0,0)')")
    session.run("""DROP INDEX waits_embedding_idx; UPDATE waits SET embedding_next = clip_embed_text(title, 'tiny-eps');
        UPDATE clip.model_changes SET stage = 'waiting' WHERE relation = 'waits'::regclass;
        UPDATE clip.backfills SET finished_at = now() WHERE relation = 'waits'::regclass;
        ALTER TABLE waits ADD CONSTRAINT clip_change_not_null CHECK (embedding_next IS NOT NULL)""")


HNSW = "SELECT FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am a ON a.oid = c.relam WHERE a.amname = 'hnsw' AND i.indrelid = 'items'::regclass"
DIMENSIONS = "SELECT dimensions FROM clip_models() WHERE name = 'tiny-eps'"
FINGERPRINT = "SELECT fingerprint FROM clip_models() WHERE name = 'tiny-eps'"


def write(session, n):
    """Writers of all kinds."""
    session.run(f"INSERT INTO items (modality, content_ref) VALUES ('text', 'inserted {n}')")
    session.run(f"INSERT INTO items (modality, content_ref, image) VALUES ('image', 'p{n}', {hexed(png(9, n))})")
    session.run(f"UPDATE items SET content_ref = 'updated {n}' WHERE content_ref = 'inserted {n}'")
    session.run(f"INSERT INTO waiting (modality, content_ref) VALUES ('text', 'inserted {n}'), ('text', 'also {n}')")
    session.run(f"UPDATE waiting SET content_ref = 'updated {n}' WHERE content_ref = 'inserted {n}'")
    session.run(f"INSERT INTO parts VALUES ({n}, 'text', 'low {n}'), ({n} + 500, 'text', 'high {n}')")
    for table in ("items", "waiting"):
        subprocess.run(["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", session.one("SELECT current_database()"), "-c",
                        f"COPY {table} (modality, content_ref) FROM STDIN"], input=f"text\tcopied {n}\n", text=True, check=True)
    session.run(f"INSERT INTO shop.products (id, title, photo) VALUES ({n}, 'title {n}', {hexed(png(n, 8))})")


def wrong(session, tables=TEXTS):
    """Rows of texts whose vectors are missing or others'."""
    return sum((session.run(f"SELECT '{table}', content_ref FROM {table} WHERE modality = 'text' "
                            "AND (embedding IS NULL OR embedding <=> clip_embed_text(content_ref) > 1e-5) ORDER BY 2") for table in tables), [])


def go_on(session, copied=False):
    """All that `fill` began, after the update."""
    session.run("SET client_min_messages = error")
    assert session.run("SELECT content_ref FROM items WHERE embedding IS NULL") == []
    dead = session.run("SELECT sqlstate, message FROM clip_failures WHERE relation = 'waiting'::regclass AND state = 'dead'")
    assert dead == [["22P03", "no image"]], dead
    assert session.run("SELECT waiting + claimed > 3, retrying, dead FROM clip_queue WHERE relation = 'waiting'::regclass") == [["t", "1", "1"]]
    write(session, 2)
    session.run("CALL clip_drain()")
    # all but those whose time has not come, or which were given up
    left = wrong(session)
    assert left == [["waiting", "dead"], ["waiting", "retried"]], left
    session.run("SELECT clip_retry('waiting'); UPDATE clip.queue SET not_before = now()")
    session.run("CALL clip_drain()")
    assert wrong(session) == [] and session.one("SELECT count(*) FROM clip.queue") == "0"
    assert session.one("SELECT bool_and(title_vec <=> clip_embed_text(title) < 1e-5 AND photo_vec <=> clip_embed_image(photo) < 1e-5) FROM shop.products") == "t"

    if not copied:  # the state of backfills is not dumped
        assert session.run("SELECT key FROM clip_failures WHERE relation = 'old'::regclass") == [['{"id": 3}']]
        assert session.run("SELECT rows_done, rows_total FROM clip_progress WHERE relation = 'old'::regclass") == [["4", "20"]]
    session.run("CALL clip_backfill('old', batch_size => 4)")
    assert session.run("SELECT id FROM old WHERE embedding IS NULL") == [["3"]]
    assert session.run("SELECT key, sqlstate FROM clip_failures") == [['{"id": 3}', "22P03"]]
    session.run(f"UPDATE old SET photo = {hexed(png(3, 3))} WHERE id = 3; CALL clip_backfill('old')")
    assert session.run("SELECT id FROM old WHERE embedding IS NULL OR embedding <=> clip_embed_image(photo) > 1e-5") == []

    assert session.run("SELECT relation, phase FROM clip_progress WHERE command = 'model change' ORDER BY 1") == (
        [] if copied else [["changing", "embedding"], ["regretted", "embedding"], ["waits", "waiting"]])
    for table in ("changing", "regretted", "waits"):
        session.run(f"INSERT INTO {table} VALUES (11, 'in between')")
    session.run("CALL clip_change_model('changing', 'tiny-eps')")
    session.run("CALL clip_change_model('waits', 'tiny-eps')")
    session.run("SELECT clip_abort_model_change('regretted')")
    for table, model, indexes in (("changing", "tiny-eps", "2"), ("regretted", "tiny", "2"), ("waits", "tiny-eps", "1")):
        session.run(f"INSERT INTO {table} VALUES (12, 'at last')")
        assert session.run(f"SELECT count(*), bool_and(embedding <=> clip_embed_text(title, '{model}') < 1e-5) FROM {table}") == [["12", "t"]], table
        assert session.one(f"SELECT count(*) FROM pg_index WHERE indrelid = '{table}'::regclass AND indisvalid") == indexes
        assert session.run(f"SELECT attname FROM pg_attribute WHERE attrelid = '{table}'::regclass AND attnotnull AND attname = 'embedding'") == [["embedding"]]
        assert session.run(f"SELECT conname FROM pg_constraint WHERE conrelid = '{table}'::regclass AND contype = 'c'") == []
        assert session.one(f"SELECT count(*) FROM pg_attribute WHERE attrelid = '{table}'::regclass AND attnum > 0 AND NOT attisdropped") == "3"
    assert session.run("SELECT relation FROM clip.model_changes") == []

    # the index of all rows that a table had is joined by one of each modality
    assert session.one(f"SELECT count(*) FROM ({HNSW}) q") == "1"
    session.run("CALL clip_create_index('items')")
    assert session.one(f"SELECT count(*) FROM ({HNSW}) q") == "3"

    # triggers of the old version are replaced, and taken away
    session.run("SELECT clip_set_mode('items', 'async'), clip_set_mode('waiting', 'sync')")
    write(session, 3)
    session.run("CALL clip_drain()")
    assert wrong(session) == []
    session.run("SELECT clip_detach('items'), clip_detach('waiting'), clip_detach('parts'), clip_detach('old')")
    session.run("SELECT clip_detach('shop.products', 'title_vec'), clip_detach('shop.products', 'photo_vec')")
    session.run("DROP TABLE changing, regretted, waits")
    assert session.run("SELECT tgname FROM pg_trigger WHERE tgname LIKE 'clip%'") == []
    assert session.run("SELECT relation FROM clip.tables UNION ALL SELECT relation FROM clip.queue") == []


def update_among_writers(name):
    """Those that have begun end first, others wait, and none fails."""
    with Session(name) as session, Session(name) as begun, Session(name) as later:
        begun.run("SET client_min_messages = error; BEGIN; UPDATE items SET metadata = '1'")
        session.send("ALTER EXTENSION pg_clip UPDATE")
        until(lambda: begun.one(f"SELECT count(*) FROM pg_locks WHERE pid = {session.pid} AND NOT granted") == "1", what="the update's wait")
        later.send("INSERT INTO items (modality, content_ref) VALUES ('text', 'later')")
        begun.run("INSERT INTO waiting (modality, content_ref) VALUES ('text', 'begun'); COMMIT")
        session.wait()
        later.wait()


def refused(session, statement):
    """A statement that says what there is to do."""
    try:
        session.run(statement)
    except SqlError as e:
        assert e.sqlstate == "55000" and UPDATE in str(e), e
    else:
        raise AssertionError(f"no error: {statement}")


def same(fresh, updated):
    assert fresh == updated, "\n".join(difflib.unified_diff(fresh, updated, "fresh", "updated", lineterm="", n=0))


def restored(source, target):
    """A dump of one database, loaded into a new one, which gets the present version."""
    dump = subprocess.run(["pg_dump", source], capture_output=True, check=True).stdout
    with Session() as admin:
        admin.run(f"DROP DATABASE IF EXISTS {target}")
        admin.run(f"CREATE DATABASE {target}")
        for name, value in (("model_dir", models), ("model", "tiny"), ("precision", "f32")):
            admin.run(f"ALTER DATABASE {target} SET clip.{name} = '{value}'")
    subprocess.run(["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", target], input=dump, check=True, stdout=subprocess.DEVNULL)
    return target


with golden_models(TWO_MODELS) as models, released_versions() as versions:
    fresh = catalogue(fresh_database("clip_fresh"))
    assert len(fresh) > 200
    for version in versions:
        name = f"clip_from_{version.replace('.', '_')}"
        with_version(name, version, {"clip.model_dir": models, "clip.model": "tiny", "clip.precision": "f32"})
        with Session(name) as session:
            assert session.one("SELECT extversion FROM pg_extension WHERE extname = 'pg_clip'") == version
            fill(session)
            # until the update writers write, and what works on the bookkeeping says what there is to do
            for statement in ("CALL clip_drain()", "SELECT clip_retry('waiting')", "CALL clip_backfill('old')",
                              "CALL clip_change_model('changing', 'tiny-eps')"):
                refused(session, statement)
            assert session.one("SELECT content_ref FROM items ORDER BY embedding <=> clip_query('items', 'updated 1') LIMIT 1") == "updated 1"
        with Session(restored(name, f"{name}_restored")) as session:
            go_on(session, copied=True)
        same(fresh, catalogue(f"{name}_restored"))
        update_among_writers(name)
        same(fresh, catalogue(name))
        with Session(name) as session:
            go_on(session)

    # Workers leave an old schema alone and say so once. After the update what waits is embedded, and nobody has to ask for it.
    version = versions[0]
    with_version("clip_workers_from", version, {"clip.model_dir": models, "clip.model": "tiny", "clip.precision": "f32"})
    try:
        preloaded(clip__workers="0")
        begin = os.path.getsize(LOG)

        def told():
            with open(LOG, errors="replace") as log:
                log.seek(begin)
                return log.read().count(f"the schema of pg_clip is of version {version}")

        with Session("clip_workers_from") as session:
            session.run("SET client_min_messages = error; SELECT clip_create_table('waiting', mode => 'async')")
            for n in range(5):
                session.run(f"INSERT INTO waiting (modality, content_ref) VALUES ('text', 'number {n}')")
        settings(clip__workers=None)
        restart_server()
        with Session("clip_workers_from") as session:
            until(told, what="a line in the log")
            until(lambda: session.one("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'pg_clip worker'") == "0", what="no worker")
            session.run("INSERT INTO waiting (modality, content_ref) VALUES ('text', 'last')")
            assert session.one("SELECT count(*) FROM waiting WHERE embedding IS NULL") == "6"
            session.run("ALTER EXTENSION pg_clip UPDATE")
            until(lambda: session.one("SELECT count(*) FROM waiting WHERE embedding IS NULL") == "0", what="the vectors")
            assert told() == 1, told()
            no_workers(session)
    finally:
        settings(shared_preload_libraries=None, clip__workers=None)
        restart_server()
print(f"{len(fresh)} lines of the catalogue, from {', '.join(versions)}")
