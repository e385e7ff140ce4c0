#!/usr/bin/env python3
"""pgclip search: what clip_search gives, as lines, JSON, a sheet or a page; names that a terminal or a browser would obey; errors with
what to do."""
import json
import os
import pty
import re
import termios
import time

from demo import PICTURES, TEXTS, command, directory, fill
from pg import Session, fresh_database, pgclip, png

db = fresh_database("clip_search_command")
with Session(db) as session, directory(40) as (root, names):
    session.run("SELECT clip_create_table('items')")
    fill(db, "items", root, names)

    def search(*words, **options):
        return command("search", "-d", db, "--table", "items", *words, **options)

    # the rows of the function, in its order
    out, err = search("a cow", "--limit", "7")
    rows = session.run("SELECT round(distance::numeric, 4), modality, content_ref FROM clip_search('items', 'a cow', 7)")
    assert [re.split("  +", line) for line in out.splitlines()] == rows and err == "", (out, rows)
    lines = [json.loads(line) for line in search("a cow", "--json", "--modality", "image")[0].splitlines()]
    assert len(lines) == 10 and all(line["modality"] == "image" and line["content_ref"] in names for line in lines)
    assert lines[0]["metadata"]["number"] == names.index(lines[0]["content_ref"])
    assert lines[0]["key"] == {"id": int(session.one(f"SELECT id FROM items WHERE content_ref = '{lines[0]['content_ref']}'"))}
    assert [line["distance"] for line in lines] == sorted(line["distance"] for line in lines)

    # by a picture, which is nearest to itself; with a filter in both forms; with words; within a distance
    path = os.path.join(PICTURES, names[7])
    assert search("--image", path, "--limit", "1")[0].split() == ["0.0000", "image", names[7]]
    for filters in ('{"parity": "odd"}', "parity=odd", "parity=odd, number=7"):
        found = [json.loads(line) for line in search("a cow", "--json", "--filter", filters)[0].splitlines()]
        assert found and all(line["metadata"]["parity"] == "odd" for line in found)
    assert len(found) == 1
    assert "code AX-1037" in search("zebra", "--words", "AX-1037", "--limit", "2")[0]
    out, err = search("a cow", "--max-distance", "0.0000001")
    assert out == "" and err == "pgclip: no rows\n"
    assert len(search("-5 degrees", "--limit", "1")[0].splitlines()) == 1

    # no terminal and no browser has anything to obey
    out = search("red", "--modality", "text", "--limit", "100")[0]
    assert "\\u{1b}[31mred\\u{1b}[0m and <b>bold</b> \\u{202e}txt" in out and "\x1b" not in out
    out = search("red", "--root", root, "--open", DISPLAY="", WAYLAND_DISPLAY="", TMPDIR=os.path.dirname(root))[0]
    page = out.splitlines()[-1]
    assert os.path.dirname(page) == os.path.dirname(root) and os.stat(page).st_mode & 0o077 == 0
    with open(page) as file:
        html = file.read()
    assert "<b>" not in html and "<script" not in html and html.count("src=\"data:image/jpeg;base64,") == html.count("<img ") > 0
    assert "default-src 'none'" in html

    # a sheet: of pictures alone, in each way; what is not below the root is not shown
    pictures = search("a cow", "--root", root, "--limit", "3", "--modality", "image")[0]
    marks = {"kitty": "\x1b_Ga=T,", "iterm": "\x1b]1337;File=inline=1", "sixel": "\x1bP0;1q", "blocks": "▀", "auto": "▀"}
    for way, mark in marks.items():
        out, err = search("a cow", "--root", root, f"--sheet={way}", "--limit", "3", "--modality", "image")
        assert mark in out and out.endswith(pictures) and err == "", way
    assert "\x1b" not in pictures, "a sheet without a terminal that nobody asked for"
    # on a terminal, what it says that it can; one that says nothing is not waited for; its mode is what it was
    def on_terminal(answer, **env):
        words = [pgclip(), "search", "-d", db, "-t", "items", "a cow", "--modality", "image", "--limit", "3", "--root", root]
        child, terminal = pty.fork()
        if child == 0:
            os.execve(words[0], words, {**os.environ, "TERM_PROGRAM": "", "LC_TERMINAL": "", "COLORTERM": "truecolor", **env})
        mode, said, begin = termios.tcgetattr(terminal), b"", time.monotonic()
        while part := read(terminal):
            said += part
            if said.endswith(b"\x1b[c") and answer:
                os.write(terminal, answer)
        after = termios.tcgetattr(terminal)
        os.close(terminal)
        assert os.waitpid(child, 0)[1] == 0 and time.monotonic() - begin < 10 and mode == after, said[-500:]
        return said.decode().replace("\r\n", "\n")

    def read(terminal):
        try:
            return os.read(terminal, 65536)
        except OSError:  # the child is gone
            return b""

    for answer, env, mark in [(b"\x1b_Gi=31;OK\x1b\\\x1b[6;20;10t\x1b[?62;4c", {}, marks["kitty"]), (b"\x1b[6;17;8t\x1b[?62;4;22c", {}, marks["sixel"]),
                              (b"\x1b[?62;22c", {"TERM_PROGRAM": "WezTerm"}, marks["iterm"]), (b"\x1b[?62;22c", {}, "\x1b[38;2;"), (None, {}, "\x1b[38;2;"),
                              (b"\x1b[?1;2c", {"COLORTERM": ""}, "\x1b[38;5;")]:
        shown = on_terminal(answer, **env)
        assert mark in shown and shown.endswith(pictures), (answer, shown[-300:])

    with open(os.path.join(os.path.dirname(root), "secret.png"), "wb") as file:
        file.write(png(20, 20))
    os.symlink("../secret.png", os.path.join(root, "link.png"))
    secret = os.path.join(os.path.dirname(root), "secret.png")
    session.run("SELECT clip_create_table('strange')")
    fill(db, "strange", root, names[:1])
    for name in ("../secret.png", "sub/../../secret.png", secret, "link.png", "sub", "nothing.png"):
        session.run(f"UPDATE strange SET content_ref = '{name}' WHERE modality = 'image'")
        out, err = command("search", "-d", db, "-t", "strange", "x", "--modality", "image", "--root", root, "--sheet")
        assert "▀" not in out and "1 of the pictures could not be shown" in err, (name, out, err)

    # errors, with what to do
    for words, message, hint in [
        (("--table", "nothing", "x"), 'relation "nothing" does not exist (42P01)', "pgclip status"),
        (("--table", "pg_class", "x"), "42704", "clip_attach"),
        (("--table", "items", "x", "--filter", "{a"), "the filter is no JSON", "album=holiday"),
        (("--table", "items", "x", "--filter", "odd"), '"odd" is no pair', "album=holiday"),
        (("--table", "items", "--image", root), "could not read", None),
        (("--table", "items", "x", "--root", os.path.join(root, names[0])), "is no directory", "--root"),
    ]:
        err = command("search", "-d", db, *words, status=1)[1]
        assert message in err and (hint is None or f"hint: " in err and hint in err), err
    assert "CREATE EXTENSION pg_clip CASCADE" in command("search", "-d", "template1", "-t", "items", "x", status=1)[1]
    assert "hint: Name the server" in command("search", "-t", "items", "x", status=1, PGHOST="/nowhere")[1]
    for words in (("x",), ("-t", "items"), ("-t", "items", "x", "--image", "y"), ("-t", "items", "x", "--sheet"), ("-t", "items", "x", "--limit", "0")):
        command("search", "-d", db, *words, status=2)
    session.run("CREATE ROLE stranger_to_items LOGIN")
    try:
        assert "permission denied for table items (42501)" in search("x", status=1, PGUSER="stranger_to_items")[1]
    finally:
        session.run("DROP ROLE stranger_to_items")

    # the extension and pgvector in schemas of their own
    away = fresh_database("clip_search_away")
    with Session(away) as other:
        other.run("DROP EXTENSION pg_clip CASCADE; DROP EXTENSION vector; CREATE SCHEMA \"a b\"; CREATE SCHEMA c")
        other.run("CREATE EXTENSION vector SCHEMA c; CREATE EXTENSION pg_clip SCHEMA \"a b\"")
        other.run("CREATE SCHEMA shop; SET search_path = shop, \"a b\", c; SELECT clip_create_table('items')")
        other.run("INSERT INTO items (modality, content_ref) VALUES ('text', 'here')")
    assert command("search", "-d", away, "-t", "shop.items", "here")[0] == "0.0000  text      here\n"
with Session() as admin:
    admin.run(f"DROP DATABASE {db}; DROP DATABASE {away}")
print(f"{len(TEXTS)} texts and 40 pictures: lines, JSON, sheets, a page and errors")
