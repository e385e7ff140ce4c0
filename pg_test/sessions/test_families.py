#!/usr/bin/env python3
"""Zero-shot classification and retrieval with models of the other families: SigLIP's layout, open_clip's, encoders of many
languages, and one of texts alone beside another model's images."""
import json
import math
import os
import subprocess

from pg import GOLDEN, Session, fresh_database, golden_models, hexed, pgclip, png

COLOURS = {"red": (220, 30, 30), "green": (30, 200, 40), "blue": (20, 40, 230), "white": (250, 250, 250)}
PICTURES = {name: png(40, 24, lambda x, y, c=colour: c) for name, colour in COLOURS.items()}
LABELS = ["cat", "dog", "a bicycle at night", "teapot"]

names = ("tiny-siglip", "tiny-siglip2", "tiny-siglip2-naflex", "tiny-siglip-timm", "tiny-openclip-native", "tiny-openclip-native-bin", "tiny-openclip-roberta",
         "tiny-openclip-nllb-siglip", "tiny-metaclip2", "tiny-pe-core", "tiny-eva02", "tiny-mobileclip-b", "tiny-mobileclip2-s0",
         "tiny-jina-clip-v1", "tiny-jina-clip-v2")
with golden_models({name: name for name in names}) as models:
    subprocess.run([pgclip(), "import", os.path.join(GOLDEN, "encoders", "tiny-sentence"), "--images", os.path.join(GOLDEN, "models", "tiny-clip"),
                    "--name", "tiny-sentence", "--model-dir", models], check=True, stdout=subprocess.DEVNULL)
    db = fresh_database("clip_families")
    with Session() as admin:
        admin.run(f"ALTER DATABASE {db} SET clip.model_dir = '{models}'")
        admin.run(f"ALTER DATABASE {db} SET clip.precision = 'f32'")  # as the functions that are given a model

    with Session(db) as session:
        listed = session.run("SELECT name, architecture, dimensions, context_length FROM clip_models() ORDER BY name COLLATE \"C\"")
        assert listed == [["tiny-eva02", "eva", "24", "24"], ["tiny-jina-clip-v1", "jina_clip", "48", "512"],
                          ["tiny-jina-clip-v2", "jina_clip", "48", "512"], ["tiny-metaclip2", "clip", "24", "24"],
                          ["tiny-mobileclip-b", "mobile_clip", "24", "24"], ["tiny-mobileclip2-s0", "mobile_clip", "24", "24"], ["tiny-openclip-native", "clip", "24", "24"],
                          ["tiny-openclip-native-bin", "clip", "20", "24"], ["tiny-openclip-nllb-siglip", "siglip", "24", "24"],
                          ["tiny-openclip-roberta", "clip", "24", "24"], ["tiny-pe-core", "pe_core", "24", "24"],
                          ["tiny-sentence", "clip", "24", "24"], ["tiny-siglip", "siglip", "40", "16"], ["tiny-siglip-timm", "siglip", "24", "16"],
                          ["tiny-siglip2", "siglip", "24", "16"], ["tiny-siglip2-naflex", "siglip", "40", "16"]], listed
        for model in (row[0] for row in listed):
            table = model.replace("-", "_")
            session.run(f"SELECT clip_create_table('{table}', model => '{model}')")
            for name, picture in PICTURES.items():
                session.run(f"INSERT INTO {table} (modality, content_ref, image) VALUES ('image', '{name}', {hexed(picture)})")
            for label in LABELS:
                session.run(f"INSERT INTO {table} (modality, content_ref) VALUES ('text', '{label}')")

            # retrieval: each picture and each text finds itself, and the order is that of the exact distances
            for name, picture in PICTURES.items():
                found = session.run(f"SELECT content_ref FROM {table} WHERE modality = 'image' "
                                    f"ORDER BY embedding <=> clip_query('{table}', {hexed(picture)}) LIMIT 2")
                assert found[0] == [name] and found[1] != [name], (model, name, found)
            for label in LABELS:
                found = session.run(f"SELECT content_ref FROM {table} WHERE modality = 'text' "
                                    f"ORDER BY embedding <=> clip_query('{table}', '{label}') LIMIT 1")
                assert found == [[label]], (model, label, found)
            ordered = session.run(f"SELECT embedding <=> clip_query('{table}', 'a cat') AS d FROM {table} "
                                  "WHERE modality = 'image' ORDER BY 1")
            assert len(set(map(tuple, ordered))) == len(PICTURES)

            # zero-shot: what the model's own loss makes of the cosines
            with open(os.path.join(models, model, "model.json")) as file:
                spec = json.load(file)["spec"]
            labels = "ARRAY[" + ",".join(f"'{label}'" for label in LABELS) + "]"
            given = {label: float(p) for label, p in session.run(
                f"SELECT * FROM clip_classify({hexed(PICTURES['red'])}, {labels}, 'a photo of a {{}}', '{model}')")}
            cosines = {label: float(session.one(
                f"SELECT 1 - (clip_embed_image({hexed(PICTURES['red'])}, '{model}') <=> "
                f"clip_embed_text('a photo of a {label}', '{model}'))")) for label in LABELS}
            logits = {label: math.exp(spec["logit_scale"]) * cosine for label, cosine in cosines.items()}
            if "siglip" in model:
                bias = spec["scoring"]["sigmoid"]["bias"]
                assert bias < -10
                expected = {label: 1 / (1 + math.exp(-logit - bias)) for label, logit in logits.items()}
                assert abs(sum(given.values()) - 1) > 1e-4, given
            else:
                total = sum(math.exp(logit) for logit in logits.values())
                expected = {label: math.exp(logit) / total for label, logit in logits.items()}
                assert abs(sum(given.values()) - 1) < 1e-5, given
            for label in LABELS:
                assert math.isclose(given[label], expected[label], rel_tol=1e-3, abs_tol=1e-9), (model, given, expected)

        # texts as each tokenizer cleans them
        same = "SELECT clip_embed_text({}, '{}') = clip_embed_text({}, '{}')"
        for model, one, other, expected in (
                ("tiny-siglip", "'A Photo, of a CAT!'", "' a photo of a  cat'", "t"),
                ("tiny-siglip", "'a cat'", "'a dog'", "f"),
                ("tiny-siglip-timm", "U&'It\\2019s  A_CAT &amp; caf\\00C3\\00A9!'", "'its a cat café'", "t"),
                ("tiny-openclip-native", "U&'It\\2019s A CAT &amp;amp; caf\\00C3\\00A9!'", "'it''s a cat & café!'", "t"),
                ("tiny-siglip2", "'A Photo of a CAT'", "'a photo of a cat'", "t"),
                ("tiny-siglip2", "'a cat!'", "'a cat'", "f")):
            assert session.one(same.format(one, model, other, model)) == expected, (model, one, other)
        # the end token counts, what fills the context up does not, and nothing is cut
        assert session.one("SELECT clip_token_count('', 'tiny-siglip')") == "1"
        few, many = (int(session.one(f"SELECT clip_token_count(repeat('cat ', {n}), 'tiny-siglip')")) for n in (10, 1000))
        assert many - 1 == 100 * (few - 1) and many > 1000, (few, many)
