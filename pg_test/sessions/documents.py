"""The SQL of README.md, as a reader would copy it."""
import os
import re

from pg import ROOT

# a quoted string, a dollar-quoted one, a comment, the end of a statement
TOKEN = re.compile(r"'(?:[^']|'')*'|\$(\w*)\$.*?\$\1\$|--[^\n]*|;", re.DOTALL)


def blocks(text):
    """(heading, SQL) of each fenced block of SQL."""
    heading, block = "", None
    for line in text.splitlines():
        if block is not None:
            if line.strip() == "```":
                yield heading, "\n".join(block)
                block = None
            else:
                block.append(line)
        elif line.strip() == "```sql":
            block = []
        elif line.startswith("#"):
            heading = line.lstrip("#").strip()
    assert block is None, f"a block of SQL under {heading!r} does not end"


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


def readme():
    """(heading, statement) of README.md."""
    with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as file:
        return [(heading, statement) for heading, sql in blocks(file.read()) for statement in statements(sql)]


def with_parameter(statement, value):
    """`$1`, and `$1::bytea`, are an image's bytes."""
    return re.sub(r"\$1\b(?:::bytea)?", lambda _: value, statement)
