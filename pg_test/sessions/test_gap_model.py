#!/usr/bin/env python3
"""A model whose texts and images lie in two cones: the documents' own queries, from their text, give the rows that they ask for,
and clip_search gives one list of both kinds."""
import random
import re

from documents import next_page, sql_of, statements, with_parameter
from gap_model import installed
from pg import Session, fresh_database, hexed
from rows import copy_rows, pictures

ROWS = 2000   # of each kind: far more texts are near a text than any index looks at
PAGES = ("README.md", "docs/guide/querying.md", "docs/guide/indexes.md")
WORDS = """cat dog red blue old small sleeping running bicycle sofa train house tree garden in on under beside the a two with bird
boat river green table winter summer night street""".split()


def sentences(count, seed=3):
    numbers = random.Random(seed)
    return [f"{i} " + " ".join(numbers.choices(WORDS, k=numbers.randrange(3, 9))) for i in range(count)]


def documented():
    return [statement for page in PAGES for _, statement in sql_of(page)]


def filled(session, db, image):
    """The table `items` as the README makes it, with its rows and ours."""
    made = [statement for heading, statement in sql_of("README.md") if heading == "First query"]
    creates = [s for s in made if re.search(r"clip_create_table\('items'", s)]
    inserts = [s for s in made if re.match(r"INSERT INTO items\b", s)]
    assert len(creates) == 1 and len(inserts) >= 2, made
    for statement in creates + inserts:
        session.run(with_parameter(statement, hexed(image)))
    texts = ", ".join(f"('{text}')" for text in sentences(ROWS))
    session.run(f"INSERT INTO items (modality, content_ref) SELECT 'text', t FROM (VALUES {texts}) v (t)")
    assert copy_rows(db, "items", pictures(ROWS)) == 0
    session.run("""UPDATE items SET metadata = '{"album": "holiday"}' WHERE id % 3 = 0""")   # what the documents filter by
    session.run("ANALYZE items")


def mean_distance(session, one, other):
    return float(session.one(f"""WITH a AS (SELECT id, embedding AS e FROM items WHERE modality = '{one}' ORDER BY id LIMIT 200),
        b AS (SELECT id, embedding AS e FROM items WHERE modality = '{other}' ORDER BY id DESC LIMIT 200)
        SELECT avg(a.e <=> b.e) FROM a, b WHERE a.id <> b.id"""))


def promised(statement):
    """(rows, modality or None) that a query owes, None for what is no query of `items`, shows no rows of it, or has a cut-off."""
    if not re.match(r"(SELECT|WITH)\b", statement) or not re.search(r"\bitems\b", statement):
        return None
    if not re.search(r"content_ref|\*", statement.split("FROM")[0]) or "max_distance" in statement:
        return None
    limits = re.findall(r"\bLIMIT (\d+)", statement)   # the outermost stands last
    modality = re.search(r"\bmodality (?:=|=>) '(\w+)'", statement)
    if "clip_search(" in statement:
        k = re.search(r"\bk => (\d+)", statement)
        return int(limits[-1] if limits else k[1] if k else 10), modality and modality[1]
    return (int(limits[-1]), modality and modality[1]) if limits else None


def kinds(session, statement):
    """How many rows of which modality a query gives, by what it shows of them."""
    return session.run(f"SELECT i.modality, count(*) FROM ({statement}) q JOIN items i USING (content_ref) GROUP BY 1")


def one_list(session):
    """Both kinds have their place in it, each in the order of its distances; pages are cut from it; and a cut-off holds in each."""
    columns = "key ->> 'id', modality, distance"
    session.run("SET enable_indexscan = off")   # exact, so that pages are those of the list
    for query in ("'sleeping cat'", hexed(next(pictures(1, seed=6)))):
        nearest = session.run(f"SELECT modality FROM items ORDER BY embedding <=> clip_query('items', {query}) LIMIT 20")
        assert len(set(map(tuple, nearest))) == 1, "by distance alone the other kind has no place"
        found = session.run(f"SELECT {columns} FROM clip_search('items', {query}, k => 100) ORDER BY rank")
        for kind in ("text", "image"):
            assert sum(row[1] == kind for row in found[:20]) >= 5, found[:20]
            given = [float(row[2]) for row in found if row[1] == kind]
            assert given == sorted(given), given
        paged, after = [], ""
        for _ in range(7):   # of 15: more than ten, fewer than what the list is measured by twice over
            page = session.run(f"SELECT {columns}, cursor FROM clip_search('items', {query}, k => 15{after}) ORDER BY rank")
            paged, after = paged + [row[:3] for row in page], f", after => '{page[-1][3]}'"
        assert paged[:100] == found, list(zip(paged, found))
        small = session.run(f"SELECT {columns} FROM clip_search('items', {query}, k => 4) ORDER BY rank")
        assert small == found[:4], (small, found[:4])
        for kind in ("text", "image"):
            distances = [float(row[2]) for row in found if row[1] == kind]
            limit = distances[6] if distances[6] < distances[7] else distances[7]
            given = session.run(f"SELECT modality, distance FROM clip_search('items', {query}, k => 100, modality => '{kind}', max_distance => {limit!r})")
            assert len(given) >= 7 and all(row[0] == kind and float(row[1]) <= limit for row in given), (limit, given)
    session.run("RESET enable_indexscan")


assert statements("SELECT ';' -- a; comment\n, $$;$$; SELECT 2;") == ["SELECT ';' \n, $$;$$", "SELECT 2"]
db = fresh_database("clip_gap")
with installed() as models, Session() as admin:
    admin.run(f"ALTER DATABASE {db} SET clip.model_dir = '{models}'")
    admin.run(f"ALTER DATABASE {db} SET clip.model = 'tiny-gap'")
    image = next(pictures(1, seed=5))
    with Session(db) as session:
        filled(session, db, image)
        # the cones of a real CLIP: 0.29 within, 0.96 across
        within = [mean_distance(session, kind, kind) for kind in ("text", "image")]
        across = mean_distance(session, "text", "image")
        assert all(0.2 < x < 0.4 for x in within) and 0.9 < across < 1.05, (within, across)

        # The documents' are of the bundled model's dimensions.
        dimensions = session.one("SELECT vector_dims(clip_embed_text(''))")
        queries = [(re.sub(r"\b(bit|halfvec|vector)\(256\)", rf"\1({dimensions})", s), promised(s)) for s in documented() if promised(s)]
        assert len(queries) >= 2 and any(owed[1] == "image" for _, owed in queries), queries
        wrong = []
        for setting in ("DEFAULT", "off"):
            session.run(f"SET enable_seqscan = {setting}")
            for statement, (owed, modality) in queries:
                given = {kind: int(count) for kind, count in kinds(session, with_parameter(next_page(statement), hexed(image)))}
                if sum(given.values()) != owed or modality and set(given) != {modality}:
                    wrong.append(f"{given} instead of {owed} rows{f' of modality {modality}' if modality else ''}, "
                                 f"enable_seqscan = {setting}: {statement}")
        assert not wrong, "\n".join(wrong)
        # the documents' way to a cut-off: a distance that a tenth of the searches without an answer reach
        limits = [float(session.one(s)) for s in documented() if "percentile_cont" in s]
        assert len(limits) == 1 and 0 < limits[0] < 2, limits
        session.run("RESET enable_seqscan")
        one_list(session)
        print(f"{len(queries)} queries of the documents, mean distance {within[0]:.2f} among texts, {within[1]:.2f} among images, {across:.2f} across")
