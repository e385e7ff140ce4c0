#!/usr/bin/env python3
"""Indexes by modality: which a model's tables get, builds beside writers, builds that fail, are cancelled, killed or refused; halves
and several indexes through a change of model, a dump and a restore."""
import json
import os
import struct
import subprocess

from pg import GOLDEN, ROOT, TWO_MODELS, Session, SqlError, crash, fresh_database, golden_models, hexed, pgclip, png, until

DEFINITIONS = ("SELECT c.relname, regexp_replace(pg_get_indexdef(c.oid), '.* USING ', '') FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid "
               "JOIN pg_am a ON a.oid = c.relam WHERE a.amname = 'hnsw' AND i.indrelid = '{}'::regclass AND i.indisvalid ORDER BY 1")
INVALID = "SELECT count(*) FROM pg_index WHERE NOT indisvalid"
WORKER = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'pg_clip index build'"
db = None


def wide_model(models, name, dimensions):
    """The tiny model with a projection to more dimensions, of numbers that repeat."""
    source, target = os.path.join(GOLDEN, "models", "tiny-clip"), os.path.join(models, f".{name}")
    os.mkdir(target)
    for file in os.listdir(source):
        with open(os.path.join(source, file), "rb") as f:
            data = f.read()
        if file == "config.json":
            config = json.loads(data)
            config["projection_dim"] = dimensions
            data = json.dumps(config).encode()
        elif file == "model.safetensors":
            length = struct.unpack("<Q", data[:8])[0]
            header, body, tensors, at = json.loads(data[8:8 + length]), data[8 + length:], b"", 0
            for tensor, about in header.items():
                if tensor == "__metadata__":
                    continue
                values = body[about["data_offsets"][0]:about["data_offsets"][1]]
                if tensor.endswith("_projection.weight"):
                    inputs = about["shape"][1]
                    about["shape"] = [dimensions, inputs]
                    values = b"".join(struct.pack("<f", ((i * 2654435761 >> 7) % 1000 - 500) / 5000) for i in range(dimensions * inputs))
                about["data_offsets"] = [at, at + len(values)]
                tensors, at = tensors + values, at + len(values)
            header = json.dumps(header).encode()
            data = struct.pack("<Q", len(header)) + header + tensors
        with open(os.path.join(target, file), "wb") as f:
            f.write(data)
    subprocess.run([pgclip(), "import", target, "--name", name, "--model-dir", models], check=True, stdout=subprocess.DEVNULL)


def names(session, table):
    return [row[0] for row in session.run(DEFINITIONS.format(table))]


def fill(session, table, rows=300):
    session.run(f"INSERT INTO {table} (modality, content_ref) SELECT 'text', 'number ' || i FROM generate_series(1, {rows}) i")
    session.run(f"INSERT INTO {table} (modality, content_ref, image) VALUES ('image', 'p', {hexed(png(40, 30))}), ('image', 'q', {hexed(png(20, 30))})")


def by_model():
    """Two cones: an index of each modality, and a word about queries of all. One cone: one of all rows beside them."""
    with Session(db) as session:
        said = str(session.run("SELECT clip_create_table('gap')"))
        assert "serve queries that name the modality" in said, said
        assert names(session, "gap") == ["gap_embedding_image_idx", "gap_embedding_text_idx"]
        for combined in ("true", "false"):
            said = str(session.run(f"SELECT clip_create_table('asked_{combined}', combined_index => {combined})"))
            assert "NOTICE" not in said, said
        assert len(names(session, "asked_true")) == 3 and len(names(session, "asked_false")) == 2
        for model in ("mixed", "pictograms"):
            said = str(session.run(f"SELECT clip_create_table('one_{model}', model => '{model}')"))
            assert "NOTICE" not in said and len(names(session, f"one_{model}")) == 3, said
        session.run("DROP TABLE gap, asked_true, asked_false, one_mixed, one_pictograms")


def beside_writers():
    with Session(db) as session, Session(db) as other, Session(db) as watcher:
        session.run("SET client_min_messages = warning; SELECT clip_create_table('items', keep_images => true, index => false)")
        fill(session, "items")
        # an old snapshot keeps the build from its end; rows are read and written meanwhile
        other.run("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM items")
        session.run("SET maintenance_work_mem = '77MB'")
        session.send("CALL clip_create_index('items')")
        until(lambda: watcher.one("SELECT count(*) FROM pg_stat_progress_create_index WHERE phase LIKE 'waiting%'") == "1", what="the build's wait")
        watcher.run("INSERT INTO items (modality, content_ref) VALUES ('text', 'meanwhile'); UPDATE items SET content_ref = 'also' WHERE content_ref = 'number 1'")
        assert watcher.fails("CALL clip_create_index('items')") == "55006"
        # with the rights of the table's owner and of nobody else
        assert watcher.one("SELECT usename FROM pg_stat_activity WHERE backend_type = 'pg_clip index build'") == "postgres"
        other.run("COMMIT")
        session.wait()
        assert names(session, "items") == ["items_embedding_image_idx", "items_embedding_text_idx"]
        assert watcher.one(INVALID) == "0"

        # cancelled while it waits: the worker ends, and nothing is left
        other.run("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1")
        session.send("CALL clip_create_index('items', combined => true)")
        until(lambda: watcher.one("SELECT count(*) FROM pg_stat_progress_create_index WHERE phase LIKE 'waiting%'") == "1", what="the build's wait")
        watcher.run(f"SELECT pg_cancel_backend({session.pid})")
        ended(session, "57014")
        until(lambda: watcher.run(WORKER) == [], what="the worker's end")
        assert watcher.one(INVALID) == "0" and len(names(watcher, "items")) == 2
        # the worker is told to end: the call says so, and takes away what was there
        session.send("CALL clip_create_index('items', combined => true)")
        until(lambda: watcher.one("SELECT count(*) FROM pg_stat_progress_create_index WHERE phase LIKE 'waiting%'") == "1", what="the build's wait")
        watcher.run(f"SELECT pg_terminate_backend(pid) FROM ({WORKER}) w")
        ended(session, "55000")
        assert watcher.one(INVALID) == "0" and len(names(watcher, "items")) == 2
        # and killed, with the server: the next call takes it away
        session.send("CALL clip_create_index('items', combined => true)")
        until(lambda: watcher.run(WORKER) and watcher.one(INVALID) == "1", what="the build")
        crash(int(watcher.one(WORKER)), db)
    with Session(db) as session:
        assert session.one(INVALID) == "1"
        session.run("CALL clip_create_index('items', combined => true)")
        assert session.one(INVALID) == "0" and len(names(session, "items")) == 3
        # out of bounds, and a lock of the caller's own
        session.run("DROP INDEX items_embedding_idx")
        try:
            session.run("CALL clip_create_index('items', combined => true, ef_construction => 7)")
            raise AssertionError("no error")
        except SqlError as e:
            assert e.sqlstate == "55000" and "ef_construction" in str(e), e
        assert session.one(INVALID) == "0" and session.fails("BEGIN; CALL clip_create_index('items')") == "25001"
        session.run("ROLLBACK; CALL clip_create_index('items', combined => true)")


def ended(session, *states):
    try:
        raise AssertionError(f"went on: {session.wait()}")
    except SqlError as e:
        assert e.sqlstate in states, e


def owners():
    """An owner, who needs to connect; a member of his; nobody else; and no process from within a sandbox."""
    with Session(db) as session:
        session.run("CREATE ROLE clip_index_owner; CREATE ROLE clip_index_member LOGIN IN ROLE clip_index_owner; CREATE ROLE clip_index_stranger LOGIN")
        session.run("CREATE SCHEMA owned AUTHORIZATION clip_index_owner; GRANT USAGE ON SCHEMA owned TO clip_index_stranger")
        session.run("SET ROLE clip_index_owner; SET client_min_messages = warning; SELECT clip_create_table('owned.t', index => false); GRANT ALL ON owned.t TO clip_index_stranger")
        if int(session.one("SHOW server_version_num")) < 170000:
            assert session.fails("CALL clip_create_index('owned.t')") == "55000"
            session.run("CALL clip_create_index('owned.t', 'embedding', 'text', concurrently => false)")
            session.run("RESET ROLE; ALTER ROLE clip_index_owner LOGIN")
        session.run("RESET ROLE")
        with Session(db, PGUSER="clip_index_stranger") as stranger:
            assert stranger.fails("CALL clip_create_index('owned.t')") == "42501"
            assert stranger.fails("CALL clip_create_index('owned.t', concurrently => false)") == "42501"
            for call in ("clip.index_begin('owned.t', NULL, NULL, NULL, NULL)", "clip.index_next('owned.t', NULL, NULL, NULL, NULL)",
                         "clip.create_indexes('owned.t', NULL, NULL, NULL, NULL, NULL, NULL)",
                         "clip.begin_new_index('owned.t', NULL, 1, NULL, NULL, NULL)", "clip.new_index_failed('owned.t', NULL, 1, NULL, 'x')"):
                assert stranger.fails(f"SELECT {call}") == "42501", call
        with Session(db, PGUSER="clip_index_member") as member:
            member.run("CALL clip_create_index('owned.t')")
        assert session.run("SELECT DISTINCT relowner::regrole FROM pg_class WHERE relname LIKE 't_embedding%'") == [["clip_index_owner"]]
        assert len(names(session, "owned.t")) == 2
        # a function of an index that would have a process started
        session.run("SET ROLE clip_index_owner")
        session.run("""CREATE FUNCTION owned.climb() RETURNS int LANGUAGE plpgsql AS $$ BEGIN
            CALL public.clip_create_index('owned.t', combined => true); RETURN 1; END $$;
            CREATE FUNCTION owned.start(text) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN owned.climb(); END $$""")
        session.run("RESET ROLE; INSERT INTO owned.t (modality, content_ref) VALUES ('text', 'x')")
        assert session.fails("CREATE INDEX ON owned.t (owned.start(content_ref))") == "25001"
        session.run("SET client_min_messages = warning; DROP SCHEMA owned CASCADE; DROP ROLE clip_index_member, clip_index_stranger, clip_index_owner")


def through_changes():
    """Whatever indexes a table has, and halves, come along."""
    with Session(db) as session:
        session.run("CALL clip_create_index('items', type => 'halfvec', m => 8)")
        before = session.run(DEFINITIONS.format("items"))
        assert len(before) == 5, before
        # not while the model changes
        with Session(db) as holder:
            holder.run("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1")
            session.send("CALL clip_change_model('items', 'tiny-eps')")
            with Session(db) as other:
                until(lambda: other.one("SELECT count(*) FROM clip.model_changes WHERE stage = 'indexing'") == "1", 60, "the change's indexes")
                assert other.fails("CALL clip_create_index('items', modality => 'text')") == "55000"
                assert other.fails("CALL clip_create_index('items', modality => 'text', concurrently => false)") == "55000"
        session.wait()
        assert session.run(DEFINITIONS.format("items")) == before
        assert session.one("SELECT max(embedding <=> clip_query('items', content_ref)) < 1e-5 FROM items WHERE modality = 'text'") == "t"

        # halves, to more dimensions and back
        session.run("SELECT clip_create_table('halves', type => 'halfvec', keep_images => true, model => 'tiny'); SELECT clip_set_mode('halves', 'async')")
        fill(session, "halves", 50)
        session.run("SELECT clip_set_mode('halves', 'sync'); CALL clip_drain('halves'); CALL clip_create_index('halves', combined => true)")
        before = session.run(DEFINITIONS.format("halves"))
        for model, dimensions in (("wide", 1280), ("tiny-eps", 24)):
            session.run(f"CALL clip_change_model('halves', '{model}')")
            assert session.one("SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'halves'::regclass AND attname = 'embedding'") == f"halfvec({dimensions})"
            assert session.run(DEFINITIONS.format("halves")) == before
            session.run("INSERT INTO halves (modality, content_ref) VALUES ('text', 'after')")
            assert session.one("SELECT bool_and(halfvec_send(embedding) = halfvec_send(clip_query('halves', content_ref)"
                               f"::halfvec({dimensions}))) FROM halves WHERE modality = 'text'") == "t"
        # in halves an index may have 4,000 dimensions
        assert session.fails("SELECT clip_create_table('widest', model => 'widest')") == "54000"
        session.run("SELECT clip_create_table('widest', model => 'widest', type => 'halfvec'); INSERT INTO widest (modality, content_ref) VALUES ('text', 'x')")
        assert len(names(session, "widest")) == 2
        session.run("SELECT clip_create_table('wide', model => 'wide'); INSERT INTO wide (modality, content_ref) VALUES ('text', 'x')")
        assert session.fails("CALL clip_change_model('wide', 'widest')") == "54000"
        session.run("DROP TABLE widest")

        # without an index vectors of which two fit a page lie in line, and nothing else is moved out for them
        storage = ("SELECT attstorage, reloptions, pg_relation_size(reltoastrelid) > 0 FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid "
                   "WHERE attrelid = '{}'::regclass AND attname = 'embedding'")
        for table, options, expected in (("exact", "type => 'halfvec', index => false", ["m", "{toast_tuple_target=4080}", "f"]),
                                         ("large", "index => false", ["e", "NULL", "t"]), ("indexed", "type => 'halfvec'", ["e", "NULL", "t"])):
            session.run(f"SELECT clip_create_table('{table}', model => 'wide', {options})")
            session.run(f"INSERT INTO {table} (modality, content_ref) VALUES ('text', 'a text that is longer than what a pointer takes')")
            assert session.run(storage.format(table)) == [expected], (table, session.run(storage.format(table)))
        session.run("CALL clip_change_model('exact', 'tiny-eps')")
        assert session.run(storage.format("exact")) == [["m", "NULL", "f"]]
        session.run("DROP TABLE exact, large, indexed")


def dumped():
    tables = ("items", "halves", "wide")
    contents = "SELECT md5(string_agg(t::text, ',' ORDER BY t::text)) FROM {} t"
    about = ("SELECT attname, format_type(atttypid, atttypmod), attstorage, c.reloptions FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid "
             "WHERE attrelid = '{}'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY 1")
    with Session(db) as session:
        before = [[session.run(q.format(table)) for q in (contents, about, DEFINITIONS)] for table in tables]
    dump = subprocess.run(["pg_dump", db], capture_output=True, check=True).stdout
    with Session() as admin:
        admin.run("DROP DATABASE IF EXISTS clip_indexes_restored")
        admin.run("CREATE DATABASE clip_indexes_restored")
    subprocess.run(["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", "clip_indexes_restored"], input=dump, check=True, stdout=subprocess.DEVNULL)
    with Session("clip_indexes_restored") as session:
        assert [[session.run(q.format(table)) for q in (contents, about, DEFINITIONS)] for table in tables] == before
        session.run(f"SET clip.model_dir = '{models}'; SET clip.precision = 'f32'")
        session.run("INSERT INTO halves (modality, content_ref) VALUES ('text', 'restored')")
        assert session.one("SELECT halfvec_send(embedding) = halfvec_send(clip_query('halves', content_ref)::halfvec(24)) FROM halves WHERE content_ref = 'restored'") == "t"
        assert "there already" in str(session.run("CALL clip_create_index('halves')"))


with golden_models(TWO_MODELS) as models:
    wide_model(models, "wide", 1280)
    wide_model(models, "widest", 3000)
    pictures, texts = os.path.join(ROOT, "models", "demo", "pictures"), os.path.join(models, ".texts")
    with open(texts, "w") as file:
        file.writelines(f"number {i}\n" for i in range(20))
    for words in (["import", os.path.join(ROOT, "models", "pictograms")], ["calibrate", "tiny", "--as", "mixed", "--texts", texts, "--images", pictures]):
        subprocess.run([pgclip(), *words, "--model-dir", models], check=True, stdout=subprocess.DEVNULL)
    db = fresh_database("clip_indexes")
    with Session() as admin:
        for name, value in (("model_dir", models), ("precision", "f32"), ("model", "tiny"), ("threads", "1")):
            admin.run(f"ALTER DATABASE {db} SET clip.{name} = '{value}'")
    by_model()
    beside_writers()
    owners()
    through_changes()
    dumped()
