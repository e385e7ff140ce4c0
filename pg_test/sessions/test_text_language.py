#!/usr/bin/env python3
"""clip.text_language: queries follow the session, rows the database or role whoever writes them, functions that name a model neither."""
from pg import Session, fresh_database, golden_models, until
from rows import preloaded, restart_server, settings

UNKNOWN = "SET clip.text_language = 'klingon'"

preloaded(clip__workers=1)
try:
    with golden_models({"many": "tiny-openclip-nllb", "one": "tiny-clip"}) as models:
        db = fresh_database("clip_text_language")
        with Session() as admin:
            admin.run(f"ALTER DATABASE {db} SET clip.model_dir = '{models}'")
            admin.run(f"ALTER DATABASE {db} SET clip.precision = 'f32'")
            admin.run(f"ALTER DATABASE {db} SET clip.model = 'many'")
            admin.run(f"ALTER DATABASE {db} SET clip.text_language = 'deu_Latn'")

        with Session(db) as session:
            def of(language, text="a cat"):
                """The vector of a text in a language, as the session asks with it."""
                session.run(f"SET clip.text_language = '{language}'")
                vector = session.one(f"SELECT clip_embed_text('{text}')")
                session.run("RESET clip.text_language")
                return vector

            # The session's functions follow the setting, and their memory of recent inputs knows it.
            english, german = of("eng_Latn"), of("deu_Latn")
            assert english != german
            assert session.one("SELECT clip_embed_text('a cat')") == german, "the database's"
            assert of("") == english, "the tokenizer's"
            assert of("eng_Latn") == english
            assert session.one("SELECT clip_embed_text('a cat', 'many')") == english, "IMMUTABLE"
            assert session.one("SELECT (clip_embed_texts(ARRAY['a cat'], 'many'))[1]") == english, "IMMUTABLE"
            assert session.one("SELECT (clip_embed_texts(ARRAY['a cat']))[1]") == german
            # Once in a statement, and not the one before.
            rows = session.run("SELECT set_config('clip.text_language', l, false), clip_embed_text('a cat') "
                               "FROM (VALUES ('eng_Latn'), ('deu_Latn'), ('eng_Latn')) AS v (l)")
            assert [row[1] for row in rows] == [english, german, english], "each row by its own"
            session.run("RESET clip.text_language")

            # Rows of a trigger follow the database, whatever the session asks in.
            session.run("SELECT clip_create_table('now', mode => 'sync', index => false)")
            session.run("SET clip.text_language = 'fra_Latn'")
            session.run("INSERT INTO now (id, modality, content_ref) VALUES (1, 'text', 'a cat')")
            assert session.one("SELECT embedding FROM now") == german
            french = session.one("SELECT clip_query('now', 'a cat')")
            assert french == session.one("SELECT clip_embed_text('a cat')") and french not in (english, german)
            assert session.one("SELECT distance < 1e-6 FROM clip_search('now', 'a cat', k => 1)") == "f"
            session.run(UNKNOWN)
            session.run("INSERT INTO now (id, modality, content_ref) VALUES (2, 'text', 'a dog')")

            # One that the model does not have, in each function of a session; a model without languages does not mind.
            for call in ("clip_embed_text('a cat')", "clip_embed_texts(ARRAY['a cat'])", "clip_query('now', 'a cat')"):
                assert session.fails(f"SELECT {call}") == "22023", call
            assert session.fails("SELECT * FROM clip_search('now', 'a cat')") == "22023"
            assert session.one("SELECT clip_embed_text('a cat', 'many')") == english
            session.run("SET clip.model = 'one'")
            one = session.one("SELECT clip_embed_text('a cat')")
            session.run("RESET clip.model; RESET clip.text_language")
            assert one == session.one("SELECT clip_embed_text('a cat', 'one')")

            # A worker's rows, and those of a drain and a backfill.
            session.run("SELECT clip_create_table('later', mode => 'async', index => false)")
            session.run("SET clip.text_language = 'fra_Latn'")
            session.run("INSERT INTO later (id, modality, content_ref) VALUES (1, 'text', 'a cat')")
            until(lambda: session.one("SELECT count(embedding) FROM later") == "1")
            assert session.one("SELECT embedding FROM later") == german
            session.run("UPDATE now SET embedding = NULL")
            session.run("CALL clip_backfill('now')")
            assert session.one("SELECT embedding FROM now WHERE id = 1") == german

        # The role's setting goes before the database's, and the connection's before that.
        with Session() as admin:
            admin.run("DROP ROLE IF EXISTS clip_german")
            admin.run("CREATE ROLE clip_german SUPERUSER LOGIN")
            admin.run(f"ALTER ROLE clip_german IN DATABASE {db} SET clip.text_language = 'eng_Latn'")
        for env, vector in (({}, english), ({"PGOPTIONS": "-c clip.text_language=fra_Latn"}, french)):
            with Session(db, PGUSER="clip_german", **env) as session:
                session.run("SET clip.text_language = 'deu_Latn'")
                session.run("TRUNCATE now; INSERT INTO now (id, modality, content_ref) VALUES (1, 'text', 'a cat')")
                assert session.one("SELECT embedding FROM now") == vector, env
        # A wrong one of the database fails a trigger's row, and keeps a worker's waiting until it is right.
        with Session() as admin:
            admin.run(f"ALTER DATABASE {db} SET clip.text_language = 'de'")
            admin.run("DROP OWNED BY clip_german; DROP ROLE clip_german")
        with Session(db) as session:
            assert session.fails("INSERT INTO now (id, modality, content_ref) VALUES (3, 'text', 'a cat')") == "22023"
            # A worker that is there still has the setting that it began with.
            gone = lambda: session.one("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'pg_clip worker'") == "0"
            until(gone, 60, "workers to leave")
            session.run("INSERT INTO later (id, modality, content_ref) VALUES (2, 'text', 'a dog')")
            session.run("CALL clip_drain()")
            until(lambda: session.run("SELECT key ->> 'id', state, sqlstate FROM clip_failures") == [["2", "waiting", "22023"]])
            session.run("ALTER DATABASE clip_text_language SET clip.text_language = 'deu_Latn'")
        with Session(db) as session:
            until(gone, 60, "workers to leave")
            session.run("SELECT clip_retry('later')")
            until(lambda: session.one("SELECT count(embedding) FROM later") == "2")
            until(lambda: session.run("SELECT * FROM clip_failures") == [])
finally:
    settings(shared_preload_libraries=None, clip__workers=None)
    restart_server()
