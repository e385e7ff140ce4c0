#!/usr/bin/env python3
"""The collection into a table by `pgclip load`, and the queries by the statement of README.md, or by clip_search.

    way_pg_clip.py MODEL_DIR JPEGS QUERIES      PGCLIP: the program; MODEL: the model's name; PRECISION: of the server; LOAD: more
                                                options of the command

The table is the one that `pgclip load` makes: mode async, HNSW indexes from the start. The server's workers embed, by default settings.
"""
import os
import subprocess
import sys
from pathlib import Path

import psycopg
import way

STATEMENTS = {
    "clip_query": "SELECT content_ref FROM photos WHERE modality = 'image' ORDER BY embedding <=> clip_query('photos', %s) LIMIT 10",
    "clip_search": "SELECT content_ref FROM clip_search('photos', %s::text, k => 10, modality => 'image')",
}


def main():
    _, jpegs, texts = sys.argv[1:]
    connection = psycopg.connect(autocommit=True)
    connection.execute("SET client_min_messages = error")
    connection.execute("CREATE EXTENSION pg_clip CASCADE")
    begun = way.start()
    command = [os.environ["PGCLIP"], "load", ".", "--table", "photos", "--model", os.environ["MODEL"], "--json", *os.environ.get("LOAD", "").split()]
    subprocess.run(command, cwd=Path(jpegs), check=True, stdout=subprocess.DEVNULL)
    seconds = way.seconds_since(begun)
    if connection.execute("SELECT count(*) FROM photos WHERE embedding IS NULL").fetchone()[0]:
        raise SystemExit("rows without a vector")

    for name, statement in STATEMENTS.items():
        # a session of its own, as one remembers the vectors of its texts
        with psycopg.connect(autocommit=True) as session:
            times, answers = way.ask(lambda text: [row[0] for row in session.execute(statement, (text,))], int(texts))
        way.tell(name, seconds, times, answers)


if __name__ == "__main__":
    main()
