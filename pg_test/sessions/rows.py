"""For tests of loading: pictures that differ, COPY, settings of the server."""
import random
import subprocess
import time

from pg import Session, png


def pictures(count, size=(48, 36), seed=1):
    """`count` PNGs, no two alike."""
    numbers = random.Random(seed)
    for i in range(count):
        a, b, c = (numbers.randrange(1, 30) for _ in range(3))
        yield png(*size, lambda x, y: ((x * a + i) % 256, (y * b + i // 256) % 256, (x * y * c) % 256))


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
