#!/usr/bin/env python3
"""`pgclip load`: the table is what the tree is, after kills, changes and removals, by workers, by a drain, in mode sync, and with vectors
that the program computes. For measuring, PG_CLIP_FILES sets how many pictures, PG_CLIP_LARGE how many of 63 MB beside them."""
import json
import os
import random
import shutil
import signal
import struct
import subprocess
import tarfile
import tempfile
import time

from pg import Session, fresh_database, pgclip, png_of, until
from rows import pictures

FILES = int(os.environ.get("PG_CLIP_FILES", 400))
LARGE = int(os.environ.get("PG_CLIP_LARGE", 0))


def load(tree, db, *words, status=0, stdin=None):
    """The report, of JSON."""
    ran = subprocess.run([pgclip(), "load", "--json", "-d", db, "-t", "photos", *words], cwd=tree, input=stdin, capture_output=True)
    assert ran.returncode == status, (words, ran.returncode, ran.stdout, ran.stderr)
    return json.loads(ran.stdout) if ran.stdout else ran.stderr.decode()


def counts(report):
    return [report[key] for key in ("new", "changed", "unchanged", "deleted")] + [len(report["failures"])]


def told(report):
    return {failure["file"]: failure["reason"] for failure in report["failures"]}


def write(path, data):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(data)


def bmp(width, height, seed):
    """The largest kind of file: 24 bits a pixel, not compressed."""
    row = random.Random(seed).randbytes(3 * width)
    size = 54 + len(row) * height
    return struct.pack("<2sIHHIIiiHHIIiiII", b"BM", size, 0, 0, 54, 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0) + row * height


def make_tree(tree):
    """Pictures in folders, odd names, duplicates, broken ones, links. Gives the names that rows have."""
    names = []
    for i, data in enumerate(pictures(FILES)):
        names.append(f"{i % 7}/{i % 11}/p{i}.png")
        write(os.path.join(tree, names[-1]), data)
    first = open(os.path.join(tree, names[0]), "rb").read()
    for odd in ("odd/two\nlines.png", "odd/quote'\"\\.PNG", "odd/ü 😀.png", "odd/%41.png", "odd/-n.png", "odd/same.jpg"):
        names.append(odd)
        write(os.path.join(tree, odd), first)
    for i in range(LARGE):
        names.append(f"large/{i}.bmp")
        write(os.path.join(tree, names[-1]), bmp(4500, 4670, i))
    write(os.path.join(tree, "notes.txt"), b"no picture by its name")
    write(os.path.join(tree, ".hidden/p.png"), first)
    write(os.path.join(tree, "skipped/p.png"), first)
    write(os.path.join(tree, ".ignore"), b"skipped/\n")
    os.symlink(os.path.join(tree, "odd"), os.path.join(tree, "link"))
    os.symlink(tree, os.path.join(tree, "loop"))
    return sorted(names)


def rows(session):
    """The names of the pictures, in order."""
    return json.loads(session.one("SELECT coalesce(json_agg(content_ref ORDER BY content_ref COLLATE \"C\"), '[]') FROM photos WHERE modality = 'image'"))


def by_bytes(names):
    return sorted(names, key=str.encode)


def killed_in_the_middle(tree, db, session):
    """SIGKILL once some more rows are there; the same command goes on."""
    before = int(session.one("SELECT count(*) FROM photos"))
    running = subprocess.Popen([pgclip(), "load", "-d", db, "-t", "photos", "--connections", "1", "."], cwd=tree,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until(lambda: int(session.one("SELECT count(*) FROM photos")) > before or running.poll() is not None, what="rows of a load")
    running.send_signal(signal.SIGKILL)
    return running.wait() == -signal.SIGKILL


def kills_and_changes(tree, db, names):
    with Session(db) as session:
        # what is dry makes nothing
        assert counts(load(tree, db, "-n", ".")) == [len(names), 0, 0, 0, 0]
        assert session.one("SELECT to_regclass('photos') IS NULL") == "t"
        session.run("SELECT clip_create_table('photos', mode => 'async')")
        kills = sum(killed_in_the_middle(tree, db, session) for _ in range(3))
        assert kills > 0, "no load could be killed in its middle"
        report = load(tree, db, ".")
        assert report["new"] + report["unchanged"] == len(names) and report["waiting"] == 0 and not report["failures"], report
        assert rows(session) == by_bytes(names)
        # nobody else works here: the program had the server do it
        assert session.one("SELECT count(*) FROM photos WHERE embedding IS NULL OR image IS NOT NULL") == "0"
        assert session.one("SELECT count(*) FROM clip.queue") == "0"
        facts = json.loads(session.one(f"SELECT metadata FROM photos WHERE content_ref = '{names[0]}'"))
        stat = os.stat(os.path.join(tree, names[0]))
        assert (facts["size"], facts["width"], facts["height"], len(facts["sha256"])) == (stat.st_size, 48, 36, 64), facts
        assert facts["mtime"].startswith(time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(stat.st_mtime))), facts

        # nothing is new; a file that was only touched is not embedded anew, and what a user wrote stays
        session.run(f"UPDATE photos SET metadata = metadata || '{{\"mine\": 1}}' WHERE content_ref IN ('{names[0]}', '{names[1]}')")
        vectors = session.one("SELECT md5(string_agg(embedding::text, '' ORDER BY id)) FROM photos")
        os.utime(os.path.join(tree, names[0]), (1, 1))
        assert counts(load(tree, db, ".")) == [0, 0, len(names), 0, 0]
        assert session.one("SELECT md5(string_agg(embedding::text, '' ORDER BY id)) FROM photos") == vectors
        assert session.one(f"SELECT metadata->>'mtime' || (metadata->>'mine') FROM photos WHERE content_ref = '{names[0]}'") == "1970-01-01T00:00:01Z1"
        # unless its time is as before: then only its content tells
        path = os.path.join(tree, names[1])
        stat, data = os.stat(path), bytearray(open(path, "rb").read())
        other = open(os.path.join(tree, names[2]), "rb").read()
        write(path, (other + bytes(stat.st_size))[:stat.st_size] if len(other) < stat.st_size else bytes(data))
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        assert counts(load(tree, db, "."))[1] == 0
        assert counts(load(tree, db, "--checksum", "."))[1] == (len(other) < stat.st_size)

        # one changed, one gone, one new, some broken
        write(os.path.join(tree, names[3]), open(os.path.join(tree, names[4]), "rb").read())
        os.remove(os.path.join(tree, names[5]))
        write(os.path.join(tree, "new.png"), other)
        write(os.path.join(tree, "cut.png"), other[:-30])
        write(os.path.join(tree, "text.jpg"), b"<html>")
        os.symlink("nowhere", os.path.join(tree, "gone.png"))
        now = by_bytes(set(names) - {names[5]} | {"new.png", "cut.png", "text.jpg"})
        dry = load(tree, db, "--dry-run", "--delete", ".")
        assert counts(dry) == [3, 1, len(names) - 2, 1, 0], dry
        report = load(tree, db, "--delete", ".", status=3)
        assert counts(report) == [3, 1, len(names) - 2, 1, 2], report
        assert "truncated" in told(report)["cut.png"] and "22P03" in told(report)["text.jpg"], report
        assert rows(session) == now
        same = "SELECT count(DISTINCT embedding::text) FROM photos WHERE content_ref IN (%s)"
        assert session.one(same % f"'{names[3]}', '{names[4]}'") == "1", "a changed picture kept its vector"
        # failures are told until their files are mended
        write(os.path.join(tree, "cut.png"), other)
        os.remove(os.path.join(tree, "text.jpg"))
        report = load(tree, db, "--delete", ".")
        assert counts(report) == [0, 1, len(now) - 2, 1, 0], report
        assert session.one("SELECT count(*) FROM clip_failures") == "0"

        # of another folder nothing is removed, nor what nobody loaded
        session.run("INSERT INTO photos (modality, content_ref, embedding) SELECT 'image', '0/mine.png', embedding FROM photos LIMIT 1")
        assert counts(load(tree, db, "--delete", "odd"))[3] == 0
        assert counts(load(tree, db, "--delete", "0"))[3] == 0
        shutil.rmtree(os.path.join(tree, "0"))
        os.mkdir(os.path.join(tree, "0"))
        assert load(tree, db, "--delete", "0")["deleted"] > 0
        assert [name for name in rows(session) if name.startswith("0/")] == ["0/mine.png"]


def which_files(tree, db):
    with Session(db) as session:
        session.run("TRUNCATE photos")
        assert counts(load(tree, db, "-g", "odd/*.PNG", "."))[0] == 1
        assert counts(load(tree, db, "--hidden", "--no-ignore", "-g", "p.png", "."))[0] == 2
        assert counts(load(tree, db, "--follow", "link"))[0] == 6
        # each loop is told
        assert any("loop" in failure for failure in told(load(tree, db, "--follow", "-g", "!*", ".", status=3)).values())
        listed = b"odd/-n.png\0./odd/%41.png\0odd/missing.png\0odd\0"
        report = load(tree, db, "-0", "-", stdin=listed, status=3)
        assert counts(report) == [2, 0, 0, 0, 2], report
        assert "does not lie below" in load(tree, db, "/usr/share", status=1)
        assert "--delete needs" in load(tree, db, "--delete", "odd/-n.png", status=1)
        # names of URLs
        session.run("TRUNCATE photos")
        write(os.path.join(tree, "odd").encode() + b"/\xff.png", open(os.path.join(tree, "odd/-n.png"), "rb").read())
        assert "UTF-8" in list(told(load(tree, db, "odd", status=3)).values())[0]
        load(tree, db, "--url-prefix", "https://cdn.example/x", "odd")
        urls = [name for name in rows(session) if name.startswith("https")]
        assert "https://cdn.example/x/odd/%FF.png" in urls and "https://cdn.example/x/odd/two%0Alines.png" in urls, urls
        # archives, whose members are read where they lie
        session.run("TRUNCATE photos")
        for name, mode in (("a.tar", "w"), ("b.tgz", "w:gz")):
            with tarfile.open(os.path.join(tree, name), mode) as archive:
                archive.add(os.path.join(tree, "1"), "one")
        count = sum(len(files) for _, _, files in os.walk(os.path.join(tree, "1")))
        assert counts(load(tree, db, "a.tar", "b.tgz")) == [2 * count, 0, 0, 0, 0]
        assert counts(load(tree, db, "a.tar", "b.tgz")) == [0, 0, 2 * count, 0, 0]
        assert rows(session)[0].startswith("a.tar/one/")
        assert session.one("SELECT count(DISTINCT embedding::text) * 2 = count(*) FROM photos") == "t"
        with open(os.path.join(tree, "cut.tar"), "wb") as cut, open(os.path.join(tree, "a.tar"), "rb") as whole:
            cut.write(whole.read()[:3000])
        load(tree, db, "cut.tar", status=3)


def texts(tree, db):
    with Session(db) as session:
        session.run("TRUNCATE photos")
        write(os.path.join(tree, "t.csv"), 'text,lang,n\n"a cat",en,1\n"eine ""Katze""\nzu Haus",de,2\n"a cat",en,1\n"a cat",en,2\n'.encode())
        write(os.path.join(tree, "t.jsonl"), b'{"text": "a dog", "n": 1.50, "tags": ["a", {"b": 1e3}]}\n"plain"\n\n{"n": 1}\n"nul\\u0000"\n')
        report = load(tree, db, "t.csv", "t.jsonl", status=3)
        assert counts(report) == [5, 0, 1, 0, 2] and told(report)["t.jsonl:4"] == 'no key "text"', report
        assert counts(load(tree, db, "t.csv", "t.jsonl", status=3)) == [0, 0, 6, 0, 2]
        assert session.one("SELECT count(*) FROM photos WHERE embedding IS NULL") == "0"
        assert session.one("SELECT metadata->>'source' || (metadata->>'lang') FROM photos WHERE content_ref LIKE 'eine%'") == "t.csvde"
        write(os.path.join(tree, "t.csv"), b'\xef\xbb\xbftext,lang,n\n"a cat",en,1\n"a bird",en,1\n')
        assert counts(load(tree, db, "--delete", "t.csv")) == [1, 0, 1, 2, 0]
        # a file that is damaged says nothing of what is gone
        write(os.path.join(tree, "t.csv"), b'text,lang,n\n"a cat",en\n')
        assert counts(load(tree, db, "--delete", "t.csv", status=3)) == [0, 0, 0, 0, 1]
        assert "--text-column" in load(tree, db, "--text-column", "caption", "t.csv", status=1)


def modes(tree, db, models):
    """In mode sync a bad file fails by itself; vectors from here are the server's."""
    here = ["--embed-here", "--model-dir", models]
    with Session(db) as session:
        names = None
        for options, words in (("mode => 'sync'", []), ("mode => 'sync'", here), ("mode => 'async'", here),
                               ("mode => 'async', type => 'halfvec'", here), ("mode => 'async', keep_images => true", here)):
            session.run("DROP TABLE photos")
            session.run(f"SELECT clip_create_table('photos', {options})")
            report = load(tree, db, *words, "1", "bad", "t.jsonl", status=3)
            assert len(report["failures"]) == 4, (options, words, report)
            assert session.one("SELECT count(*) FROM clip.queue") == "0"
            found = session.run("SELECT content_ref, embedding::vector FROM photos ORDER BY content_ref COLLATE \"C\"")
            names = names or found
            assert [row[0] for row in found] == [row[0] for row in names], (options, words)
            for (name, one), (_, other) in zip(names, found):
                apart = max(abs(a - b) for a, b in zip(json.loads(one), json.loads(other)))
                assert apart < (1e-3 if "halfvec" in options else 1e-6), (options, words, name, apart)
        assert session.one("SELECT count(image) > 0 FROM photos") == "t"
        session.run("SELECT clip_set_mode('photos', 'sync')")
        assert "clip_set_mode" in load(tree, db, *here, "1", status=1)
        # a change that is embedded here
        session.run("DROP TABLE photos")
        session.run("SELECT clip_create_table('photos', mode => 'async')")
        load(tree, db, *here, "1")
        one, other = sorted(os.listdir(os.path.join(tree, "1", "1")))[:2]
        write(os.path.join(tree, "1", "1", one), open(os.path.join(tree, "1", "1", other), "rb").read())
        assert counts(load(tree, db, *here, "1"))[1] == 1
        assert session.one(f"SELECT count(DISTINCT embedding::text) FROM photos WHERE content_ref IN ('1/1/{one}', '1/1/{other}')") == "1"


def side_by_side(tree, db):
    """Two loads of one part are refused, of two parts go; who may not write is told."""
    with Session(db) as holder, Session(db) as session:
        session.run("TRUNCATE photos")
        oid = session.one("SELECT 'photos'::regclass::oid")
        holder.run(f"BEGIN; SELECT pg_advisory_xact_lock({oid}, hashtext('pgclip load 1')), pg_advisory_xact_lock_shared({oid}, hashtext('pgclip load '))")
        for part in ("1", "."):
            assert "under way" in load(tree, db, part, status=1)
        load(tree, db, "odd", status=3)
        holder.run("ROLLBACK")
        session.run("DROP ROLE IF EXISTS clip_loader")
        session.run("CREATE ROLE clip_loader LOGIN")
        assert "42501" in load(tree, f"dbname={db} user=clip_loader", "1", status=1)
        session.run("GRANT SELECT, INSERT, UPDATE ON photos TO clip_loader")
        # the queue is its owner's to drain
        report = load(tree, f"dbname={db} user=clip_loader", "1")
        assert report["new"] > 0 and report["waiting"] == report["new"], report
        session.run("DROP OWNED BY clip_loader; DROP ROLE clip_loader")
    assert "could not connect" in load(tree, "postgresql://127.0.0.1:1/x", "1", status=1)
    assert "has no extension pg_clip" in load(tree, "template1", "1", status=1)


def large(tree, db):
    """Made smaller before they are sent."""
    with Session(db) as session:
        noise = random.Random(1).randbytes(900 * 600 * 3)
        write(os.path.join(tree, "large.png"), png_of((900, 600), b"".join(b"\0" + noise[at:at + 2700] for at in range(0, len(noise), 2700))))
        session.run("TRUNCATE photos")
        whole = load(tree, db, "large.png")["bytes"]
        session.run("TRUNCATE photos")
        small = load(tree, db, "--max-side", "300", "large.png")["bytes"]
        assert small * 9 < whole, (small, whole)
        assert session.one("SELECT metadata->>'width' FROM photos") == "900"
        assert counts(load(tree, db, "--max-side", "300", "large.png")) == [0, 0, 1, 0, 0]


def interrupted(tree, db):
    """Ctrl-C tells, and ends the work in the server."""
    with Session(db) as session:
        session.run("TRUNCATE photos")
        running = subprocess.Popen([pgclip(), "load", "-d", db, "-t", "photos", "."], cwd=tree, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        until(lambda: session.one("SELECT count(*) FROM photos") != "0", what="rows of a load")
        running.send_signal(signal.SIGINT)
        _, said = running.communicate(timeout=30)
        assert running.returncode == -signal.SIGINT and b"goes on from there" in said, (running.returncode, said)
        mine = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pgclip'"
        until(lambda: session.one(mine) == "0", what="the end of the program's sessions")


tree = tempfile.mkdtemp(prefix="pg_clip_tree_")
try:
    os.chmod(tree, 0o755)
    names = make_tree(tree)
    db = fresh_database("clip_load")
    kills_and_changes(tree, db, names)
    which_files(tree, db)
    texts(tree, db)
    with Session(db) as session:
        models = session.one("SHOW clip.model_dir")
    broken = next(pictures(1))
    write(os.path.join(tree, "bad", "a.png"), broken[:200])
    write(os.path.join(tree, "bad", "b.png"), b"")
    write(os.path.join(tree, "bad", "good.png"), broken)
    modes(tree, db, models)
    side_by_side(tree, db)
    large(tree, db)
    interrupted(tree, db)
finally:
    shutil.rmtree(tree)
