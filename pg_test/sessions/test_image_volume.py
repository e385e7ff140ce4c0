#!/usr/bin/env python3
"""An extension that lies outside of the server's own directories, as CloudNativePG mounts it from an image of its own: found by
extension_control_path and dynamic_library_path alone, preloaded from there, with the model beside it. PostgreSQL 18 and later."""
import os
import shutil
import subprocess
import tempfile

from pg import ROOT, Session, fresh_database, restart_server, until
from rows import settings

DB = "clip_volume"


def libraries(pid):
    with open(f"/proc/{pid}/maps") as maps:
        return {line.split()[-1] for line in maps if "/pg_clip.so" in line}


def pgvector(directory):
    """pgvector comes from a volume of its own."""
    config = os.environ.get("PG_CONFIG", "pg_config")
    share, library = (subprocess.run([config, what], capture_output=True, text=True, check=True).stdout.strip() for what in ("--sharedir", "--pkglibdir"))
    os.makedirs(f"{directory}/lib")
    shutil.copy(f"{library}/vector.so", f"{directory}/lib/")
    shutil.copytree(f"{share}/extension", f"{directory}/share/extension", ignore=lambda _, names: [n for n in names if not n.startswith("vector")])


def volume(extensions):
    ours, theirs = f"{extensions}/pg_clip", f"{extensions}/pgvector"
    subprocess.run([os.path.join(ROOT, "scripts", "volume.sh"), ours], check=True)
    pgvector(theirs)
    os.chmod(extensions, 0o755)
    # before the server's own places, which have plpgsql
    settings(extension_control_path=f"{theirs}/share:{ours}/share", dynamic_library_path=f"{theirs}/lib:{ours}/lib:$libdir", shared_preload_libraries="pg_clip")
    restart_server()
    settings(clip__model_dir=f"{ours}/share/pg_clip/models")
    restart_server()
    with Session(fresh_database(DB)) as session:
        session.run("SELECT clip_create_table('items', mode => 'async')")
        session.run("INSERT INTO items (modality, content_ref) VALUES ('text', 'a cat'), ('text', 'a train')")
        until(lambda: session.one("SELECT count(embedding) FROM items") == "2", what="a worker of the preloaded library")
        assert session.one("SELECT content_ref FROM items ORDER BY embedding <=> clip_query('items', 'kitten') LIMIT 1") == "a cat"
        assert libraries(session.pid) == {f"{ours}/lib/pg_clip.so"}, libraries(session.pid)
    with Session() as admin:
        admin.run(f"DROP DATABASE {DB} WITH (FORCE)")


with Session() as session:
    if int(session.one("SHOW server_version_num")) < 180000:
        print("not before PostgreSQL 18")
        raise SystemExit
extensions = tempfile.mkdtemp(prefix="pg_clip_extensions_")
try:
    volume(extensions)
finally:
    settings(clip__model_dir=None, extension_control_path=None, dynamic_library_path=None, shared_preload_libraries=None)
    restart_server()
    shutil.rmtree(extensions)
