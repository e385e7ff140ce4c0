#!/usr/bin/env python3
"""pgclip browse: who is let in, what is read of the disk, what a page of another site gets; searches by words and by picture, more like
a row, pages, filters, thumbnails; nothing is written."""
import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import urllib.parse

from demo import PICTURES, TEXTS, command, directory, fill
from pg import Session, fresh_database, pgclip, png, until

db = fresh_database("clip_browse")


@contextlib.contextmanager
def browsing(*words, **env):
    """The port and the path of a server that ends with the block."""
    server = subprocess.Popen([pgclip(), "browse", "-d", db, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              env={**os.environ, **env})
    try:
        line = server.stdout.readline()
        found = re.fullmatch(r"http://127\.0\.0\.1:(\d+)(/[A-Za-z0-9_-]{32}/)\n", line)
        assert found, (line, server.stderr.read())
        yield int(found.group(1)), found.group(2)
    finally:
        server.send_signal(signal.SIGINT)
        assert server.wait(timeout=30) == -signal.SIGINT
        server.stdout.close()
        server.stderr.close()


class Browser:
    """Requests as they are written here: nothing is cleaned up on the way."""

    def __init__(self, port, home):
        self.port, self.home = port, home

    def raw(self, path, method="GET", body=None, headers=None, host=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.putrequest(method, path, skip_host=True)
            for value in [host or f"127.0.0.1:{self.port}"] if not isinstance(host, list) else host:
                connection.putheader("Host", value)
            headers = {**(headers or {}), **({"Content-Length": str(len(body))} if body is not None and "Content-Length" not in (headers or {}) else {})}
            for name, value in headers.items():
                connection.putheader(name, value)
            connection.endheaders(body)
            response = connection.getresponse()
            return response.status, response.headers, response.read()
        finally:
            connection.close()

    def get(self, at="", status=200, **parameters):
        path = self.home + at + ("?" + urllib.parse.urlencode(parameters) if parameters else "")
        given, headers, body = self.raw(path)
        assert given == status, (path, given, body)
        return body

    def search(self, picture=None, status=200, **parameters):
        path = self.home + "search?" + urllib.parse.urlencode(parameters)
        given, _, body = self.raw(path, "GET" if picture is None else "POST", picture)
        assert given == status, (path, given, body)
        return json.loads(body)


with Session(db) as session, directory(60) as (root, names):
    above = os.path.dirname(root)
    session.run("SELECT clip_create_table('items')")
    fill(db, "items", root, names)
    # what lies outside, and ways that seem to lead there
    with open(os.path.join(above, "secret.png"), "wb") as file:
        file.write(png(20, 20))
    os.mkdir(root + "-beside")
    shutil.copy(os.path.join(above, "secret.png"), root + "-beside")
    os.symlink("../secret.png", os.path.join(root, "out.png"))
    os.symlink("..", os.path.join(root, "up"))
    os.symlink(names[0], os.path.join(root, "in.png"))
    os.mkfifo(os.path.join(root, "pipe.png"))
    shutil.copy(os.path.join(root, names[0]), os.path.join(root, "sub", "a b+ü%41&.png"))
    with open(os.path.join(root, "text.png"), "w") as file:
        file.write("no picture")
    with open(os.path.join(root, "huge.png"), "wb") as file:
        file.write(png(1, 1, declared=(60000, 60000)))
    with open(os.path.join(root, "long.png"), "wb") as file:
        file.truncate((64 << 20) + 1)

    with browsing("--table", "items", "--root", root) as (port, home):
        browser = Browser(port, home)

        # the address is the key; other addresses of the machine do not answer
        for path in ("/", "/search?text=x", "/" + "A" * 32 + "/", home[:-2] + "/", home[:-1] + "A/", home.swapcase(), "//" + home[1:], "/thumbnail?name=" + names[0]):
            assert browser.raw(path)[0] == 404, path
        with open("/proc/net/tcp") as sockets:
            listening = [line.split()[1] for line in sockets if line.split()[3] == "0A" and line.split()[1].endswith(f":{port:04X}")]
        assert listening == [f"0100007F:{port:04X}"], listening
        with browsing("--table", "items") as (_, other):
            assert other != home

        # a name that was made to lead here, another site's page, frames
        for host in ("evil.example", f"evil.example:{port}", "127.0.0.1", f"127.0.0.1.evil.example:{port}", f"127.0.0.1:{port}1", f"[::1]:{port}"):
            assert browser.raw(home, host=host)[0] == 403, host
        assert browser.raw(home, host=[])[0] in (400, 403)
        assert browser.raw(home, host=[f"127.0.0.1:{port}", "evil.example"])[0] in (400, 403)
        assert browser.raw(f"http://evil.example{home}")[0] == 403
        assert browser.raw(home, host=f"localhost:{port}")[0] == 200
        for site, status in (("cross-site", 403), ("same-site", 403), ("same-origin", 200), ("none", 200)):
            assert browser.raw(home, headers={"Sec-Fetch-Site": site})[0] == status, site
        link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
        assert browser.raw(home, headers={**link, "Sec-Fetch-Dest": "document"})[0] == 200
        assert browser.raw(home, headers={**link, "Sec-Fetch-Dest": "iframe"})[0] == 403
        for path in (home, home + "search?text=x", home + "thumbnail?name=" + names[0], home + "nothing", "/"):
            _, headers, _ = browser.raw(path, headers={"Origin": "http://evil.example"})
            assert not [name for name in headers if name.lower().startswith("access-control")], path
            policy = headers["Content-Security-Policy"]
            assert "default-src 'self'" in policy and "http" not in policy and "*" not in policy and "unsafe" not in policy
            assert (headers["Referrer-Policy"], headers["X-Content-Type-Options"], headers["X-Frame-Options"]) == ("no-referrer", "nosniff", "DENY")
        for method in ("PUT", "DELETE", "PATCH", "OPTIONS", "POST"):
            assert browser.raw(home + "about", method, b"")[0] == 405, method

        # the page is whole, and takes nothing from elsewhere
        page = browser.get().decode()
        for name in re.findall(r'(?:src|href)="([^"#]+)"', page):
            browser.get(name)
        assert not re.search(r"https?:|style=|onclick|<script>", page)
        about = json.loads(browser.get("about"))
        assert about == {"table": "items", "database": db, "model": "pictograms", "modalities": True, "metadata": True, "files": True, "kept": False}

        # words, filters, words to be found
        answer = browser.search(text="a cow")
        rows = session.run("SELECT content_ref, distance FROM clip_search('items', 'a cow', 24)")
        assert [[row["content_ref"], row["distance"]] for row in answer["rows"]] == [[name, float(distance)] for name, distance in rows]
        assert len(answer["rows"]) == 24 and set(answer["rows"][0]) == {"distance", "modality", "content_ref", "key", "metadata"}
        texts = browser.search(text="red", modality="text")
        assert sorted(row["content_ref"] for row in texts["rows"]) == sorted(TEXTS) and texts["next"] is None
        odd = browser.search(text="a cow", modality="image", filter="parity=odd")
        assert odd["rows"] and all(row["metadata"]["parity"] == "odd" for row in odd["rows"])
        assert len(browser.search(text="a cow", filter='{"number": 7}')["rows"]) == 1
        found = browser.search(text="zebra", words="AX-1037")
        assert "code AX-1037" in [row["content_ref"] for row in found["rows"][:3]] and found["next"] is None

        # pages: every picture once
        seen, after = [], {}
        while True:
            answer = browser.search(text="a cow", modality="image", **after)
            seen += [row["content_ref"] for row in answer["rows"]]
            if not answer["next"]:
                break
            after = {"after": answer["next"]}
        assert sorted(seen) == names and len(seen) == 60

        # by a picture, and like a row, on all pages without the row
        with open(os.path.join(PICTURES, names[9]), "rb") as file:
            picture = file.read()
        rows = browser.search(picture, modality="image")["rows"]
        assert rows[0]["content_ref"] == names[9] and rows[0]["distance"] < 1e-5
        key = rows[0]["key"]
        alike = browser.search(like=key, modality="image")
        assert [row["content_ref"] for row in alike["rows"]] == [row["content_ref"] for row in rows[1:]] and len(alike["rows"]) == 23
        again = browser.search(like=key, modality="image", after=alike["next"])
        assert not {row["key"] for row in again["rows"]} & {row["key"] for row in alike["rows"]} and again["rows"]
        # a text finds its likes, too
        assert browser.search(like=texts["rows"][0]["key"])["rows"]

        # keys as they are: numbers beyond those of a browser, several columns, names and values that need quotes
        session.run('CREATE TABLE "It\'s" ("a b" bigint, "c""d" text, body text, v vector(256), PRIMARY KEY ("c""d", "a b"))')
        session.run("SELECT clip_attach('\"It''s\"', 'v', text_column => 'body')")
        session.run("INSERT INTO \"It's\" VALUES (9007199254740993, E'\\'); DROP TABLE items; --', 'one'), (9007199254740992, 'x', 'two')")
        with browsing("--table", '"It\'s"') as (port2, home2):
            second = Browser(port2, home2)
            assert json.loads(second.get("about"))["files"] is False
            first = second.search(text="one")["rows"][0]
            assert json.loads(first["key"]) == {"a b": 9007199254740993, 'c"d': "'); DROP TABLE items; --"}
            assert [row["content_ref"] for row in second.search(like=first["key"])["rows"]] == ["two"]
            second.get("thumbnail", 404, name=names[0])

        # of a partitioned table; of one with two columns of vectors
        session.run("CREATE TABLE parts (id int PRIMARY KEY, body text, v vector(256), w vector(256)) PARTITION BY RANGE (id)")
        session.run("CREATE TABLE low PARTITION OF parts FOR VALUES FROM (0) TO (10); CREATE TABLE high PARTITION OF parts FOR VALUES FROM (10) TO (20)")
        session.run("SELECT clip_attach('parts', 'v', text_column => 'body')")
        session.run("INSERT INTO parts VALUES (1, 'one'), (11, 'two')")
        with browsing("--table", "parts", "--column", "v") as (port2, home2):
            second = Browser(port2, home2)
            assert [row["content_ref"] for row in second.search(like='{"id": 11}')["rows"]] == ["one"]
        assert 'not embedded in column "w"' in command("browse", "-d", db, "--table", "parts", "--column", "w", status=1)[1]
        session.run("SELECT clip_attach('parts', 'w', text_column => 'body')")
        session.run("INSERT INTO parts VALUES (12, 'three')")
        for column, expected in (("v", 3), ("w", 1)):  # the rows from before have no vector there
            found = command("search", "-d", db, "--table", "parts", "--column", column, "three")[0].splitlines()
            assert len(found) == expected and found[0].endswith("  three"), found
        assert "hint: " in command("search", "-d", db, "--table", "parts", "one", status=1)[1]

        # what cannot be searched for is said, with what to do
        for parameters, message in [
            ({"text": "x", "filter": "{"}, "the filter is no JSON"), ({"text": "x", "modality": "sound"}, "22023"), ({"text": "x", "after": "{}"}, "22023"),
            ({"text": "x", "after": "nothing"}, "22P02"), ({"text": "x", "like": "{}"}, "a search is for"), ({}, "a search is for"), ({"txt": "x"}, "unknown field"),
            ({"like": '{"id": 0}'}, "the row is gone"), ({"like": '{"id": "1 OR true"}'}, "22P02"), ({"like": "x"}, "22P02"), ({"like": '{"i": 1}'}, "the row is gone"),
        ]:
            assert message in browser.search(status=400, **parameters)["error"], parameters
        assert "22P03" in browser.search(b"no picture", 400)["error"]
        assert "22P03" in browser.search(picture[:200], 400)["error"]

        # a picture of any size is refused before it is read; the server goes on
        status, _, _ = browser.raw(home + "search", "POST", b"", {"Content-Length": str(10 << 30)})
        assert status == 413
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        refused = False
        try:
            connection.request("POST", home + "search", (bytes(1 << 20) for _ in range(100)), {"Host": f"127.0.0.1:{port}"}, encode_chunked=True)
            refused = connection.getresponse().status == 413
        except (BrokenPipeError, ConnectionResetError):
            refused = True  # it did not wait for the rest
        finally:
            connection.close()
        assert refused
        browser.get("about")

        # nor does it mind who is gone before the answer comes
        for parameters in ({"text": "gone"}, {"text": "a cow", "modality": "image"}, {"text": "red"}) * 10:
            with socket.create_connection(("127.0.0.1", port)) as gone:
                request = f"GET {home}search?{urllib.parse.urlencode(parameters)} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n"
                gone.sendall(request.encode() * 20)
        browser.get("about")

        # thumbnails: JPEGs of files below the root, upright and small
        for name in (names[0], "in.png", "./" + names[0], "sub/a b+ü%41&.png"):
            jpeg = browser.get("thumbnail", name=name)
            assert jpeg.startswith(b"\xff\xd8\xff") and jpeg == browser.get("thumbnail", name=name), name
        outside = ["../secret.png", "sub/../../secret.png", "..", ".", "", "/", os.path.join(above, "secret.png"), "out.png", "up/secret.png", "../root-beside/secret.png",
                   "sub/../" + names[0], "pipe.png", "sub", "nothing.png", names[0] + "\0", "\0", "%2e%2e/secret.png", "..\\secret.png", "/etc/passwd", "/proc/self/environ"]
        for name in outside:
            assert b"no such picture" in browser.get("thumbnail", 404, name=name), name
        for path in ("%2e%2e/secret.png", "%2e%2e%2fsecret.png", "..%2fsecret.png", "%252e%252e/secret.png", "..%00"):
            assert browser.raw(f"{home}thumbnail?name={path}")[0] in (400, 404), path
        for path in ("../secret.png", "thumbnail/../../secret.png", "%2e%2e/secret.png", names[0], "thumbnail/" + names[0], "style.css/"):
            assert browser.raw(home + path)[0] == 404, path
        for name in ("text.png", "huge.png", "long.png"):
            browser.get("thumbnail", 422, name=name)
        for path in ("thumbnail", "thumbnail?name=a&name=b", "thumbnail?other=x"):
            assert browser.raw(home + path)[0] == 400, path
        # a file that is written anew is another picture
        before = browser.get("thumbnail", name=names[1])
        shutil.copy(os.path.join(PICTURES, names[2]), os.path.join(root, names[1]))
        assert browser.get("thumbnail", name=names[1]) == browser.get("thumbnail", name=names[2]) != before

        # pictures that are kept in the table need no file
        session.run("SELECT clip_create_table('kept', keep_images => true)")
        fill(db, "kept", root, names[:3])
        with browsing("--table", "kept") as (port2, home2):
            second = Browser(port2, home2)
            told = json.loads(second.get("about"))
            assert told["kept"] and not told["files"]
            found = {row["content_ref"]: row["key"] for row in second.search(text="a cow")["rows"]}
            assert second.get("thumbnail", key=found[names[0]]) == browser.get("thumbnail", name=names[0])
            assert len(found) == 3 + len(TEXTS)
            for key in (found[TEXTS[0]], '{"id": 0}', '{"id": "0 OR true"}', "x"):
                second.get("thumbnail", 404, key=key)
            second.get("thumbnail", 400, key=found[names[0]], name=names[0])
        browser.get("thumbnail", 404, key=key)

        # nothing is written: neither by what is asked, nor by what the table's own code would do
        session.run("CREATE FUNCTION note() RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$ BEGIN INSERT INTO notes VALUES (1); RETURN true; END $$")
        session.run("CREATE TABLE notes (n int); ALTER TABLE items ENABLE ROW LEVEL SECURITY; ALTER TABLE items FORCE ROW LEVEL SECURITY; "
                    "CREATE POLICY noting ON items USING (note()); CREATE ROLE clip_browse_reader LOGIN; GRANT SELECT ON items TO clip_browse_reader; "
                    "GRANT ALL ON notes TO clip_browse_reader")
        try:
            with browsing("--table", "items", PGUSER="clip_browse_reader") as (port2, home2):
                assert "25006" in Browser(port2, home2).search(status=400, text="x")["error"]
            assert session.one("SELECT count(*) FROM notes") == "0"
        finally:
            session.run("DROP OWNED BY clip_browse_reader; DROP ROLE clip_browse_reader; DROP POLICY noting ON items; ALTER TABLE items DISABLE ROW LEVEL SECURITY")
        mine = "FROM pg_stat_activity WHERE application_name = 'pgclip' AND datname = current_database()"
        # those of servers that have ended may end later
        until(lambda: 1 <= int(session.one(f"SELECT count(*) {mine}")) <= 4, what="four connections at most")

        # connections that the server ends are made anew
        session.run(f"SELECT pg_terminate_backend(pid) {mine}")
        until(lambda: session.one(f"SELECT count(*) {mine}") == "0")
        assert len(browser.search(text="a cow")["rows"]) == 24

    # a search that takes too long is ended
    session.run("CREATE FUNCTION slow() RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$ BEGIN PERFORM pg_sleep(5); RETURN true; END $$")
    session.run("CREATE TABLE late (id int PRIMARY KEY, body text, v vector(256)); SELECT clip_attach('late', 'v', text_column => 'body'); "
                "INSERT INTO late VALUES (1, 'x'); ALTER TABLE late ENABLE ROW LEVEL SECURITY; CREATE POLICY slow ON late USING (slow()); "
                "CREATE ROLE clip_browse_reader LOGIN; GRANT SELECT ON late TO clip_browse_reader")
    try:
        with browsing("--table", "late", "--timeout", "1", PGUSER="clip_browse_reader") as (port, home):
            assert "57014" in Browser(port, home).search(status=400, text="x")["error"]
    finally:
        session.run("DROP OWNED BY clip_browse_reader; DROP ROLE clip_browse_reader")

    # a browser is told the address by a file that nobody else may read, not by its command line
    programs, told = os.path.join(above, "bin"), os.path.join(above, "told")
    os.mkdir(programs)
    with open(os.path.join(programs, "xdg-open"), "w") as script:
        script.write(f'#!/bin/sh\necho "$*" > {told}.part; stat -c %a "$1" >> {told}.part; cat "$1" >> {told}.part; mv {told}.part {told}\n')
    os.chmod(os.path.join(programs, "xdg-open"), 0o755)
    with browsing("--table", "items", "--open", DISPLAY=":99", PATH=f"{programs}:{os.environ['PATH']}", TMPDIR=above) as (port, home):
        until(lambda: os.path.exists(told))
        with open(told) as file:
            words, mode, page = file.read().splitlines()
    assert words.startswith(above) and home not in words and mode == "600" and f"http://127.0.0.1:{port}{home}" in page

    # errors, with what to do, before an address is printed
    for words, message in [(("-d", db, "-t", "nothing"), "pgclip status"), (("-d", db, "-t", "pg_class"), "pgclip status"), (("-d", "template1", "-t", "items"), "CREATE EXTENSION"),
                           (("-d", db, "-t", "items", "--root", os.path.join(root, names[0])), "is no directory")]:
        out, err = command("browse", *words, status=1)
        assert out == "" and "hint: " in err and message in err, err
    with browsing("-t", "items") as (port, _):
        assert "could not listen" in command("browse", "-d", db, "-t", "items", "--port", str(port), status=1)[1]

with Session() as admin:
    until(lambda: admin.one(f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{db}'") == "0")
    admin.run(f"DROP DATABASE {db}")
print(f"{len(names)} pictures: who is let in, {len(outside)} names that lead elsewhere, searches, pages and thumbnails")
