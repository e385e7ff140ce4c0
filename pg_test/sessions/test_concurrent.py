#!/usr/bin/env python3
"""Many sessions start at once, each reads the model for itself, and all get the same vectors."""
from pg import Session, fresh_database, hexed, png

db = fresh_database("clip_concurrent")
image = hexed(png(40, 30))
sessions = [Session(db) for _ in range(8)]
for session in sessions:
    session.send(f"SELECT md5(clip_embed_text('a cat')::text || clip_embed_image({image})::text)")
results = {session.wait()[0][0] for session in sessions}
assert len(results) == 1, results

sessions[0].run("SELECT clip_create_table('shared')")
for i, session in enumerate(sessions):
    session.send(f"INSERT INTO shared (modality, content_ref) SELECT 'text', 'text {i} ' || j FROM generate_series(1, 50) j")
for session in sessions:
    session.wait()
assert sessions[0].one("SELECT count(*) FROM shared WHERE vector_norm(embedding) > 0.99") == "400"
assert sessions[1].one("SELECT bool_and(embedding = clip_embed_text(content_ref)) FROM shared") == "t"
for session in sessions:
    session.close()
