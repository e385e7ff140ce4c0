#!/usr/bin/env python3
"""clip_change_model and clip_set_mode on a table in mode async: rows that wait are not forgotten, the mode stays, and
images that are not kept go."""
import struct

from pg import TWO_MODELS, Session, fresh_database, golden_models, hexed, png, until

with golden_models(TWO_MODELS) as models:
    db = fresh_database("clip_change_async")
    with Session() as admin:
        admin.run(f"ALTER DATABASE {db} SET clip.model_dir = '{models}'")
        admin.run(f"ALTER DATABASE {db} SET clip.precision = 'f32'")  # as the functions that are given a model
        admin.run(f"ALTER DATABASE {db} SET clip.model = 'tiny'")
    with Session(db) as session:
        images = [hexed(png(8 + i, 9)) for i in range(20)]

        def insert(first, last):
            values = ", ".join(f"('image', 'p{i}', {images[i]})" for i in range(first, last))
            session.run(f"INSERT INTO items (modality, content_ref, image) VALUES {values}")

        def wrong(model):
            """Rows whose vectors are not those of their pictures."""
            pairs = ", ".join(f"('p{i}', {images[i]})" for i in range(20))
            return session.one("SELECT count(*) FROM items JOIN (VALUES " + pairs + ") v (content_ref, image) USING (content_ref) "
                               f"WHERE embedding IS DISTINCT FROM clip_embed_image(v.image::bytea, '{model}')")

        session.run("SELECT clip_create_table('items', mode => 'async', keep_images => true, index => false)")
        insert(0, 5)
        session.run("CALL clip_drain('items')")
        insert(5, 10)
        # some have their vectors, some wait
        session.run("CALL clip_change_model('items', 'tiny-eps')")
        assert session.one("SELECT model || ' ' || mode FROM clip.tables") == "tiny-eps async"
        insert(10, 15)
        assert session.one("SELECT count(*) FROM items WHERE embedding IS NULL") == "5", "mode async ended"
        session.run("CALL clip_drain('items')")
        assert session.one("SELECT count(*) FROM clip.queue") == "0"
        session.run(f"UPDATE items SET image = {images[0]} WHERE content_ref = 'p14'")
        assert session.one("SELECT embedding IS NULL FROM items WHERE content_ref = 'p14'") == "t"
        session.run(f"UPDATE items SET image = {images[14]} WHERE content_ref = 'p14'")
        # what waits when the mode becomes sync is still done
        session.run("SELECT clip_set_mode('items', 'sync')")
        insert(15, 20)
        assert session.one("SELECT count(*) FROM items WHERE embedding IS NULL") == "1"
        session.run("CALL clip_drain('items')")
        assert session.one("SELECT count(*) FROM clip.queue") == "0"
        assert wrong("tiny-eps") == "0" and wrong("tiny") == "20"

        # Rows that wait when the switch comes have their new vector already: their images are cleared all the same.
        session.run("SELECT clip_create_table('passing', mode => 'async', index => false)")
        with Session(db) as holder, Session(db) as writer:
            holder.run("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1 FROM pg_class LIMIT 1")
            session.send("CALL clip_change_model('passing', 'tiny-eps')")
            until(lambda: writer.one("SELECT count(*) FROM clip.model_changes WHERE stage = 'waiting'") == "1", 60)
            writer.run("INSERT INTO passing (modality, content_ref, image) "
                       f"SELECT 'image', 'p' || i, CASE i WHEN 0 THEN {images[0]} ELSE {images[1]} END FROM generate_series(0, 2) i")
            holder.run("COMMIT")
            session.wait()
            assert session.one("SELECT count(*) FROM passing WHERE embedding IS NOT NULL AND image IS NOT NULL") == "3"
            assert session.one("SELECT count(*) FROM clip.queue") == "3"
            # one is locked by somebody, who changes its picture
            writer.run(f"BEGIN; UPDATE passing SET image = {images[2]} WHERE content_ref = 'p2'")
            session.run("CALL clip_drain('passing')")
            assert session.run("SELECT content_ref, image IS NULL, embedding IS NULL FROM passing ORDER BY 1") == [
                ["p0", "t", "f"], ["p1", "t", "f"], ["p2", "f", "f"]]
            assert session.one("SELECT count(*) FROM clip.queue") == "1"
            writer.run("COMMIT")
            session.run("UPDATE clip.queue SET not_before = now()")
            session.run("CALL clip_drain('passing')")
        assert session.run(f"""SELECT content_ref, image IS NULL, embedding = clip_embed_image(CASE content_ref WHEN 'p0' THEN {images[0]}
            WHEN 'p1' THEN {images[1]} ELSE {images[2]} END::bytea, 'tiny-eps') FROM passing ORDER BY 1""") == [
            [f"p{i}", "t", "t"] for i in range(3)]
        assert session.one("SELECT count(*) FROM clip.queue") == "0"

        # A row that gets another key before it has its new vector waits under the new column's name. After the switch that is gone.
        session.run("CREATE TABLE moved (id int PRIMARY KEY, body text, embedding vector(24)); INSERT INTO moved VALUES (1, 'a'), (2, 'b'); "
                    "SELECT clip_attach('moved', text_column => 'body'); CALL clip_backfill('moved'); "
                    "CREATE FUNCTION pass() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_advisory_xact_lock(1); RETURN NEW; END'; "
                    "CREATE TRIGGER a BEFORE UPDATE ON moved FOR EACH ROW WHEN (NEW.id = 1) EXECUTE FUNCTION pass()")
        with Session(db) as writer:
            writer.run("BEGIN; SELECT pg_advisory_xact_lock(1)")
            session.send("CALL clip_change_model('moved', 'tiny-eps', batch_size => 1)")
            until(lambda: writer.one("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted") == "1", 60)
            writer.run("UPDATE moved SET id = 3 WHERE id = 2; COMMIT")
            session.wait()
        assert session.run("SELECT embedding_column, key FROM clip.queue") == [["embedding", "{3}"]], session.run("SELECT q FROM clip.queue q")
        session.run("CALL clip_drain('moved')")
        assert session.one("SELECT count(*) FROM clip.queue") == "0"
        assert session.one("SELECT bool_and(embedding = clip_embed_text(body, 'tiny-eps')) FROM moved") == "t"

        # What is noted of a row's old vector goes, and what is noted of its new one is about the column.
        cut = hexed(b"BM" + struct.pack("<IHHIIiiHHIIiiII", 102, 0, 0, 54, 40, 4, 4, 1, 24, 0, 48, 0, 0, 0, 0) + b"\0\0\xff" * 8)   # 2 rows of 4
        session.run("SET client_min_messages = error; SET clip.truncated_images = 'embed'; "
                    "SELECT clip_create_table('cut', keep_images => true, index => false); "
                    f"INSERT INTO cut (id, modality, image) VALUES (1, 'image', {cut}), (2, 'image', {cut}), (3, 'image', {images[0]}); "
                    "CALL clip_change_model('cut', 'tiny-eps')")
        entries = "SELECT embedding_column, key, state FROM clip.failures ORDER BY key"
        assert session.run(entries) == [["embedding", "{1}", "embedded"], ["embedding", "{2}", "embedded"]], session.run(entries)
        session.run(f"UPDATE cut SET image = {images[1]} WHERE id = 1")
        assert session.run(entries) == [["embedding", "{2}", "embedded"]], session.run(entries)
        session.run("DELETE FROM cut")
        assert session.run(entries) == []
