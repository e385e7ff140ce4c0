#!/usr/bin/env python3
"""Where the system refuses memory a call ends with an error, and the backend and all others live on.

LOW_MEMORY_INPUTS: damaged images in each step, 10000 for the long form; LOW_MEMORY_STEPS: how many steps of 32 MB."""
import glob
import os
import random
import re
import subprocess

import large_images as large
from bad_images import SMALL
from pg import GOLDEN, Session, as_server_user, fresh_database, hexed, memory_kb

INPUTS = int(os.environ.get("LOW_MEMORY_INPUTS", 60))
STEPS = int(os.environ.get("LOW_MEMORY_STEPS", 6))
TEXTS = max(10, INPUTS // 10)
ALLOWED = {"", "22P03", "54000", "0A000", "53200"}


def damaged(count):
    noise = random.Random(5)
    files = list(SMALL.values())
    for path in sorted(glob.glob(os.path.join(GOLDEN, "images", "*"))):
        if re.search(r"\.(jpg|png|webp|gif|bmp|tif)$", path) and "huge" not in path and "expected" not in path:
            with open(path, "rb") as file:
                files.append(file.read())
    for _ in range(count):
        data = bytearray(noise.choice(files))
        for _ in range(noise.randrange(1, 4)):
            at = noise.randrange(min(len(data), noise.choice((96, 1 << 20))))
            kind = noise.randrange(4)
            if kind == 0:
                data[at] ^= 1 << noise.randrange(8)
            elif kind == 1:
                data[at] = noise.choice((0, 1, 0x7f, 0x80, 0xff))
            elif kind == 2:
                data[at:at + noise.randrange(1, 16)] = noise.randbytes(noise.randrange(1, 16))
            elif len(data) > 200:
                del data[at:at + noise.randrange(1, 16)]
        yield bytes(data)


LARGE = {
    "turned PNG": large.turned_png(5000, 4000),
    "PNG, interlaced": large.png(3000, 3000, 16, 6, interlaced=1),
    "JPEG": large.jpeg(8000, 6000, sampling=0x22, turned=True),
    "progressive JPEG": large.jpeg(7000, 5000, True),
    "progressive CMYK": large.jpeg(5000, 5000, True, 4),
    "WebP": large.webp(7000, 6000),
    "TIFF": large.tiff(4000, 4000, 16),
    "TIFF of grey in 32 bits": large.tiff(3000, 3000, 32, 1, 1),
    "BMP": large.bmp_runs(6000, 5000),
    "GIF": large.gif(2000, 1500),
    "TIFF of 256 MB": large.tiff_that_declares(256 << 20),
}
WORDS = ["repeat('cat ', 100000)", "repeat(' ', 1000000)", "repeat('x', 100000)", "repeat('!?., ', 200000)", "'a cat'"]

db = fresh_database("clip_low_memory")
with Session(db) as setup:
    setup.run("CREATE TABLE input (name text PRIMARY KEY, image bytea)")
    setup.run("ALTER TABLE input ALTER image SET STORAGE EXTERNAL")
    for name, data in [*LARGE.items(), *((f"damaged {i}", data) for i, data in enumerate(damaged(INPUTS)))]:
        setup.run(f"INSERT INTO input VALUES ('{name}', {hexed(data)})")
    setup.run("""CREATE FUNCTION state_of(statement text) RETURNS text LANGUAGE plpgsql AS $$
        BEGIN EXECUTE statement; RETURN ''; EXCEPTION WHEN OTHERS THEN RETURN SQLSTATE; END $$""")
    log = os.path.join(os.path.dirname(setup.one("SHOW data_directory")), "server.log")
    logged = os.path.getsize(log)  # other tests kill processes

seen, worst = {}, None
with Session(db) as bystander:
    for step in range(STEPS):
        with Session(db) as session:
            session.run("SET jit = off; SET client_min_messages = warning")  # levels of grey are cut, with a NOTICE
            session.run("SET clip.cache_entries = 0")
            session.run(f"SET clip.threads = {1 + step % 2}")
            if step % 3 < 2:  # where nothing is loaded yet, too
                session.run(f"SELECT clip_embed_text('warm'), clip_embed_image({hexed(SMALL['PNG'])})")
            limit = max(256 << 20, (memory_kb(session.pid, "VmSize") << 10) + (4 << 20)) + (step * 32 << 20)
            subprocess.run(as_server_user(["prlimit", "--pid", str(session.pid), f"--as={limit}"]), check=True)
            rows = session.run("SELECT name, state_of(format('SELECT clip_embed_image(image) FROM input WHERE name = %L', name)) FROM input", 3600)
            for words in WORDS:
                statement = f"SELECT clip_embed_text({words})".replace("'", "''")
                rows += session.run(f"SELECT 'text', state_of('{statement}') FROM generate_series(1, {-(-TEXTS // len(WORDS))})", 3600)
            for statement in ("SELECT clip_embed_images(array_agg(image)) FROM input WHERE name !~ 'damaged'",
                              "SELECT clip_embed_texts(array_agg('number ' || i)) FROM generate_series(1, 2000) i"):
                rows += session.run(f"SELECT 'batch', state_of($statement${statement}$statement$)", 3600)
            unexpected = [row for row in rows if row[1] not in ALLOWED]
            assert not unexpected, (limit, unexpected[:5])
            for _, state in rows:
                seen[state] = seen.get(state, 0) + 1
            assert session.one("SELECT pg_backend_pid()") == str(session.pid)
    assert bystander.one("SELECT 1") == "1"
with open(log, "rb") as file:
    file.seek(logged)
    text = file.read().decode(errors="replace")
    assert "terminated by signal" not in text and "exited with exit code 127" not in text, text[-2000:]
print(f"{STEPS} steps, {INPUTS} damaged and {len(LARGE)} large images, {TEXTS} texts each: {dict(sorted(seen.items()))}")
