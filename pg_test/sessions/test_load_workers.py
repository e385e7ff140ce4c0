#!/usr/bin/env python3
"""`pgclip load` beside the server's workers: one load sends images, another at the same time vectors that it computes itself. Nothing is
embedded twice, and nothing is lost."""
import os
import shutil
import subprocess
import tempfile

from pg import Session, fresh_database, pgclip, restart_server, until
from rows import pictures, preloaded, settings

FILES = int(os.environ.get("PG_CLIP_FILES", 300))


def start(tree, db, *words):
    return subprocess.Popen([pgclip(), "load", "-d", db, "-t", "photos", *words], cwd=tree, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def ended(running):
    said, _ = running.communicate(timeout=600)
    assert running.returncode == 0, said


tree = tempfile.mkdtemp(prefix="pg_clip_tree_")
preloaded(clip__workers=1)
try:
    os.chmod(tree, 0o755)
    for i, picture in enumerate(pictures(FILES)):
        part = os.path.join(tree, "ab"[i % 2])
        os.makedirs(part, exist_ok=True)
        with open(os.path.join(part, f"{i}.png"), "wb") as file:
            file.write(picture)
    db = fresh_database("clip_load_workers")
    with Session(db) as session:
        models = session.one("SHOW clip.model_dir")
        session.run("SELECT clip_create_table('photos', mode => 'async')")
        session.run("SELECT clip_stats_reset()")
        both = [start(tree, db, "a"), start(tree, db, "--embed-here", "--model-dir", models, "b")]
        for running in both:
            ended(running)
        until(lambda: session.one("SELECT count(*) FROM clip.queue") == "0", what="an empty queue")
        assert session.one("SELECT count(*) FROM photos") == str(FILES)
        assert session.one("SELECT count(DISTINCT content_ref) FROM photos WHERE embedding IS NOT NULL AND image IS NULL") == str(FILES)
        # what the server's model ran on
        assert session.one("SELECT sum(items) FROM clip_stats WHERE kind = 'image'") == str((FILES + 1) // 2)
        # the other half sent once more, by the other way: nothing to do
        ended(start(tree, db, "b"))
        ended(start(tree, db, "--embed-here", "--model-dir", models, "a"))
        assert session.one("SELECT sum(items) FROM clip_stats WHERE kind = 'image'") == str((FILES + 1) // 2)
        assert session.one("SELECT count(*) FROM photos") == str(FILES)
finally:
    shutil.rmtree(tree)
    settings(shared_preload_libraries=None, clip__workers=None)
    restart_server()
