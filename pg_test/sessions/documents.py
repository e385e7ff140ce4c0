"""The SQL of README.md and docs/, as a reader would copy it."""
import glob
import os
import re

from pg import ROOT

# a quoted string, a dollar-quoted one, a comment, the end of a statement
TOKEN = re.compile(r"'(?:[^']|'')*'|\$(\w*)\$.*?\$\1\$|--[^\n]*|;", re.DOTALL)
IGNORED = "sql,ignore"


def blocks(text):
    """(heading, what the fence says, SQL) of each fenced block of SQL."""
    heading, block, info = "", None, ""
    for line in text.splitlines():
        if block is not None:
            if line.strip() == "```":
                if info.split(",")[0] == "sql":
                    yield heading, info, "\n".join(block)
                block = None
            else:
                block.append(line)
        elif line.strip().startswith("```"):
            info, block = line.strip().strip("`"), []
        elif line.startswith("#"):
            heading = line.lstrip("#").strip()
    assert block is None, f"a block under {heading!r} does not end"


def statements(sql):
    """Each without its comments and its semicolon."""
    found, begin, at = [], 0, ""
    for token in TOKEN.finditer(sql):
        if token[0].startswith("--"):
            at, begin = at + sql[begin:token.start()], token.end()
        elif token[0] == ";":
            found.append(at + sql[begin:token.start()])
            at, begin = "", token.end()
    found.append(at + sql[begin:])
    return [statement.strip() for statement in found if statement.strip()]


def read(page):
    with open(os.path.join(ROOT, page), encoding="utf-8") as file:
        return file.read()


def pages():
    """Those whose SQL can be run, README.md first."""
    found = [os.path.join(ROOT, "docs", f"{name}.md") for name in ("operations", "troubleshooting")]
    for folder in ("guide", "models", "reference"):
        found += sorted(glob.glob(os.path.join(ROOT, "docs", folder, "*.md")))
    return ["README.md"] + [os.path.relpath(page, ROOT) for page in found]


def sql_of(page):
    """(heading, statement) of a page, but for blocks that are marked as not to be run."""
    return [(heading, statement) for heading, info, sql in blocks(read(page)) if info != IGNORED for statement in statements(sql)]


def ignored(page):
    """Blocks that are not run: each begins with the reason."""
    return [sql for _, info, sql in blocks(read(page)) if info == IGNORED]


def with_parameter(statement, value):
    """`$1`, and `$1::bytea`, are an image's bytes."""
    return re.sub(r"\$1\b(?:::bytea)?", lambda _: value, statement)


def next_page(statement):
    """With the cursor of the page before, where the statement asks for the next."""
    before = re.search(r"clip_search\((.*), after => \$\d\)", statement)
    cursor = before and f"(SELECT cursor FROM clip_search({before[1]}) ORDER BY rank DESC LIMIT 1)"
    return re.sub(r"after => \$\d", lambda _: f"after => {cursor}", statement)


def tables(text):
    """(heading, rows) of each table, a row being its cells, without the line below the head."""
    heading, rows = "", []
    for line in [*text.splitlines(), ""]:
        if line.startswith("|"):
            cells = [cell.strip() for cell in line.strip().strip("|").split(" | ")]
            if not re.fullmatch(r"[-|: ]+", line):
                rows.append([cell.strip("| ") for cell in cells])
            continue
        if rows:
            yield heading, rows
            rows = []
        if line.startswith("#"):
            heading = line.lstrip("#").strip()
