#!/usr/bin/env python3
"""The reference of docs/reference says what there is: settings, functions, views, SQLSTATEs, and the command line's options."""
import glob
import os
import re
import subprocess

from documents import read, tables
from pg import ROOT, Session, fresh_database, golden_models, hexed, pgclip, png

CONTEXTS = {"user": "any user", "superuser": "superuser", "sighup": "configuration file", "postmaster": "server start"}
# Of the SQL layer's own, in words: what an error is may be said by its condition.
FORMS = (r"ERRCODE_([A-Z_]+)", r"ERRCODE = '(\w+)'")
IMAGE = hexed(png(9, 7))
differences = []


def compare(what, documented, found):
    """Both are sets of strings."""
    for thing in sorted(documented - found):
        differences.append(f"{what}: documented, and not there: {thing}")
    for thing in sorted(found - documented):
        differences.append(f"{what}: not documented: {thing}")


def code(cell):
    return re.findall(r"`([^`]+)`", cell)


def rows_under(page, heading=None):
    return [row for title, rows in tables(read(page)) if heading in (None, title) for row in rows[1:]]


def settings(session):
    documented = {}
    for name, default, who, _ in rows_under("docs/reference/settings.md", "Settings"):
        documented[code(name)[0]] = (code(default)[0] if code(default) else "", who)
    found = {}
    session.run("LOAD 'pg_clip'")
    for name, value, unit, context in session.run("SELECT name, boot_val, coalesce(unit, ''), context FROM pg_settings WHERE name LIKE 'clip.%'"):
        if unit:   # as SHOW writes it
            value = session.one(f"SELECT set_config('{name}', '{value}{unit}', false)") and session.one(f"SHOW {name}")
            session.run(f"RESET {name}")
        if name == "clip.preload":   # where the library is not preloaded it can be written for the next start
            context = "postmaster"
        found[name] = (value, CONTEXTS[context])
    as_text = lambda all: {f"{name}, default {value!r}, for {who}" for name, (value, who) in all.items()}
    compare("setting", as_text(documented), as_text(found))


def plain(signature):
    """Without line breaks, and without what the catalog adds: casts, quotes, and IN in procedures."""
    signature = re.sub(r"\s+", " ", signature).strip().replace('"', "")
    return re.sub(r"::[a-z ]+(?:\[\])?(?=[,)]| →|$)|\bIN ", "", signature).replace("( ", "(")


def functions(session):
    documented, fence = set(), None
    for line in read("docs/reference/functions.md").splitlines():
        if line.startswith("```"):
            fence = None if fence is not None else (line == "```text") and []
            continue
        if isinstance(fence, list):
            if line.startswith("clip_"):
                fence.append(line)
            else:
                fence[-1] += " " + line.strip()
                documented.discard(plain(fence[-1].rsplit(" " + line.strip(), 1)[0]))
            documented.add(plain(fence[-1]))
    # What a function gives by OUT arguments is a table, too.
    found = {plain(row[0]) for row in session.run("""
        SELECT p.proname || '(' || CASE WHEN 'o' = ANY (p.proargmodes) THEN '' ELSE pg_get_function_arguments(p.oid) END || ')' || CASE
                WHEN p.prokind = 'p' THEN ''
                WHEN 'o' = ANY (p.proargmodes) THEN ' → TABLE(' || (SELECT string_agg(name || ' ' || format_type(type, NULL), ', ' ORDER BY n)
                    FROM unnest(p.proargnames, p.proallargtypes) WITH ORDINALITY u (name, type, n)) || ')'
                ELSE ' → ' || pg_get_function_result(p.oid) END
        FROM pg_proc p JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
        JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'pg_clip'
        WHERE p.pronamespace <> 'clip'::regnamespace""")}
    compare("function", documented, found)
    headings = set(re.findall(r"^## (clip_\w+)$", read("docs/reference/functions.md"), re.MULTILINE))
    compare("section of a function", headings, {signature.split("(")[0] for signature in found})


def views(session):
    documented = set()
    for title, rows in tables(read("docs/reference/views.md")):
        if rows[0][:2] == ["column", "type"]:
            for names, column_type, _ in rows[1:]:
                documented |= {f"{title}.{name} {code(column_type)[0]}" for name in code(names)}
    found = {f"{relation}.{name} {type}" for relation, name, type in session.run("""
        SELECT c.oid::regclass::text, a.attname, format_type(a.atttypid, NULL) FROM pg_class c
        JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'
        JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'pg_clip'
        JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        WHERE c.relkind = 'v' OR c.oid = 'clip.tables'::regclass""")}
    short = lambda all: {re.sub(r"timestamp with time zone$", "timestamptz", thing) for thing in all}
    compare("column of a view", short(documented), short(found))


def errors():
    """What src and sql raise, by PostgreSQL's own list of conditions."""
    share = subprocess.run([os.environ.get("PG_CONFIG", "pg_config"), "--sharedir"], capture_output=True, text=True, check=True).stdout.strip()
    list_of_all = os.path.join(share, "errcodes.txt")
    if not os.path.exists(list_of_all):   # not every package of PostgreSQL has it
        return
    sqlstates, conditions = {}, {}
    with open(list_of_all, encoding="utf-8") as file:
        for sqlstate, macro, condition in re.findall(r"^(\w{5})\s+[EWS]\s+ERRCODE_(\w+)(?:[ \t]+(\w+))?", file.read(), re.MULTILINE):
            for name in (macro, condition):
                sqlstates.setdefault(name, sqlstate)   # as PL/pgSQL, which takes the first of a name
            conditions.setdefault(sqlstate, set()).update({condition, macro.lower()} - {""})
    files = glob.glob(os.path.join(ROOT, "src", "**", "*.rs"), recursive=True) + glob.glob(os.path.join(ROOT, "sql", "functions", "*.sql"))
    found = set()
    for path in files:
        with open(path, encoding="utf-8") as file:
            text = file.read()
        for form in FORMS:
            found |= {sqlstates[name] for name in re.findall(form, text)}
    documented = rows_under("docs/reference/errors.md")
    compare("SQLSTATE", {code(row[0])[0] for row in documented}, found)
    for sqlstate, condition, _ in documented:
        if code(condition)[0] not in conditions[code(sqlstate)[0]]:
            differences.append(f"SQLSTATE {sqlstate} is {conditions[code(sqlstate)[0]]}, not {condition}")
    # whatever the other pages say of SQLSTATEs
    listed = {code(row[0])[0] for row in documented}
    for page in ("docs/reference/functions.md", *(f"docs/guide/{name}.md" for name in ("tables", "images", "change-model", "backfill"))):
        said = {cell for cell in re.findall(r"`([0-9A-Z]{5})`", read(page)) if re.search(r"[0-9]", cell)}
        compare(f"SQLSTATE in {page}", said & listed, said)


# A statement for each error that a function's section lists. `?` is an image.
PROVOKED = {
    "clip_embed_text": {"42704": "SELECT clip_embed_text('x', 'none')", "42602": "SELECT clip_embed_text('x', '../x')"},
    "clip_embed_image": {"22P03": "SELECT clip_embed_image('no image')", "0A000": "SELECT clip_embed_image('8BPS0000')",
                         "54000": "SET clip.max_image_pixels = 4; SELECT clip_embed_image(?)"},
    "clip_embed_texts": {"54000": "SELECT clip_embed_texts(array_agg('x'::text)) FROM generate_series(1, 16385)"},
    "clip_embed_images": {"54000": "SELECT clip_embed_images(array_agg(''::bytea)) FROM generate_series(1, 16385)"},
    "clip_query": {"42704": "SELECT clip_query('plain', 'x')", "42P08": "SELECT clip_query('two', 'x')"},
    "clip_search": {
        "22004": "SELECT clip_search('items', 'x', k => NULL)", "22023": "SELECT clip_search('items', 'x', modality => 'sound')",
        "54000": "SELECT clip_search('items', 'x', k => 10001)", "22000": "SELECT clip_search('items', '[1,2]'::vector)",
        "42703": "SELECT clip_search('two', 'x', filter => '{}', embedding_column => 'a')",
        "0A000": "SELECT clip_search('items', 'x', words => 'x', after => (SELECT cursor FROM clip_search('items', 'x') LIMIT 1))",
        "55000": "SELECT clip_search('keyless', 'x', after => (SELECT cursor FROM clip_search('items', 'x') LIMIT 1))",
        "42501": "SET ROLE clip_reference; SELECT clip_search('items', 'x')"},
    "clip_combine": {
        "22023": "SELECT clip_combine('{}'::vector[])", "22004": "SELECT clip_combine(ARRAY[NULL, '[1]'::vector])",
        "2202E": "SELECT clip_combine(ARRAY['[1]'::vector], '{1,2}')", "22000": "SELECT clip_combine(ARRAY['[1]'::vector, '[-1]'])"},
    "clip_classify": {"22023": "SELECT clip_classify(?, '{a}', 'a photo')", "22004": "SELECT clip_classify(?, '{a,NULL}')",
                      "54000": "SELECT clip_classify(?, array_agg('x'::text)) FROM generate_series(1, 16385)"},
    "clip_image_frames": {"22023": "SELECT clip_image_frames(?, 0)"},
    "clip_create_table": {
        "22023": "SELECT clip_create_table('t', mode => 'later')", "42704": "SELECT clip_create_table('t', 'none')",
        "42601": "SELECT clip_create_table('a.b.c')"},
    "clip_attach": {
        "22004": "SELECT clip_attach('plain', 'v')", "22023": "SELECT clip_attach('plain', 'v', 'body', mode => 'later')",
        "42703": "SELECT clip_attach('plain', 'v', 'nothing')", "42804": "SELECT clip_attach('plain', 'body', 'body')",
        "42809": "SELECT clip_attach('view', 'v', 'body')", "42P08": "SELECT clip_attach('two', text_column => 'body')",
        "42710": "SELECT clip_attach('items', 'embedding', 'content_ref')", "22000": "SELECT clip_attach('short', 'v', 'body')",
        "0A000": "SELECT clip_attach('plain', 'v', 'made')", "55000": "SELECT clip_attach('plain', 'v', 'body', mode => 'async')"},
    "clip_create_index": {
        "22023": "CALL clip_create_index('items', modality => 'sound')", "55000": "CALL clip_create_index('unsized')",
        "25001": "BEGIN; CALL clip_create_index('keyless')", "0A000": "CALL clip_create_index('parts')"},
    "clip_set_mode": {"22023": "SELECT clip_set_mode('items', 'later')", "55000": "SELECT clip_set_mode('keyless', 'async')"},
    "clip_drain": {"25001": "BEGIN; CALL clip_drain()"},
    "clip_backfill": {"22023": "CALL clip_backfill('items', batch_size => 0)", "25001": "BEGIN; CALL clip_backfill('items')"},
    "clip_change_model": {
        "22004": "CALL clip_change_model('items', NULL)", "55000": "CALL clip_change_model('cleared', 'other')",
        "2BP01": "CALL clip_change_model('seen', 'other')", "42701": "CALL clip_change_model('next', 'other')",
        "0A000": "CALL clip_change_model('parts', 'other')", "25001": "BEGIN; CALL clip_change_model('items', 'other')"},
    "clip_abort_model_change": {"42704": "SELECT clip_abort_model_change('items')"},
}
# What takes damage of files, a full server, another session, policies of others or a large model: other tests have these.
ELSEWHERE = {
    "clip_embed_text": {"58P01", "XX001", "0A000", "53200", "22023"}, "clip_query": {"22000"}, "clip_image_frames": {"54000"},
    "clip_create_table": {"54000"}, "clip_embed_trigger": {"39P01"}, "clip_create_index": {"54000", "55006", "53400"},
    "clip_backfill": {"55006", "42501"}, "clip_change_model": {"55006", "54000"}, "clip_abort_model_change": {"55000", "55006"},
}
TABLES = """
    SELECT clip_create_table('items'), clip_create_table('cleared'), clip_create_table('seen', keep_images => true),
        clip_create_table('next', keep_images => true);
    CREATE VIEW seeing AS SELECT embedding FROM seen;
    ALTER TABLE next ADD COLUMN embedding_next int;
    CREATE TABLE plain (body text, v vector(256), made text GENERATED ALWAYS AS (body || '!') STORED);
    CREATE VIEW view AS SELECT body, v FROM plain;
    CREATE TABLE short (body text, v vector(2));
    CREATE TABLE two (body text, a vector(256), b vector(256));
    SELECT clip_attach('two', 'a', 'body'), clip_attach('two', 'b', 'body');
    CREATE TABLE keyless (body text, v vector(256));
    SELECT clip_attach('keyless', 'v', 'body');
    CREATE TABLE unsized (body text, v vector);
    SELECT clip_attach('unsized', 'v', 'body');
    CREATE TABLE parts (id int, body text, v vector(256)) PARTITION BY LIST (id);
    SELECT clip_attach('parts', 'v', 'body');
    INSERT INTO items (modality, content_ref) VALUES ('text', 'x');
    INSERT INTO keyless VALUES ('x');
    INSERT INTO cleared (modality, content_ref, image) VALUES ('image', 'x', ?);
"""


def provoked(db):
    """What the sections of functions list, and what statements give."""
    for section in re.split(r"^## ", read("docs/reference/functions.md"), flags=re.MULTILINE)[1:]:
        name = section.split()[0]
        listed = {sqlstate for line in section.splitlines() if not re.match(r"\| (?!`[0-9A-Z]{5}`)", line)
                  for sqlstate in re.findall(r"`([0-9A-Z]{5})`", line)}
        statements = PROVOKED.get(name, {})
        compare(f"error of {name}", listed, set(statements) | ELSEWHERE.get(name, set()))
        for sqlstate, sql in statements.items():
            with Session(db) as session:
                session.run("SET client_min_messages = error")
                *before, last = sql.replace("?", IMAGE).split("; ")
                for statement in before:
                    session.run(statement)
                given = session.fails(last)
            if given != sqlstate:
                differences.append(f"error of {name}: {given} instead of {sqlstate}: {sql}")


def helped(*arguments):
    return subprocess.run([pgclip(), *arguments, "--help"], capture_output=True, text=True, check=True).stdout


def command_line():
    page = "docs/reference/cli.md"
    listed = re.search(r"^Commands:\n((?:  .*\n)+)", helped(), re.MULTILINE)[1]
    commands = set(re.findall(r"^  (\w+) ", listed, re.MULTILINE)) - {"help"}
    compare("section of a command", set(re.findall(r"^## pgclip (\w+)$", read(page), re.MULTILINE)), commands)
    documented = {}
    for title, rows in tables(read(page)):
        if title.startswith("pgclip "):
            documented.setdefault(title.split()[1], set()).update(code(row[0])[0] for row in rows[1:] if code(row[0])[0].startswith("--") and rows[0][0] == "argument")
    for command in sorted(commands):
        options = set(re.findall(r"^ {2,6}(?:-\w, )?(--[a-z][a-z0-9-]*)", helped(command), re.MULTILINE)) - {"--help"}
        compare(f"option of pgclip {command}", documented.get(command, set()), options)


def formats():
    """Those that are read, by a build with all of them or without some."""
    listed = re.search(r"An image file to embed \(([^)]+)\)", re.sub(r"\s+", " ", helped("embed")))[1]
    documented = {name for row in rows_under("docs/guide/images.md", "Formats") for name in row[0].split(", ")}
    found = set(re.split(", | and ", listed))
    is_whole = {"AVIF", "HEIC", "JPEG XL", "QOI"} <= found   # one of each feature
    compare("image format", documented if is_whole else documented & found, found)


db = fresh_database("clip_reference")
with Session(db) as session:
    settings(session)
    functions(session)
    views(session)
with golden_models({"other": "tiny-openclip"}) as models:
    subprocess.run([pgclip(), "import", os.path.join(ROOT, "models", "pictograms"), "--model-dir", models], check=True, stdout=subprocess.DEVNULL)
    with Session() as admin:
        admin.run(f"ALTER DATABASE {db} SET clip.model_dir = '{models}'")
        admin.run("DROP ROLE IF EXISTS clip_reference")
        admin.run("CREATE ROLE clip_reference")
    with Session(db) as session:
        session.run("SET client_min_messages = error")
        for statement in TABLES.replace("?", IMAGE).split(";\n"):
            session.run(statement)
    provoked(db)
    with Session() as admin:
        admin.run("DROP ROLE clip_reference")
errors()
command_line()
formats()
assert not differences, "\n".join(differences)
