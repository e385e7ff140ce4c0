#!/usr/bin/env python3
"""pgclip status: what it tells, and what to do, where rows wait without workers, were given up, have no vector, a model is missing or the
schema is old; to a role without privileges; with the library preloaded."""
import json

from demo import command
from old_versions import released_versions, with_version
from pg import Session, fresh_database, restart_server, until
from rows import no_workers, settings

db = fresh_database("clip_status")


def status(expected=0, **env):
    """The report, which as text has the same hints."""
    report = json.loads(command("status", "-d", db, "--json", status=expected, **env)[0])
    text = command("status", "-d", db, status=expected, **env)[0]
    assert all(f"  {hint.replace(chr(92), chr(92) * 2)}\n" in text for hint in report["hints"]), (text, report)
    return report, text


def hints(*expected):
    """The only hints, by a part of each."""
    given = status()[0]["hints"]
    assert len(given) == len(expected) and all(part in hint for part, hint in zip(expected, given)), given


with Session(db) as session:
    report, text = status()
    version = session.one("SELECT extversion FROM pg_extension WHERE extname = 'pg_clip'")
    assert report["extension"] == {"schema": "public", "version": version, "library": version}
    assert report["background"] == {"preloaded": False, "workers": 1, "running": 0} and "not preloaded" in text
    assert [model["name"] for model in report["models"]] == ["pictograms"] and report["problems"] == report["hints"] == []

    # rows that wait while nobody works; rows that were given up
    session.run("SELECT clip_create_table('items'); SELECT clip_create_table('photos', mode => 'async')")
    session.run("INSERT INTO items (modality, content_ref) VALUES ('text', 'a'), ('text', 'b')")
    session.run("INSERT INTO photos (modality, content_ref, image) VALUES ('text', 'a', NULL), ('image', 'b', 'no image')")
    report, text = status()
    tables = {table["relation"]: table for table in report["tables"]}
    assert [tables["items"][what] for what in ("rows", "without_vector", "counted", "mode")] == [2, 0, True, "sync"]
    assert [tables["photos"][what] for what in ("rows", "without_vector", "mode", "model")] == [2, 2, "async", "pictograms"]
    assert report["queue"][0]["waiting"] == 2 and report["queue"][0]["age_seconds"] >= 0
    assert "2 rows, all with vectors" in text and "2 rows, 2 without a vector" in text
    hints("shared_preload_libraries = 'pg_clip' and restart the server, or CALL clip_drain('photos')")
    session.run("CALL clip_drain('photos')")
    hints("1 row of photos hold")
    report, text = status()
    assert [(f["sqlstate"], f["state"], f["rows"]) for f in report["failures"]] == [("22P03", "dead", 1)] and "22P03" in text

    # rows of a table that was attached to later, and a name that needs quotes
    session.run("CREATE TABLE \"It's\" (id int PRIMARY KEY, body text, v vector(256)); INSERT INTO \"It's\" SELECT i, 'x' FROM generate_series(1, 5) i")
    session.run("SELECT clip_attach('\"It''s\"', 'v', text_column => 'body'); INSERT INTO \"It's\" VALUES (6, 'y', NULL), (7, NULL, NULL)")
    hints("1 row of photos hold", "5 of the rows of \"It's\" have no vector and do not wait for one: CALL clip_backfill('\"It''s\"')")
    session.run("CALL clip_backfill('\"It''s\"')")
    hints("1 row of photos hold")

    # a role sees what the views show it
    session.run("CREATE ROLE clip_status_stranger LOGIN")
    try:
        report, text = status(PGUSER="clip_status_stranger")
        assert report["queue"] == report["failures"] == report["problems"] == report["hints"] == []
        assert len(report["tables"]) == 3 and all(not table["counted"] for table in report["tables"])
        assert report["background"] == {"preloaded": False, "workers": 1, "running": None} and "number of rows unknown" in text
    finally:
        session.run("DROP ROLE clip_status_stranger")

    # a schema that is older than the library, and a model that is gone
    session.run("UPDATE pg_extension SET extversion = '0.1.0' WHERE extname = 'pg_clip'")
    given = status()[0]["hints"]
    assert f"The library is of version {version}, the schema of 0.1.0: ALTER EXTENSION pg_clip UPDATE" in given[0], given
    session.run(f"UPDATE pg_extension SET extversion = '{version}' WHERE extname = 'pg_clip'")
    session.run("UPDATE clip.tables SET model = 'gone' WHERE relation = 'items'::regclass")
    assert "Model gone of table items is not installed on the server" in status()[0]["hints"][0]
    session.run("UPDATE clip.tables SET model = 'pictograms' WHERE relation = 'items'::regclass")

    # each schema that was released, as far as it goes
    with released_versions() as versions:
        mine = db
        for old in versions:
            db = f"clip_status_{old.replace('.', '_')}"
            with_version(db, old, {})
            report, text = status()
            assert report["extension"]["version"] == old and "ALTER EXTENSION pg_clip UPDATE" in report["hints"][0], text
            session.run(f"DROP DATABASE {db}")
        db = mine

    # workers: none at all, and some again
    try:
        settings(shared_preload_libraries="pg_clip")
        restart_server()
        with Session(db) as later:
            assert status()[0]["background"]["preloaded"] is True
            no_workers(later)

            def stands_still():
                # a worker that was on its way when the setting came may still take a row
                later.run("INSERT INTO photos (modality, content_ref) VALUES ('text', 'waits')")
                report = status()[0]
                return report["background"]["workers"] == 0 and "clip.workers is 0" in report["hints"][0]

            until(stands_still)
            hints("Rows of photos wait and clip.workers is 0", "1 row of photos hold")
            later.run("ALTER SYSTEM RESET clip.workers")
            later.run("SELECT pg_reload_conf()")
            until(lambda: status()[0]["queue"][0]["waiting"] == 0)
            hints("1 row of photos hold")
    finally:
        settings(shared_preload_libraries=None, clip__workers=None)
        restart_server()

with Session() as admin:
    admin.run(f"DROP DATABASE {db}")
db = "template1"
report, text = status(1)
assert report["extension"] is None and report["hints"] == ["In that database, as a superuser: CREATE EXTENSION pg_clip CASCADE."]
assert "pg_clip is not in this database" in text
print("versions, models, tables, queue, failures, and what to do")
