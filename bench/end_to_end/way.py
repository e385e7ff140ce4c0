"""What the ways of the comparison share: the clock, the queries, and what a way tells. A way prints a line of JSON."""
import json
import time
from pathlib import Path

import collection
import numpy as np

WARM_UP = 10
BATCH = 32


def start():
    return time.perf_counter()


def seconds_since(begun):
    return time.perf_counter() - begun


def files(jpegs):
    return sorted(Path(jpegs).glob("*.jpg"))


def ask(search, number):
    """Milliseconds of each query, and the names that it found. Other queries warm it up."""
    texts = collection.queries(number + WARM_UP)
    for text in texts[number:]:
        search(text)
    times, answers = [], []
    for text in texts[:number]:
        begun = start()
        answers.append(search(text))
        times.append(seconds_since(begun) * 1e3)
    return times, answers


def tell(what, seconds, times, answers):
    print(json.dumps({"what": what, "seconds": seconds, "times": times, "answers": answers}), flush=True)


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


# The table of who does without pg_clip: an index of pgvector's defaults, built when the rows are there, as its README advises.
TABLE = """CREATE TABLE photos (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, ref text NOT NULL,
    embedding vector({dimensions}) NOT NULL)"""
INDEX = "CREATE INDEX ON photos USING hnsw (embedding vector_cosine_ops)"
SELECT = "SELECT ref FROM photos ORDER BY embedding <=> %s LIMIT 10"


def connect():
    import psycopg
    from pgvector.psycopg import register_vector

    connection = psycopg.connect(autocommit=True)
    connection.execute("CREATE EXTENSION vector")
    register_vector(connection)
    return connection


def load(connection, batches, dimensions):
    """`batches` gives (names, vectors)."""
    connection.execute(TABLE.format(dimensions=dimensions))
    with connection.cursor() as cursor, cursor.copy("COPY photos (ref, embedding) FROM STDIN WITH (FORMAT BINARY)") as copy:
        copy.set_types(["text", "vector"])
        for names, vectors in batches:
            for name, vector in zip(names, vectors, strict=True):
                copy.write_row((name, vector))
    connection.execute(INDEX)
    connection.execute("ANALYZE photos")
    found = connection.execute("SELECT count(*) FROM photos").fetchone()[0]
    return found


def searcher(connection, embed):
    return lambda text: [row[0] for row in connection.execute(SELECT, (embed(text),)).fetchall()]
