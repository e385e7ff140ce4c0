"""Writes what `pgclip calibrate` takes the means of: pictures and texts of the training set, as rows of a table would hold them.

    calibration_set.py --data DIR --out DIR

OUT/images/0000.png ...   4,000 pictures of the emoji styles, 112 x 112, RGB on white, as drawn and outlined
OUT/texts.txt             every emoji's name in English, and one name or keyword in another language"""
import argparse
import json
import random
from pathlib import Path

import numpy as np
from PIL import Image

PICTURES = 4000


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--data", required=True, type=Path)
    p.add_argument("--out", required=True, type=Path)
    a = p.parse_args()
    rng = random.Random(0)
    meta = json.loads((a.data / "concepts.json").read_text())
    index = json.loads((a.data / "index.json").read_text())
    pixels = np.load(a.data / "pictures.npy", mmap_mode="r")
    images = a.out / "images"
    images.mkdir(parents=True, exist_ok=True)
    rows = [i for i, (_, look, concept) in enumerate(index) if concept < meta["emoji"] and look != "line"]
    for n, row in enumerate(sorted(rng.sample(rows, PICTURES))):
        drawn = pixels[row].transpose(1, 2, 0)
        page = drawn[..., :3] + (255 - drawn[..., 3:])          # on white; the colours are premultiplied already
        Image.fromarray(np.ascontiguousarray(page), "RGB").save(images / f"{n:04}.png")
    texts = []
    for concept in meta["concepts"][:meta["emoji"]]:
        texts.append(concept["label"])
        names, keywords = rng.choice(list(concept["languages"].values()) or [[[concept["label"]], []]])
        texts.append(rng.choice(names + keywords))
    (a.out / "texts.txt").write_text("\n".join(texts) + "\n")
    print(PICTURES, "pictures,", len(texts), "texts")


if __name__ == "__main__":
    main()
