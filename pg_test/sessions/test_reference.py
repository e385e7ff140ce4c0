#!/usr/bin/env python3
"""The reference of docs/reference says what there is: settings, functions, views, SQLSTATEs, and the command line's options."""
import glob
import os
import re
import subprocess

from documents import read, tables
from pg import ROOT, Session, fresh_database, pgclip

CONTEXTS = {"user": "any user", "superuser": "superuser", "sighup": "configuration file", "postmaster": "server start"}
# Of the SQL layer's own, in words: what an error is may be said by its condition.
FORMS = (r"ERRCODE_([A-Z_]+)", r"ERRCODE = '(\w+)'")
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
    sqlstates, conditions = {}, {}
    with open(os.path.join(share, "errcodes.txt"), encoding="utf-8") as file:
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


with Session(fresh_database("clip_reference")) as session:
    settings(session)
    functions(session)
    views(session)
errors()
command_line()
assert not differences, "\n".join(differences)
