#!/usr/bin/env python3
"""Hot standby: the query functions answer there. Logical replication:
vectors come with the rows, the subscriber's model is not asked."""
import os
import shutil
import subprocess

from pg import Session, as_server_user, fresh_database, hexed, png, restart_server, until

IMAGE = hexed(png(30, 20))
BIN = subprocess.run([os.environ.get("PG_CONFIG", "pg_config"), "--bindir"], capture_output=True, text=True, check=True).stdout.strip()
QUIET = dict(stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/")
EMBEDDED = "SELECT coalesce(sum(items + memo_hits), 0) FROM clip_stats"

with Session() as admin:
    admin.run("ALTER SYSTEM SET wal_level = 'logical'")
    primary = admin.one("SHOW data_directory")
restart_server()
db = fresh_database("clip_replicated")
standby_dir = os.path.join(os.path.dirname(primary), "standby")
try:
    with Session(db) as session:
        session.run("SELECT clip_create_table('items')")
        session.run("INSERT INTO items (modality, content_ref) VALUES ('text', 'cat'), ('text', 'dog')")
        session.run(f"INSERT INTO items (modality, content_ref, image) VALUES ('image', 'p.png', {IMAGE})")
        expected = session.one(f"SELECT clip_embed_text('a cat')::text || clip_embed_image({IMAGE})::text")

    # hot standby
    subprocess.run(as_server_user([f"{BIN}/pg_basebackup", "-D", standby_dir, "-R", "-X", "stream", "-c", "fast", "-U", "postgres",
                                   "-h", os.environ["PGHOST"], "-p", os.environ["PGPORT"]]), check=True, **QUIET)
    port = str(int(os.environ["PGPORT"]) + 1)
    start = as_server_user([f"{BIN}/pg_ctl", "-D", standby_dir, "-o", f"-p {port}", "-w", "-s", "-l", standby_dir + ".log", "start"])
    subprocess.run(start, check=True, **QUIET)
    with Session(db, PGPORT=port) as standby:
        assert standby.one("SELECT pg_is_in_recovery()") == "t"
        assert standby.one(f"SELECT clip_embed_text('a cat')::text || clip_embed_image({IMAGE})::text") == expected
        assert standby.one("SELECT content_ref FROM items ORDER BY embedding <=> clip_query('items', 'dog') LIMIT 1") == "dog"
        assert standby.one(f"SELECT content_ref FROM items ORDER BY embedding <=> clip_query('items', {IMAGE}) LIMIT 1") == "p.png"
        assert standby.one("SELECT count(*) FROM clip_classify(" + IMAGE + ", ARRAY['a', 'b'])") == "2"
        assert standby.one("SELECT loaded FROM clip_models() WHERE name = 'pictograms'") == "t"
        assert standby.one("SELECT calls > 0 FROM clip_stats WHERE kind = 'text'") == "t"
        assert standby.one("SELECT count(*) FROM clip_progress") == "0"
        assert standby.fails("CALL clip_backfill('items')") == "25006"
        with Session(db) as session:
            session.run("INSERT INTO items (modality, content_ref) VALUES ('text', 'bird')")
        until(lambda: standby.one("SELECT count(*) FROM items") == "4")
        assert standby.one("SELECT embedding <=> clip_query('items', 'bird') < 1e-5 FROM items WHERE content_ref = 'bird'") == "t"

    # logical replication, into a table that would embed what is written to it
    other = fresh_database("clip_subscriber")
    with Session(db) as publisher, Session(other) as subscriber:
        publisher.run("CREATE PUBLICATION clip_pub FOR TABLE items")
        publisher.run("SELECT pg_create_logical_replication_slot('clip_sub', 'pgoutput')")
        subscriber.run("SELECT clip_create_table('items')")
        subscriber.run(f"CREATE SUBSCRIPTION clip_sub CONNECTION 'host={os.environ['PGHOST']} port={os.environ['PGPORT']} user=postgres dbname={db}' "
                       "PUBLICATION clip_pub WITH (create_slot = false)")
        try:
            publisher.run("INSERT INTO items (modality, content_ref) VALUES ('text', 'fish')")
            publisher.run("UPDATE items SET content_ref = 'horse' WHERE content_ref = 'dog'")
            contents = "SELECT md5(string_agg(t::text, ',' ORDER BY id)) FROM items t"
            until(lambda: subscriber.one(contents) == publisher.one(contents))
            assert subscriber.one("SELECT count(embedding) FROM items") == "5"
            # Whether the worker asked a model is seen where it cannot: rows of a text that was never embedded arrive whole.
            publisher.run("ALTER TABLE items DISABLE TRIGGER USER")
            publisher.run("INSERT INTO items (modality, content_ref) VALUES ('text', 'no vector at all')")
            publisher.run("ALTER TABLE items ENABLE TRIGGER USER")
            until(lambda: subscriber.one("SELECT count(*) FROM items") == "6")
            assert subscriber.one("SELECT embedding IS NULL FROM items WHERE content_ref = 'no vector at all'") == "t"
            assert subscriber.one(EMBEDDED) == "0"
            # what is written here itself is embedded here
            subscriber.run("INSERT INTO items (id, modality, content_ref) VALUES (1000, 'text', 'local')")
            assert subscriber.one("SELECT embedding <=> clip_query('items', 'local') < 1e-5 FROM items WHERE id = 1000") == "t"
        finally:
            subscriber.run("DROP SUBSCRIPTION clip_sub")

        # a subscriber whose triggers fire for what arrives: it embeds what comes without a vector, and keeps those that come along
        for session in (publisher, subscriber):
            session.run("CREATE TABLE d (id int PRIMARY KEY, title text, embedding vector)")
        publisher.run("CREATE PUBLICATION clip_pub_d FOR TABLE d")
        publisher.run("SELECT pg_create_logical_replication_slot('clip_sub_d', 'pgoutput')")
        publisher.run("INSERT INTO d VALUES (0, 'copied')")
        subscriber.run("SELECT clip_attach('d', text_column => 'title', mode => 'async')")
        for name, in subscriber.run("SELECT quote_ident(tgname) FROM pg_trigger WHERE tgrelid = 'd'::regclass"):
            subscriber.run(f"ALTER TABLE d ENABLE ALWAYS TRIGGER {name}")
        subscriber.run(f"CREATE SUBSCRIPTION clip_sub_d CONNECTION 'host={os.environ['PGHOST']} port={os.environ['PGPORT']} user=postgres dbname={db}' "
                       "PUBLICATION clip_pub_d WITH (create_slot = false)")
        try:
            until(lambda: subscriber.one("SELECT count(*) FROM d") == "1")
            publisher.run("INSERT INTO d VALUES (1, 'cat'), (2, 'dog'), (3, 'fish')")
            publisher.run("UPDATE d SET embedding = clip_embed_text(title) WHERE id = 2")
            publisher.run("UPDATE d SET title = 'hen' WHERE id = 3")
            until(lambda: subscriber.run("SELECT title FROM d WHERE id = 3") == [["hen"]])
            subscriber.run("CALL clip_drain('d')")
            right = "SELECT count(*) FROM d WHERE embedding <=> clip_embed_text(title) < 1e-5"
            assert subscriber.one(right) == "4"
            publisher.run("UPDATE d SET title = 'ox', embedding = clip_embed_text('ox') WHERE id = 2; UPDATE d SET title = 'owl' WHERE id = 1")
            until(lambda: subscriber.one("SELECT title FROM d WHERE id = 1") == "owl")
            assert subscriber.one("SELECT embedding <=> clip_embed_text('ox') < 1e-5 FROM d WHERE id = 2") == "t"
            assert subscriber.run("SELECT key FROM clip.queue") == [["{1}"]]
            subscriber.run("CALL clip_drain('d')")
            assert subscriber.one(right) == "4"
        finally:
            subscriber.run("DROP SUBSCRIPTION clip_sub_d")
finally:
    if os.path.exists(standby_dir):
        subprocess.run(as_server_user([f"{BIN}/pg_ctl", "-D", standby_dir, "-m", "immediate", "-w", "-s", "stop"]), **QUIET)
        shutil.rmtree(standby_dir, ignore_errors=True)
    with Session() as admin:
        admin.run("ALTER SYSTEM RESET wal_level")
    restart_server()
