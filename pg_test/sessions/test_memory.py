#!/usr/bin/env python3
"""No input takes more memory than clip.max_memory and a little; images of a batch take turns."""
import large_images as large
from pg import PeakMemory, Session, SqlError, fresh_database, hexed

# Beside the budget: the decoder's file, PostgreSQL's copies of the argument, pages of the libraries and of the weights.
CONSTANT_MB = 48
WORST = {
    "progressive JPEG, 89 MP": large.jpeg(9400, 9400, True),
    "progressive CMYK, 89 MP": large.jpeg(9400, 9400, True, 4),
    "JPEG, 50 MP, turned": large.jpeg(8192, 6144, sampling=0x22, turned=True),
    "PNG, 89 MP, turned": large.turned_png(9400, 9400),
    "PNG of 16 bits, interlaced, 30 MP": large.png(5500, 5500, 16, 6, interlaced=1),
    "WebP of 38 bytes, 88 MP": large.webp(),
    "AVIF of 1,211 bytes, 42 MP": large.avif(),
    "TIFF of 16 bits, 40 MP": large.tiff(6400, 6400, 16),
    "TIFF of grey in 32 bits, 40 MP": large.tiff(6400, 6400, 32, 1, 1),
    "BMP with run lengths, 89 MP": large.bmp_runs(9400, 9400),
    "GIF, 2 MP": large.gif(1500, 1500),
}

# Those of about the size that the limit just allows: name, picture by its sides, bytes a pixel as they are documented.
FITTING = [
    ("progressive JPEG", lambda side: large.jpeg(side, side, True), 6),
    ("progressive JPEG, 4:2:0", lambda side: large.jpeg(side, side, True, sampling=0x22), 3),
    ("grey JPEG", lambda side: large.jpeg(side, side, components=1), 3),
    ("turned PNG", lambda side: large.turned_png(side, side), 3),
    ("interlaced PNG of 16 bits", lambda side: large.png(side, side, 16, 6, interlaced=1), 11),
    ("WebP", lambda side: large.webp(side, side), 5),
    ("TIFF of 16 bits", lambda side: large.tiff(side, side, 16), 9),
    ("BMP with run lengths", lambda side: large.bmp_runs(side, side), 4),
]
FULL = 0.6  # of the limit: the rest is what the model and eight threads take

db = fresh_database("clip_memory")
with Session(db) as setup:
    WORST = large.of_this_build(setup, WORST)
    setup.run("CREATE TABLE input (name text, image bytea)")
    setup.run("ALTER TABLE input ALTER image SET STORAGE EXTERNAL")
    for name, data in WORST.items():
        setup.run(f"INSERT INTO input VALUES ('{name}', {hexed(data)})")


def peak(session, sql):
    """Megabytes above what is in use before, and the SQLSTATE."""
    taken, state = PeakMemory(session.pid), ""
    try:
        session.run(sql, 600)
    except SqlError as e:
        state = e.sqlstate
        if state == "54000":
            assert "MB of memory, the limit is" in str(e) and "Raise clip.max_memory." in str(e), e
    return taken.kb() / 1024, state


for limit, threads in ((64, 1), (64, 8), (256, 1), (256, 8)):
    figures, fitting = [], []
    with Session(db) as setup:
        setup.run("DELETE FROM input WHERE name LIKE 'fits: %'")
        for name, make, bytes_a_pixel in FITTING:
            fitting.append(f"fits: {name}")
            data = make(int((limit * FULL * (1 << 20) / bytes_a_pixel) ** 0.5))
            setup.run(f"INSERT INTO input VALUES ('{fitting[-1]}', {hexed(data)})")
    for name in [*WORST, *fitting]:
        # one image, and four that are equal but for their last byte: on several threads
        for count in (1,) if threads == 1 else (4,):
            with Session(db) as session:
                for setting in ("jit = off", "clip.cache_entries = 0", f"clip.max_memory = '{limit}MB'", f"clip.threads = {threads}"):
                    session.run(f"SET {setting}")
                session.run("SELECT clip_embed_text('warm'), clip_embed_image(decode('424d46000000000000003600000028000000020000000200000001"
                            "00180000000000100000000000000000000000000000000000000000000000ff00000000ff00000000', 'hex'))")
                megabytes, state = peak(session, f"""SELECT clip_embed_images(array_agg(image || int4send(i)))
                    FROM input, generate_series(1, {count}) i WHERE name = '{name}'""")
                assert state in ("", "54000"), (name, state)
                assert megabytes < limit + CONSTANT_MB, (name, limit, threads, megabytes)
                assert not (name.startswith("JPEG, 50 MP") and limit == 256 and state), "an ordinary photograph"
                assert not (name in fitting and state), (name, limit)
                figures.append(f"{name} {megabytes:.0f}{' refused' if state else ''}")
    print(f"limit {limit} MB, {threads} threads: {'; '.join(figures)}")
with Session(db) as session:
    session.run("SELECT clip_embed_text('load the library')")
    session.run("CREATE ROLE clip_memory_user")
    session.run("SET ROLE clip_memory_user")
    assert session.fails("SET clip.max_memory = '1GB'") == "42501"
    assert session.fails("SET clip.threads = 250") == "42501"
    session.run("SET clip.threads = 1")
    session.run("RESET ROLE")
    session.run("SET clip.threads = 250")
    session.run("RESET clip.threads")
    session.run("DROP ROLE clip_memory_user")
