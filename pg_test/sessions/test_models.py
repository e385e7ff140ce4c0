#!/usr/bin/env python3
"""Several models, damaged models, and models that are not there: each its SQLSTATE, and the session goes on."""
import json
import os
import shutil
import subprocess

from pg import GOLDEN, TWO_MODELS, Session, SqlError, fresh_database, golden_models, pgclip

with golden_models(TWO_MODELS) as models:
    db = fresh_database("clip_models")
    with Session() as admin:
        admin.run(f"ALTER DATABASE {db} SET clip.model_dir = '{models}'")
        admin.run(f"ALTER DATABASE {db} SET clip.model = 'tiny'")

    with Session(db) as session:
        assert session.run("SELECT name FROM clip_models()") == [["tiny"], ["tiny-eps"]]
        # two tables of two models, each asked with its own
        session.run("SELECT clip_create_table('a'), clip_create_table('b', model => 'tiny-eps')")
        session.run("INSERT INTO a (modality, content_ref) VALUES ('text', 'cat')")
        session.run("INSERT INTO b (modality, content_ref) VALUES ('text', 'cat')")
        assert session.one("SELECT (embedding <=> clip_query('a', 'cat'))::real FROM a") == "0"
        assert session.one("SELECT (embedding <=> clip_query('b', 'cat'))::real FROM b") == "0"
        assert session.one("SELECT a.embedding <=> b.embedding > 0.001 FROM a, b") == "t"
        assert session.fails("SELECT clip_attach('a', text_column => 'content_ref', model => 'tiny-eps')") == "42710"
        # a vector of other dimensions cannot be compared by mistake
        session.run("CREATE TABLE wide (title text, embedding vector(256))")
        assert session.fails("SELECT clip_attach('wide', text_column => 'title')") == "22000"

    # another model comes under the name of a table's model: refused, reads and writes
    shutil.rmtree(os.path.join(models, "tiny"))
    shutil.copytree(os.path.join(models, "tiny-eps"), os.path.join(models, "tiny"))
    with Session(db) as session:
        assert session.fails("SELECT clip_query('a', 'cat')") == "22000"
        assert session.fails("INSERT INTO a (modality, content_ref) VALUES ('text', 'dog')") == "22000"
        assert session.fails("UPDATE a SET content_ref = 'dog'") == "22000"
        session.run("UPDATE a SET metadata = '{}'")

    weights = os.path.join(models, "tiny", "weights.f32.safetensors")
    manifest = os.path.join(models, "tiny", "model.json")
    tokenizer = os.path.join(models, "tiny", "tokenizer.safetensors")
    original = {path: open(path, "rb").read() for path in (weights, manifest, tokenizer)}

    for path in original:
        os.chmod(path, 0o644)                                                  # as they were installed nobody may write to them

    def check(path, content, expected):
        with open(path, "wb") as file:
            file.write(content)
        with Session(db) as session:
            session.run("SET clip.precision = 'f32'")                           # whatever this machine would choose
            assert session.fails("SELECT clip_embed_text('x')") == expected, (path, len(content))
            assert session.one("SELECT 1") == "1"
        with open(path, "wb") as file:
            file.write(original[path])

    full = original[weights]
    header = int.from_bytes(full[:8], "little")
    for size in (0, 4, 8, 100, len(full) // 2, len(full) - 1):
        check(weights, full[:size], "XX001")
    check(weights, full + b"x", "XX001")
    check(weights, b"\xff" * 8 + full[8:], "XX001")                            # a header of 2^64 bytes
    check(weights, full[:8] + b"[" * header + full[8 + header:], "XX001")       # no JSON, deeply nested
    check(weights, full.replace(b'"F32"', b'"F64"', 1), "XX001")                # another type in the same bytes
    check(weights, full.replace(b"final_layer_norm", b"final_layer_nurm", 1), "XX001")
    check(tokenizer, b"{" * len(original[tokenizer]), "XX001")
    check(tokenizer, b"", "XX001")
    for content in (b"", b"{}", b"[" * 100000, original[manifest][:-20], b"\xff" * 100):
        check(manifest, content, "XX001")
    # of a newer version, of an older one, of one before all of them; what the oldest say beside is for nobody
    said = json.loads(original[manifest])
    for other in (said | {"format": 99}, said | {"format": 0}, {"fingerprint": said["fingerprint"]}):
        check(manifest, json.dumps(other).encode(), "0A000")
    # every model has f32: the IMMUTABLE functions rely on it
    without = json.loads(original[manifest])
    del without["files"]["weights.f32.safetensors"]
    check(manifest, json.dumps(without).encode(), "XX001")
    outside = json.loads(original[manifest])
    outside["files"]["../../../etc/passwd"] = {"bytes": 1, "sha256": ""}
    check(manifest, json.dumps(outside).encode(), "XX001")

    # an import of the same model replaces an older format, under a session that had an error of it
    with open(manifest, "w") as file:
        json.dump({"format": 0, "fingerprint": said["fingerprint"]}, file)
    with Session(db) as session:
        try:
            raise AssertionError(session.run("SELECT clip_embed_text('x')"))
        except SqlError as e:
            assert e.sqlstate == "0A000" and 'HINT:  Import the model again with "pgclip import"' in str(e), e
        assert session.run("SELECT name FROM clip_models()")[-1] == ["tiny-eps"]  # after a warning
        run = [pgclip(), "import", os.path.join(GOLDEN, "models", TWO_MODELS["tiny-eps"]), "--name", "tiny", "--model-dir", models]
        subprocess.run(run, check=True, stdout=subprocess.DEVNULL)
        assert session.one("SELECT vector_dims(clip_embed_text('x')) > 0") == "t"
    for path in original:
        os.chmod(path, 0o644)

    for path in (weights, tokenizer):
        os.rename(path, path + ".away")
        with Session(db) as session:
            assert session.fails("SELECT clip_embed_text('x')") == "58P01"
        os.rename(path + ".away", path)
    os.remove(manifest)
    with Session(db) as session:
        assert session.fails("SELECT clip_embed_text('x')") == "58P01"
        assert session.run("SELECT name FROM clip_models()") == [["tiny-eps"]]
    shutil.rmtree(os.path.join(models, "tiny"))
    with Session(db) as session:
        assert session.fails("SELECT clip_embed_text('x')") == "42704"
        assert session.one("SELECT vector_dims(clip_embed_text('x', 'tiny-eps')) > 0") == "t"
