"""For tests of loading: pictures that differ, COPY, settings of the server."""
import random
import subprocess
import time

from pg import Session, png_of, restart_server, until


def pictures(count, size=(48, 36), seed=1):
    """`count` PNGs, no two alike."""
    numbers, (width, height) = random.Random(seed), size
    for _ in range(count):
        # a row of random colours, each lasting some pixels, shifted a little further in each row
        line = b"".join(numbers.randbytes(3) * numbers.randrange(1, 40) for _ in range(width // 8 + 2))
        line, shift = (line * 9)[:9 * width], 3 * numbers.randrange(1, 9)
        yield png_of(size, b"".join(b"\0" + line[at:at + 3 * width] for at in (shift * y % (6 * width) // 3 * 3 for y in range(height))))


def copy_rows(dbname, table, images, first=0, pause=0, **options):
    """Loads images by COPY into a table of clip_create_table, in one transaction; `content_ref` is `p<number>`."""
    psql = subprocess.Popen(["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", dbname, "-c",
                             f"COPY {table} (modality, content_ref, image) FROM STDIN"], stdin=subprocess.PIPE, **options)
    try:
        for i, image in enumerate(images, first):
            time.sleep(pause)
            psql.stdin.write(f"image\tp{i}\t\\\\x{image.hex()}\n".encode())
        psql.stdin.close()
    except BrokenPipeError:
        pass
    return psql.wait()


def settings(**values):
    """ALTER SYSTEM, `__` standing for the dot, None for RESET; for the next start or reload."""
    with Session() as session:
        for name, value in values.items():
            name = name.replace("__", ".")
            session.run(f"ALTER SYSTEM RESET {name}" if value is None else f"ALTER SYSTEM SET {name} = '{value}'")


def preloaded(**values):
    """A server with the library from its start, and settings of ours, which a server without it does not know."""
    settings(shared_preload_libraries="pg_clip")
    restart_server()
    if values:
        settings(**values)
        restart_server()


def no_workers(session):
    """Sets clip.workers to 0 and waits until the last worker is gone: until then one may still take what is written."""
    session.run("ALTER SYSTEM SET clip.workers = 0")
    session.run("SELECT pg_reload_conf()")
    until(lambda: session.one("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'pg_clip worker'") == "0")


def empty_queue(session, condition="true"):
    """Deletes jobs as a worker would meet them: those that one has locked later, as to wait for them may be a deadlock."""
    def left():
        session.run(f"DELETE FROM clip.queue WHERE id IN (SELECT id FROM clip.queue WHERE {condition} FOR UPDATE SKIP LOCKED)")
        return session.one(f"SELECT count(*) FROM clip.queue WHERE {condition}")
    until(lambda: left() == "0", 60)
