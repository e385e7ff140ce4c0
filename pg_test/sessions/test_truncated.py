#!/usr/bin/env python3
"""Images that are not all there, in tables that take them: workers embed them by the database's setting, and what is noted of a row
keeps no other transaction waiting or fails it."""
import struct

from pg import Session, fresh_database, hexed, restart_server, until
from rows import preloaded, settings


def picture(rows, colour=b"\0\0\xff"):
    """A BMP of 4 x 4 pixels, with the pixels of some of its rows."""
    head = struct.pack("<IiiHHIIiiII", 40, 4, 4, 1, 24, 0, 48, 0, 0, 0, 0)
    return hexed(b"BM" + struct.pack("<IHHI", 102, 0, 0, 54) + head + colour * 4 * rows)


WHOLE, CUT = picture(4), picture(2)
preloaded(clip__workers=1)
try:
    db = fresh_database("clip_truncated")
    with Session() as admin:
        admin.run(f"ALTER DATABASE {db} SET clip.truncated_images = 'embed'")
    with Session(db) as session, Session(db) as other:
        marks = lambda: session.run("SELECT key ->> 'id', state, sqlstate FROM clip_failures ORDER BY 1")
        session.run("SET client_min_messages = error")
        other.run("SET client_min_messages = error; SET lock_timeout = '5s'")

        session.run("SELECT clip_create_table('later', mode => 'async', index => false)")
        session.run(f"INSERT INTO later (id, modality, image) VALUES (1, 'image', {CUT}), (2, 'image', {WHOLE}), (3, 'image', 'text')")
        until(lambda: session.one("SELECT count(embedding) FROM later") == "2")
        until(lambda: marks() == [["1", "embedded", "01000"], ["3", "dead", "22P03"]])
        assert session.one("SELECT count(image) FROM later") == "1", "an image that was embedded in part is cleared as any other"
        session.run("DROP TABLE later")

        session.run("SELECT clip_create_table('now', keep_images => true, index => false)")
        for level in ("READ COMMITTED", "REPEATABLE READ"):
            session.run(f"TRUNCATE now; INSERT INTO now (id, modality, image) VALUES (1, 'image', {CUT}), (2, 'image', {WHOLE})")
            assert marks() == [["1", "embedded", "01000"]], level
            # both repair and break rows, each its own, and the snapshots are older than the entries
            session.run(f"BEGIN ISOLATION LEVEL {level}; SELECT count(*) FROM now")
            other.run(f"BEGIN ISOLATION LEVEL {level}; SELECT count(*) FROM now")
            session.run(f"UPDATE now SET image = {WHOLE} WHERE id = 1")
            other.run(f"UPDATE now SET image = {CUT} WHERE id = 2; INSERT INTO now (id, modality, image) VALUES (3, 'image', {CUT})")
            session.run(f"INSERT INTO now (id, modality, image) VALUES (4, 'image', {CUT})")
            other.run("COMMIT")
            session.run("COMMIT")
            assert marks() == [["2", "embedded", "01000"], ["3", "embedded", "01000"], ["4", "embedded", "01000"]], (level, marks())

        # an upsert of a row that another transaction inserts meanwhile
        session.run("TRUNCATE now")
        session.run(f"BEGIN; INSERT INTO now (id, modality, image) VALUES (1, 'image', {CUT})")
        other.send(f"INSERT INTO now (id, modality, image) VALUES (1, 'image', {CUT}) ON CONFLICT (id) DO UPDATE SET image = EXCLUDED.image")
        session.run("COMMIT")
        other.wait()
        assert marks() == [["1", "embedded", "01000"]], marks()
        other.run(f"UPDATE now SET image = {WHOLE}")
        assert marks() == [], marks()
finally:
    settings(shared_preload_libraries=None, clip__workers=None)
    restart_server()
