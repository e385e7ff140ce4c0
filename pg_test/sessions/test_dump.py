#!/usr/bin/env python3
"""pg_dump and restore: rows, vectors, trigger, index, the memory of the model and the queue come back; nothing is embedded anew."""
import subprocess

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
    tables = ["items", "shop.products", "waiting", "clip.tables", "clip.queue"]
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
    assert session.run("SELECT key, sqlstate FROM clip_dead_letters") == [["{1}", "22P03"]]
    session.run("INSERT INTO waiting (modality, content_ref) VALUES ('text', 'new')")
    session.run("CALL clip_drain('waiting')")
    assert session.one("SELECT count(*) FROM waiting WHERE embedding IS NULL") == "1"
    session.run("INSERT INTO items (modality, content_ref) VALUES ('text', 'mouse')")
    session.run("UPDATE shop.products SET title = 'fish'")
    assert session.one("SELECT embedding = clip_embed_text('mouse') FROM items WHERE content_ref = 'mouse'") == "t"
    assert session.one("SELECT title_vec = clip_embed_text('fish') FROM shop.products") == "t"
    assert session.one("SELECT count(*) FROM pg_indexes WHERE indexdef LIKE '%hnsw%'") == "2"
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
