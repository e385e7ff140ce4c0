"""Texts and pictures with psycopg 3."""

from pathlib import Path

import psycopg
from psycopg.rows import scalar_row
from psycopg.types.json import Jsonb

pictures = Path("models/demo/pictures")
texts = ["a cat asleep on a sofa", "a bowl of fruit", "the road to the sea"]
names = ["cat-face.png", "dog-face.png", "red-apple.png", "pear.png"]

with psycopg.connect() as db:
    db.execute("SELECT clip_create_table('items')")
    cur = db.cursor()
    cur.executemany("INSERT INTO items (modality, content_ref) VALUES ('text', %s)", [(text,) for text in texts])
    cur.executemany(
        "INSERT INTO items (modality, content_ref, image, metadata) VALUES ('image', %s, %s, %s)",
        [(name, (pictures / name).read_bytes(), Jsonb({"face": "face" in name})) for name in names],
    )

with psycopg.connect(row_factory=scalar_row) as db:
    # Words find pictures. psycopg sends a str without a type, so that PostgreSQL takes it for the column's enum.
    sql = "SELECT content_ref FROM items WHERE modality = %s ORDER BY embedding <=> clip_query('items', %s) LIMIT 2"
    print("words:", *db.execute(sql, ("image", "a kitten"), prepare=True), sep="\n  ")

    # A picture finds pictures and texts. bytes are a bytea, as in INSERT.
    sql = "SELECT content_ref FROM items ORDER BY embedding <=> clip_query('items', %s) LIMIT 3"
    print("picture:", *db.execute(sql, ((pictures / "tangerine.png").read_bytes(),)), sep="\n  ")

    # With a filter that no index is made for, an index scan may end before LIMIT is reached. For this transaction:
    db.execute("SET LOCAL hnsw.iterative_scan = strict_order")
    sql = "SELECT content_ref FROM items WHERE metadata @> %s ORDER BY embedding <=> clip_query('items', %s) LIMIT 2"
    print("filter:", *db.execute(sql, (Jsonb({"face": True}), "a kitten")), sep="\n  ")

    # clip_search looks until there are k rows. Its picture is clip_search('items', image => %s).
    sql = "SELECT content_ref FROM clip_search('items', query => %s, k => %s)"
    print("search:", *db.execute(sql, ("a pet", 3)), sep="\n  ")
