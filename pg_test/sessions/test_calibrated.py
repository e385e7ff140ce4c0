#!/usr/bin/env python3
"""A calibrated model beside its plain one: another space, the same classification, tables that keep them apart."""
import os
import shutil
import subprocess
import tempfile

from pg import ROOT, Session, fresh_database, hexed, pgclip, png

models = tempfile.mkdtemp(prefix="pg_clip_models_")
try:
    os.chmod(models, 0o755)
    pictures = os.path.join(ROOT, "models", "demo", "pictures")
    with open(os.path.join(models, "texts"), "w") as file:
        file.writelines(name.removesuffix(".png").replace("-", " ") + "\n" for name in sorted(os.listdir(pictures)))

    def run(*words):
        subprocess.run([pgclip(), *words, "--model-dir", models], check=True, stdout=subprocess.DEVNULL)

    run("import", os.path.join(ROOT, "models", "pictograms"), "--name", "plain")
    run("calibrate", "plain", "--as", "mixed", "--texts", os.path.join(models, "texts"), "--images", pictures)
    db = fresh_database("clip_calibrated")
    with Session() as admin:
        admin.run(f"ALTER DATABASE {db} SET clip.model_dir = '{models}'")
        admin.run(f"ALTER DATABASE {db} SET clip.precision = 'f32'")  # as the functions that are given a model
    with Session(db) as session:
        assert session.one("SELECT count(DISTINCT fingerprint) FROM clip_models()") == "2"
        assert session.one("SELECT abs(vector_norm(clip_embed_text('an old house', 'mixed')) - 1) < 1e-5") == "t"
        # unrelated words lie in one cone in the plain space and far apart in the calibrated one
        words = "unnest(ARRAY['cat', 'train', 'rain', 'pizza', 'happy'])"

        def distance(model):
            return float(session.one(f"SELECT avg(clip_embed_text(a, '{model}') <=> clip_embed_text(b, '{model}')) "
                                     f"FROM {words} a, {words} b WHERE a < b"))
        assert distance("plain") < 0.7 < distance("mixed"), (distance("plain"), distance("mixed"))
        # the softmax's scale was learnt on plain vectors: both models give the same probabilities
        classify = f"clip_classify({hexed(png(32, 32))}, ARRAY['red', 'blue', 'a cat', 'a ball'], '{{}}', '%s')"
        assert session.run(f"SELECT count(*), max(abs(p.probability - c.probability)) < 1e-3 FROM {classify % 'plain'} p "
                           f"JOIN {classify % 'mixed'} c USING (label)") == [["4", "t"]]
        # a table keeps to its own
        session.run("SELECT clip_create_table('items', model => 'mixed')")
        session.run("INSERT INTO items (modality, content_ref) VALUES ('text', 'cat')")
        assert session.one("SELECT embedding = clip_embed_text('cat', 'mixed') FROM items") == "t"
        assert session.one("SELECT (embedding <=> clip_query('items', 'cat')) < 1e-5 FROM items") == "t"
finally:
    shutil.rmtree(models)
