"""The promise, row by row: the vector of the row's own source, or none and no source, or none and an entry among the failures."""

# SQLSTATEs of what happened to the server and not to the row: 57P02 for one that its processes died with
OF_THE_SERVER = ("57", "08", "58", "53", "40", "55")
# entries among the failures that outlive what was wrong
STALE = ("a failure of a row that has its vector", "a failure of a row without a source", "a good source failed")


def failures(session):
    """Gathers the failures as they are now: relation, column, key as text in the order of the key's columns, SQLSTATE. Rows that have
    vectors of images that are not all there have their entries, too, and no other rows with a vector."""
    session.run("DROP TABLE IF EXISTS failing")
    session.run("CREATE TABLE failing AS SELECT relation, embedding_column, key, sqlstate FROM clip_failures WHERE state <> 'embedded'")


def model_of(session, t):
    """The model of a table, told by what a question to it is embedded with."""
    return session.one(f"SELECT model FROM expected WHERE modality = 'text' AND no = 0 ORDER BY embedding <=> "
                       f"clip_query('{t.attached or t.name}', (SELECT content FROM texts WHERE no = 0), '{t.vector.strip(chr(34))}') LIMIT 1")


def of_no_row(session, t):
    """How many failures name a row that is not there."""
    key = " AND ".join("f.key ->> '{}' = t.{}::text".format(column.strip('"'), column) for column in t.key)
    name = t.attached or t.name
    return int(session.one("SELECT count(*) FROM failing f WHERE f.relation IN "
                           f"(SELECT '{name}'::regclass UNION SELECT relid FROM pg_partition_tree('{name}')) "
                           f"AND NOT EXISTS (SELECT FROM {name} t WHERE {key})"))


def faults(session, t, model, nulled_allowed):
    """(key, what is wrong, details) of each row that is not as it must be."""
    found = []
    for vector in t.vectors:
        found += session.run(query(t, vector, model, nulled_allowed))
    return [(tuple(row[:len(t.key)]), row[-2], row[-1]) for row in found]


def query(t, vector, model, nulled_allowed):
    text = f"t.{t.text}::text" if t.text else "NULL::text"
    image, no = (f"t.{t.image}", "t.image_no") if t.image else ("NULL::bytea", "NULL::int")
    if t.modality:
        kind = f"t.{t.modality}::text"
    elif t.image and t.text:
        kind = f"CASE WHEN {image} IS NOT NULL THEN 'image' ELSE 'text' END"
    else:
        kind = "'image'" if t.image else "'text'"
    cleared = "false" if t.keep else f"({image} IS NULL AND {no} IS NOT NULL)"
    bare = vector.strip('"')
    key_matches = " AND ".join("f.key ->> '{}' = t.{}::text".format(column.strip('"'), column) for column in t.key)
    return f"""
    WITH r AS (
        SELECT {', '.join(f't.{column}::text AS k{i}' for i, column in enumerate(t.key))}, t.{vector} AS vector, t.nulled, {kind} AS kind,
            {image} AS image, {no} AS image_no, {text} AS content, {cleared} AS cleared,
            own.image AS own_image, te.embedding AS of_text, ie.embedding AS of_image,
            (SELECT min(f.sqlstate) FROM failing f WHERE f.relation IN (t.tableoid, '{t.attached or t.name}'::regclass)
                AND f.embedding_column = '{bare}' AND {key_matches}) AS failure
        FROM {t.attached or t.name} t
        LEFT JOIN pictures own ON own.no = {no}
        LEFT JOIN expected te ON te.model = '{model}' AND te.modality = 'text' AND te.content = {text}
        LEFT JOIN expected ie ON ie.model = '{model}' AND ie.modality = 'image' AND ie.no = {no}
    ), s AS (
        -- an unknown modality is a failure, unless there is nothing that could be embedded
        SELECT *, CASE WHEN kind = 'text' THEN content IS NOT NULL WHEN kind = 'image' THEN image IS NOT NULL OR cleared WHEN kind IS NULL THEN false
            WHEN content IS NOT NULL OR image IS NOT NULL THEN true END AS has_source,
            CASE kind WHEN 'text' THEN of_text WHEN 'image' THEN of_image END AS wanted
        FROM r
    ), w AS (
        SELECT *, CASE
            WHEN image IS NOT NULL AND image IS DISTINCT FROM own_image THEN 'another image than was given'
            WHEN image IS NULL AND image_no IS NOT NULL AND NOT cleared THEN 'a kept image is gone'
            WHEN content IS NOT NULL AND of_text IS NULL THEN 'a text that nobody gave'
            WHEN vector IS NOT NULL AND NOT has_source THEN 'a vector without a source'
            WHEN vector IS NOT NULL AND wanted IS NULL THEN 'a vector of a source that has none'
            WHEN vector IS NOT NULL AND NOT coalesce(vector <=> wanted < 1e-4, false) THEN 'a vector of another source'
            WHEN vector IS NULL AND cleared AND kind = 'image' THEN 'the vector of a cleared image is lost'
            WHEN vector IS NULL AND has_source AND failure IS NULL AND NOT (nulled AND {nulled_allowed}) THEN 'neither vector nor failure'
            WHEN vector IS NULL AND has_source AND wanted IS NOT NULL AND left(failure, 2) NOT IN {OF_THE_SERVER} THEN '{STALE[2]}'
            WHEN vector IS NOT NULL AND failure IS NOT NULL THEN '{STALE[0]}'
            WHEN NOT has_source AND failure IS NOT NULL THEN '{STALE[1]}'
            WHEN vector IS NOT NULL AND kind = 'image' AND image IS NOT NULL AND NOT {t.keep} THEN 'an image that was not cleared'
            END AS fault
        FROM s
    )
    SELECT {', '.join(f'k{i}' for i in range(len(t.key)))}, fault,
        format('modality %s, text %s, image %s, image_no %s, nulled %s, failure %s, vector of: %s', kind, content,
            CASE WHEN image IS NULL THEN 'NULL' ELSE 'there' END, image_no, nulled, failure,
            CASE WHEN vector IS NULL THEN 'none' ELSE (SELECT format('%s %s of %s', e.modality, coalesce(e.content, e.no::text), e.model)
                FROM expected e ORDER BY e.embedding <=> vector LIMIT 1) END)
    FROM w WHERE fault IS NOT NULL ORDER BY 1, 2"""
