#!/usr/bin/env python3
"""Every block of SQL in README.md and docs/ runs, page by page, as a reader would copy it.

A page has a database of its own, `shop`, with the tables that docs/README.md makes and some rows. README.md makes its own.
"""
import os
import re
import subprocess

from documents import ignored, next_page, pages, sql_of, with_parameter
from gap_model import installed
from pg import GOLDEN, ROOT, Session, SqlError, fresh_database, hexed, pgclip
from rows import pictures

ROWS = 12   # the documents ask for rows like row 7
TEXTS = ["a cat asleep on a sofa", "a red bicycle", "a dog on grass", "a train", "a house", "a tree", "a boat", "a bird", "a river",
         "an alarm clock", "a street at night", "a garden in summer"]
IMAGES = list(pictures(ROWS, seed=11))
# What has to give rows: a query of tables that have some, without a limit that depends on the model.
ASKS = re.compile(r"(?!.*max_distance =>)(SELECT|WITH)\b.*\b(ORDER BY|clip_search)\b", re.DOTALL)


def filled(session):
    """The tables of the documents, with rows."""
    for _, statement in sql_of("docs/README.md"):
        session.run(statement)
    for text in TEXTS:
        session.run(f"INSERT INTO items (modality, content_ref) VALUES ('text', '{text}')")
    for i, image in enumerate(IMAGES):
        session.run(f"""INSERT INTO items (modality, content_ref, metadata, image)
            VALUES ('image', 'photos/{i}.png', '{{"album": "holiday"}}', {hexed(image)})""")
        session.run(f"INSERT INTO photos (modality, content_ref, image) VALUES ('image', 'photos/{i}.png', {hexed(image)})")
        session.run(f"INSERT INTO products (title, photo) VALUES ('product {i}', {hexed(image)})")
    session.run("ANALYZE")


def shop(models, template):
    """The database of a page."""
    with Session() as admin:
        admin.run("DROP DATABASE IF EXISTS shop WITH (FORCE)")
        admin.run(f"CREATE DATABASE shop TEMPLATE {template}" if template else "CREATE DATABASE shop")
        admin.run(f"ALTER DATABASE shop SET clip.model_dir = '{models}'")
    return "shop"


def ordered(page):
    """README.md opens with a query of what it makes further down."""
    found = sql_of(page)
    opening = [pair for pair in found if page == "README.md" and pair[0] == "pg_clip"]
    return [pair for pair in found if pair not in opening] + opening


def here(session, statement):
    """Shards of the documents are this server, and a next page is that of a cursor."""
    if "host '" in statement:   # a server may know its sockets by another path than we do
        host = session.one("SHOW unix_socket_directories")
        statement = re.sub(r"host '[^']*', dbname 'shop'", f"host '{host}', port '{os.environ['PGPORT']}', dbname 'clip_documents_shard'", statement)
    return next_page(statement)


def run(page, models, template):
    """(heading, statement, what is wrong), and how many statements there were."""
    wrong, count = [], 0
    with Session(shop(models, template)) as session:
        session.run("SET client_min_messages = error")
        sharded = page.endswith("several-machines.md")
        if sharded and not session.run("SELECT name FROM pg_available_extensions WHERE name = 'postgres_fdw'"):
            return [], 0
        for heading, statement in ordered(page):
            count += 1
            try:
                rows = session.run(with_parameter(here(session, statement), hexed(IMAGES[0])))
                if ASKS.match(statement) and not rows:
                    wrong.append((heading, statement, "no rows"))
            except SqlError as e:
                wrong.append((heading, statement, str(e)[:500]))
        if sharded:
            query = next(s for _, s in sql_of(page) if "(SELECT clip_embed_text(" in s)
            plan = "\n".join(row[0] for row in session.run(f"EXPLAIN VERBOSE {query}"))
            if plan.count("ORDER BY (embedding") != 2:
                wrong.append(("Shards", query, plan[:2000]))
    return wrong, count


with installed("clip-vit-base-patch32") as models:
    for name, source in (("siglip-base-patch16-224", os.path.join(GOLDEN, "models", "tiny-siglip")),
                         ("pictograms", os.path.join(ROOT, "models", "pictograms"))):
        subprocess.run([pgclip(), "import", source, "--name", name, "--model-dir", models], check=True, stdout=subprocess.DEVNULL)
    template = fresh_database("clip_documents")
    with Session(template) as session:
        session.run("SET client_min_messages = error")
        filled(session)
    with Session() as admin:
        admin.run("DROP DATABASE IF EXISTS clip_documents_shard WITH (FORCE)")
        admin.run(f"CREATE DATABASE clip_documents_shard TEMPLATE {template}")
    failed, ran = [], {}
    for page in pages():
        for sql in ignored(page):
            assert sql.startswith("-- "), f"{page}: a block that is not run has to begin with the reason: {sql}"
        wrong, ran[page] = run(page, models, None if page == "README.md" else template)
        failed += [f"{page}, {heading}: {what}\n    {statement}" for heading, statement, what in wrong]
    assert not failed, "\n".join(failed)
    with Session() as admin:
        admin.run("DROP DATABASE IF EXISTS shop WITH (FORCE)")
    print(f"{sum(ran.values())} statements of {sum(count > 0 for count in ran.values())} pages, "
          f"{sum(len(ignored(page)) for page in pages())} blocks not to be run")
