#!/usr/bin/env python3
"""Makes the demo's pictures: OpenMoji drawings as PNG files, named after what they show, and evalset.json, with which
`pgclip evaluate NAME --set models/demo` scores a model on them.

    npm pack @iconify-json/openmoji emojibase-data     # unpack each into a directory
    pip install resvg-py pillow
    make_pictures.py OPENMOJI_DIR EMOJIBASE_DIR

OpenMoji is the drawing style that the bundled model never saw in training.
"""
import io
import json
import re
import sys
from pathlib import Path

import resvg_py
from PIL import Image

SIDE = 96            # the bundled model's input; a page shows them well at this size
PER_GROUP = {0: 40, 3: 80, 4: 70, 5: 50, 6: 30, 7: 50}   # emojibase's groups: smileys, animals, food, travel, activities, objects
QUERIES = {
    "en": ["something sweet to eat", "sea animal", "musical instrument", "winter sports", "broken heart", "tool for cutting"],
    "de": ["Obst", "Katze", "rotes Auto"], "fr": ["poisson", "un animal de la ferme"], "es": ["gato", "deporte con pelota"],
}

openmoji, emojibase = Path(sys.argv[1]), Path(sys.argv[2])
icons = json.loads((openmoji / "icons.json").read_text())
names = json.loads((openmoji / "chars.json").read_text())          # hexadecimal code -> icon
concepts = json.loads((emojibase / "en" / "data.json").read_text())
out = Path(__file__).parent / "pictures"
out.mkdir(exist_ok=True)
for old in out.glob("*.png"):
    old.unlink()

labels = {language: {c["hexcode"]: c["label"].lower() for c in json.loads((emojibase / language / "data.json").read_text())}
          for language in ("de", "fr", "es")}
pictures = []
for group, wanted in PER_GROUP.items():
    found = [c for c in concepts if c.get("group") == group and c["hexcode"].lower().replace("-fe0f", "") in names]
    # evenly over the group, whose neighbours resemble each other
    for i in range(wanted):
        concept = found[i * len(found) // wanted]
        icon = icons["icons"][names[concept["hexcode"].lower().replace("-fe0f", "")]]
        width, height = icon.get("width", icons.get("width", 16)), icon.get("height", icons.get("height", 16))
        svg = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{SIDE}" height="{SIDE}">{icon["body"]}</svg>'
        drawn = Image.open(io.BytesIO(bytes(resvg_py.svg_to_bytes(svg_string=svg)))).convert("RGBA")
        page = Image.new("RGBA", drawn.size, "white")
        page.alpha_composite(drawn)
        slug = re.sub(r"[^a-z0-9]+", "-", concept["label"].lower()).strip("-")
        page.convert("RGB").quantize(64, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(out / f"{slug}.png", optimize=True)
        pictures.append({"file": f"pictures/{slug}.png", "en": concept["label"].lower()} |
                        {language: found.get(concept["hexcode"]) for language, found in labels.items()})
queries = [{"text": text, "language": language} for language, texts in QUERIES.items() for text in texts]
(out.parent / "evalset.json").write_text(json.dumps({"style": "OpenMoji", "license": "CC BY-SA 4.0", "pictures": pictures, "queries": queries},
                                                    ensure_ascii=False, indent=0) + "\n")
print(len(list(out.glob("*.png"))), "pictures,", sum(f.stat().st_size for f in out.glob("*.png")), "bytes")
