#!/usr/bin/env python3
"""Two copies of the library in one process, as after a change of dynamic_library_path under running sessions or a running
server: writers write with the second one, and its settings are those that the first one defined."""
import os
import shutil
import subprocess
import tempfile

from pg import TWO_MODELS, Session, fresh_database, golden_models, hexed, png, restart_server
from rows import settings

WARNING = "pg_clip was loaded from another file before"
FUNCTIONS = {"clip_embed_trigger() RETURNS trigger": "clip_embed_trigger", "clip.enqueue_trigger() RETURNS trigger": "clip_enqueue_trigger",
             "clip.wake_trigger() RETURNS trigger": "clip_wake_trigger", "clip_embed_text(content text) RETURNS vector STABLE STRICT": "clip_embed_text_wrapper",
             "clip_embed_image(image bytea) RETURNS vector STABLE STRICT": "clip_embed_image_wrapper"}


def libraries(session):
    """Files of the library that a process has loaded."""
    with open(f"/proc/{session.pid}/maps") as maps:
        return len({line.split()[-1] for line in maps if "pg_clip.so" in line})


def use(session, path):
    for function, symbol in FUNCTIONS.items():
        session.run(f"CREATE OR REPLACE FUNCTION {function} AS '{path}', '{symbol}' LANGUAGE C")


def write(session, n):
    told = session.run(f"INSERT INTO items (modality, content_ref) VALUES ('text', 'text {n}'); UPDATE items SET content_ref = content_ref || ' again'")
    session.run(f"INSERT INTO items (modality, content_ref, image) VALUES ('image', 'p{n}', {hexed(png(9, 7))})")
    session.run(f"INSERT INTO waiting (modality, content_ref) VALUES ('text', 'text {n}')")
    assert session.one("SELECT count(*) FROM items WHERE embedding IS NULL") == "0"
    assert session.one("SELECT count(*) FROM waiting") == session.one("SELECT count(*) FROM clip.queue") == str(n)
    return sum(WARNING in line for row in told for line in row)


library = subprocess.run([os.environ.get("PG_CONFIG", "pg_config"), "--pkglibdir"], capture_output=True, text=True, check=True).stdout.strip()
elsewhere = tempfile.mkdtemp(prefix="pg_clip_library_")
try:
    os.chmod(elsewhere, 0o755)
    second = shutil.copy(os.path.join(library, "pg_clip.so"), elsewhere)
    os.chmod(second, 0o755)
    with golden_models(TWO_MODELS) as models:
        db = fresh_database("clip_two")
        with Session(db) as session, Session(db) as admin:
            session.run(f"SET clip.model_dir = '{models}'; SET clip.model = 'tiny'; SET clip.max_image_bytes = '1MB'")
            session.run("SELECT clip_create_table('items'), clip_create_table('waiting', mode => 'async')")
            first = session.one("SELECT clip_embed_text('cat')")
            write(session, 1)
            assert libraries(session) == 1
            use(admin, second)
            assert write(session, 2) == 1, "told once"
            assert libraries(session) == 2 and write(session, 3) == 0
            # settings of the session are those that its first copy defined, whatever the second one has
            assert session.one("SELECT clip_embed_text('cat')") == first
            session.run("SET clip.model = 'tiny-eps'")
            assert session.one("SELECT clip_embed_text('cat')") != first
            session.run("SET clip.max_image_bytes = '10B'")
            assert session.fails(f"SELECT clip_embed_image({hexed(png(9, 7))})") == "54000"
            session.run("SET clip.precision = 'bf16'")
            assert session.fails("SET clip.threads = 1000") == "22023"
        # a session that has the second copy alone defines them itself
        with Session(db) as session:
            session.run(f"SET clip.model_dir = '{models}'; SET clip.model = 'tiny'")
            assert write(session, 4) == 0 and libraries(session) == 1
            assert session.one("SELECT clip_embed_text('cat')") == first

        # the server has the first copy
        settings(shared_preload_libraries="pg_clip")
        restart_server()
        try:
            with Session() as session:
                session.run("ALTER SYSTEM SET clip.workers = 0; SELECT pg_reload_conf()")
            with Session(db) as session:
                session.run(f"SET clip.model_dir = '{models}'; SET clip.model = 'tiny'")
                assert write(session, 5) == 1 and libraries(session) == 2
                assert session.one("SELECT clip_embed_text('cat')") == first
        finally:
            settings(shared_preload_libraries=None, clip__workers=None)
            restart_server()
finally:
    shutil.rmtree(elsewhere)
