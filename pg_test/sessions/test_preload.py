#!/usr/bin/env python3
"""clip.preload: the server reads the model once, sessions start with it; a bad name does not keep the server down."""
from pg import Session, fresh_database, restart_server

db = fresh_database("clip_preload")
with Session(db) as session:
    assert session.one("SELECT loaded FROM clip_models() WHERE name = 'pictograms'") == "f"
    expected = session.one("SELECT clip_embed_text('a cat')")
    session.run("ALTER SYSTEM SET shared_preload_libraries = 'pg_clip'")
    session.run("ALTER SYSTEM SET clip.preload = 'pictograms, no-such-model'")
try:
    restart_server()
    with Session(db) as session:
        assert session.one("SELECT loaded FROM clip_models() WHERE name = 'pictograms'") == "t"
        assert session.one("SELECT clip_embed_text('a cat')") == expected
        assert session.one("SHOW clip.preload") == "pictograms, no-such-model"
finally:
    with Session() as session:
        session.run("ALTER SYSTEM RESET shared_preload_libraries")
        session.run("ALTER SYSTEM RESET clip.preload")
    restart_server()
with Session(db) as session:
    assert session.one("SELECT loaded FROM clip_models() WHERE name = 'pictograms'") == "f"
