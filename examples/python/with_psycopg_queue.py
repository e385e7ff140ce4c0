"""A table in mode async with psycopg 3: rows are written at once, and background workers embed them."""

import time
from pathlib import Path

import psycopg
from psycopg.rows import scalar_row

pictures = Path("models/demo/pictures")
names = ["cat-face.png", "dog-face.png", "red-apple.png", "pear.png"]

with psycopg.connect(autocommit=True) as db:
    db.execute("SELECT clip_create_table('photos', mode => 'async')")
    with db.cursor().copy("COPY photos (modality, content_ref, image) FROM STDIN") as copy:
        for name in names:
            copy.write_row(("image", name, (pictures / name).read_bytes()))
        copy.write_row(("image", "broken.png", b"no picture"))

    # clip_queue has no row for a table where nothing waits.
    busy = "SELECT FROM clip_queue WHERE relation = 'photos'::regclass AND waiting + claimed + retrying > 0"
    while db.execute(busy).fetchone() is not None:
        time.sleep(0.1)  # where no workers run: db.execute("CALL clip_drain('photos')")

    failures = "SELECT key, sqlstate, message FROM clip_failures WHERE relation = 'photos'::regclass AND state = 'dead'"
    for key, sqlstate, message in db.execute(failures):
        name = db.execute("SELECT content_ref FROM photos WHERE id = %s", (key["id"],)).fetchone()[0]
        print("failed:", name, sqlstate, message.splitlines()[0], sep="\n  ")

    # A row is found as soon as it has its vector.
    sql = "SELECT content_ref FROM photos ORDER BY embedding <=> clip_query('photos', %s) LIMIT 2"
    print("words:", *db.cursor(row_factory=scalar_row).execute(sql, ("a kitten",)), sep="\n  ")
