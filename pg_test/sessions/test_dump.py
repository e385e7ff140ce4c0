#!/usr/bin/env python3
"""pg_dump and restore: rows, vectors, trigger, index, the memory of the model and the queue come back; nothing is embedded anew."""
import os
import subprocess
import tempfile

from pg import TWO_MODELS, Session, fresh_database, golden_models, hexed, png

source = fresh_database("clip_dump")
with Session(source) as session:
    session.run("SELECT clip_create_table('items')")
    session.run("CREATE SCHEMA shop")
    session.run("CREATE TABLE shop.products (title text, photo bytea, title_vec vector, photo_vec vector)")
    session.run("SELECT clip_attach('shop.products', 'title_vec', text_column => 'title')")
    session.run("SELECT clip_attach('shop.products', 'photo_vec', image_column => 'photo')")
    session.run("INSERT INTO items (modality, content_ref) VALUES ('text', 'cat'), ('text', 'dog')")
    session.run(f"INSERT INTO items (modality, content_ref, image) VALUES ('image', 'p.png', {hexed(png(9, 7))})")
    session.run(f"INSERT INTO shop.products (title, photo) VALUES ('bird', {hexed(png(5, 6))})")
    # one row that waits and one that failed
    session.run("SELECT clip_create_table('waiting', mode => 'async')")
    session.run("INSERT INTO waiting (modality, content_ref, image) VALUES ('image', 'bad.png', '\\x00')")
    session.run("CALL clip_drain('waiting')")
    session.run(f"INSERT INTO waiting (modality, content_ref, image) VALUES ('image', 'waits.png', {hexed(png(9, 7))})")
    contents = "SELECT md5(string_agg(t::text, ',' ORDER BY t::text)) FROM {} t"
    tables = ["items", "shop.products", "waiting", "clip.tables", "clip.queue", "clip.failures"]
    before = [session.one(contents.format(table)) for table in tables]

dump = subprocess.run(["pg_dump", source], capture_output=True, check=True).stdout
with Session() as admin:
    admin.run("DROP DATABASE IF EXISTS clip_restored")
    admin.run("CREATE DATABASE clip_restored")
subprocess.run(["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", "clip_restored"], input=dump, check=True, stdout=subprocess.DEVNULL)

with Session("clip_restored") as session:
    assert [session.one(contents.format(table)) for table in tables] == before
    assert session.one("SELECT count(*) FROM clip_stats") == "0"
    assert session.one("SELECT content_ref FROM items ORDER BY embedding <=> clip_query('items', 'cat') LIMIT 1") == "cat"
    # what waited goes on, what failed is still known, and numbers of jobs go on where they were
    session.run("CALL clip_drain('waiting')")
    assert session.one("SELECT w.embedding = i.embedding FROM waiting w, items i WHERE w.content_ref = 'waits.png' AND i.content_ref = 'p.png'") == "t"
    assert session.run("SELECT key, sqlstate, state FROM clip_failures") == [['{"id": 1}', "22P03", "dead"]]
    session.run("INSERT INTO waiting (modality, content_ref) VALUES ('text', 'new')")
    session.run("CALL clip_drain('waiting')")
    assert session.one("SELECT count(*) FROM waiting WHERE embedding IS NULL") == "1"
    session.run("INSERT INTO items (modality, content_ref) VALUES ('text', 'mouse')")
    session.run("UPDATE shop.products SET title = 'fish'")
    assert session.one("SELECT embedding = clip_embed_text('mouse') FROM items WHERE content_ref = 'mouse'") == "t"
    assert session.one("SELECT title_vec = clip_embed_text('fish') FROM shop.products") == "t"
    assert session.one("SELECT count(*) FROM pg_indexes WHERE indexdef LIKE '%hnsw%'") == "6"
    session.run("SELECT clip_detach('shop.products', 'title_vec')")

# a dump of the data alone, into tables whose triggers are already there: vectors that come with a row stay
data = subprocess.run(["pg_dump", "--data-only", "-t", "items", source], capture_output=True, check=True).stdout
with Session("clip_restored") as session:
    session.run("TRUNCATE items")
subprocess.run(["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", "clip_restored"], input=data, check=True, stdout=subprocess.DEVNULL)
with Session("clip_restored") as session:
    assert session.one(contents.format("items")) == before[0]

# in the middle of a change of model: what was restored has both columns, and goes on
with golden_models(TWO_MODELS) as models:
    with Session(fresh_database("clip_changing")) as session:
        session.run(f"SET clip.model_dir = '{models}'")
        session.run("SELECT clip_create_table('items', model => 'tiny')")
        session.run("INSERT INTO items (modality, content_ref) SELECT 'text', 'number ' || i FROM generate_series(1, 50) i")
        session.run("SET statement_timeout = '300ms'; SET client_min_messages = warning")
        with Session("clip_changing") as holder:
            holder.run("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1")       # its index waits for this one
            assert session.fails("CALL clip_change_model('items', 'tiny-eps')") == "57014"
            dump = subprocess.run(["pg_dump", "clip_changing"], capture_output=True, check=True).stdout
    with Session() as admin:
        admin.run("DROP DATABASE clip_restored")
        admin.run("CREATE DATABASE clip_restored")
    subprocess.run(["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", "clip_restored"], input=dump, check=True, stdout=subprocess.DEVNULL)
    with Session("clip_restored") as session:
        session.run(f"SET clip.model_dir = '{models}'")
        assert session.one("SELECT count(*) FROM clip.model_changes") == "1"
        session.run("INSERT INTO items (modality, content_ref) VALUES ('text', 'after the restore')")
        assert session.one("SELECT bool_and(embedding <=> clip_query('items', content_ref) < 1e-5) FROM items") == "t"
        session.run("CALL clip_change_model('items', 'tiny-eps')")
        assert session.one("SELECT model FROM clip.tables") == "tiny-eps"
        assert session.one("SELECT count(*) = 51 AND bool_and(embedding <=> clip_query('items', content_ref) < 1e-5) FROM items") == "t"

# by the database's owner, who is no superuser: dumped, and restored where the extension is
with Session() as admin:
    admin.run("DROP DATABASE IF EXISTS clip_shop; DROP DATABASE IF EXISTS clip_shop_2; DROP ROLE IF EXISTS clip_dbo, clip_other")
    admin.run("CREATE ROLE clip_dbo LOGIN; CREATE ROLE clip_other LOGIN")
    for name in ("clip_shop", "clip_shop_2"):
        admin.run(f"CREATE DATABASE {name} OWNER clip_dbo")
        with Session(name) as session:
            session.run("SET client_min_messages = error; CREATE EXTENSION pg_clip CASCADE; GRANT CREATE ON SCHEMA public TO clip_dbo")
with golden_models(TWO_MODELS) as models:
    with Session() as admin:
        for name in ("clip_shop", "clip_shop_2"):
            admin.run(f"ALTER DATABASE {name} SET clip.model_dir = '{models}'; ALTER DATABASE {name} SET clip.model = 'tiny'")
    with Session("clip_shop", PGUSER="clip_dbo") as session:
        session.run("SET client_min_messages = error")
        session.run("SELECT clip_create_table('items'); INSERT INTO items (modality, content_ref) VALUES ('text', 'cat')")
        session.run("SELECT clip_create_table('waiting', mode => 'async'); INSERT INTO waiting (modality, content_ref) VALUES ('text', 'dog')")
        session.run("CREATE TABLE changing (id int PRIMARY KEY, title text, embedding vector); SELECT clip_attach('changing', text_column => 'title')")
        session.run("INSERT INTO changing VALUES (1, 'cat'); CREATE INDEX ON changing USING hnsw ((embedding::vector(24)) vector_cosine_ops)")
        session.run("CREATE TEMP TABLE passing (id int PRIMARY KEY, title text, embedding vector); SELECT clip_attach('passing', text_column => 'title')")
        with Session("clip_shop", PGUSER="clip_dbo") as holder:
            holder.run("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT FROM changing")
            session.run("SET statement_timeout = '1s'")
            assert session.fails("CALL clip_change_model('changing', 'tiny-eps')") == "57014"
            environment = {**os.environ, "PGUSER": "clip_dbo"}
            for jobs in ("1", "8"):
                archive = tempfile.mkdtemp()
                subprocess.run(["pg_dump", "-Fd", "-j", jobs, "-f", f"{archive}/dump", "clip_shop"], check=True, env=environment)
        counts = [session.one(f"SELECT count(*) FROM clip.{table}") for table in ("tables", "model_changes")]
    listed = subprocess.run(["pg_restore", "-l", f"{archive}/dump"], capture_output=True, text=True, check=True).stdout
    with open(f"{archive}/list", "w") as file:  # extensions are there, and are not his
        file.writelines(line + "\n" for line in listed.split("\n") if " EXTENSION " not in line and "COMMENT - EXTENSION" not in line)
    subprocess.run(["pg_restore", "-e", "-j", "8", "-L", f"{archive}/list", "-d", "clip_shop_2", f"{archive}/dump"], check=True, env=environment)
    with Session("clip_shop_2", PGUSER="clip_dbo") as session:
        # the temporary table is nobody's to restore
        assert [session.one(f"SELECT count(*) FROM clip.{table}") for table in ("tables", "model_changes")] == [str(int(counts[0]) - 1), counts[1]]
        session.run("CALL clip_drain()")
        assert session.one("SELECT embedding <=> clip_query('waiting', 'dog') < 1e-5 FROM waiting") == "t"
        session.run("SET client_min_messages = error; CALL clip_change_model('changing', 'tiny-eps')")
        assert session.one("SELECT embedding <=> clip_query('changing', 'cat') < 1e-5 FROM changing") == "t"
        session.run("INSERT INTO waiting (modality, content_ref) VALUES ('text', 'hen')")
    # what he may restore is what he owns: others' tables stay as they are
    with Session("clip_shop_2") as admin:
        admin.run("CREATE TABLE theirs (id int PRIMARY KEY, photo bytea, embedding vector); ALTER TABLE theirs OWNER TO clip_other")
    with Session("clip_shop_2", PGUSER="clip_dbo") as session:
        for statement in ("INSERT INTO clip.tables VALUES ('theirs', 'embedding', NULL, 'photo', NULL, false, 'tiny', 'x', 24)",
                          "INSERT INTO clip.model_changes VALUES ('theirs', 'embedding', 'photo', 'tiny', 'x', 24, true)"):
            session.run(f"SET client_min_messages = error; {statement}")
        assert session.one("SELECT count(*) FROM clip.tables WHERE relation = 'theirs'::regclass") == "0"
        assert session.one("SELECT count(*) FROM clip.model_changes WHERE relation = 'theirs'::regclass") == "0"
    with Session("clip_shop_2", PGUSER="clip_other") as session:
        for statement in ("INSERT INTO clip.tables SELECT * FROM clip.tables", "SELECT * FROM clip.queue", "UPDATE clip.tables SET model = 'x'"):
            assert session.fails(statement) == "42501", statement
with Session() as admin:
    admin.run("DROP DATABASE clip_shop; DROP DATABASE clip_shop_2; DROP ROLE clip_dbo, clip_other")
