#!/usr/bin/env python3
"""clip_change_model and clip_set_mode on a table in mode async: rows that wait are not forgotten, and the mode stays."""
from pg import TWO_MODELS, Session, fresh_database, golden_models, hexed, png

with golden_models(TWO_MODELS) as models:
    db = fresh_database("clip_change_async")
    with Session() as admin:
        admin.run(f"ALTER DATABASE {db} SET clip.model_dir = '{models}'")
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
