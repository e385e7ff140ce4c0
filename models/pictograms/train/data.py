"""The rendered pictures in memory, and the drawing of a batch's concepts and pictures."""
import json
from collections import Counter

import numpy as np
import torch
from PIL import Image

from augment import MEAN, STD

LOOKS = {"plain": 1.0, "outlined": 1.0, "line": 0.25}       # how often a look is drawn, against the others
STYLES = {"streamline-emojis": 2.0}                         # the one set that was drawn with outlines around flat fills


class Pictures:
    def __init__(self, folder, icons):
        meta, self.index = json.loads((folder / "concepts.json").read_text()), json.loads((folder / "index.json").read_text())
        self.concepts, emoji, self.share = meta["concepts"], meta["emoji"], icons
        self.pixels = np.load(folder / "pictures.npy", mmap_mode="r")
        self.of = {}
        for i, (style, look, concept) in enumerate(self.index):
            rows, weights = self.of.setdefault(concept, ([], []))
            rows.append(i)
            weights.append(LOOKS[look] * STYLES.get(style, 1.0))
        self.emoji = [c for c in self.of if c < emoji and not self.concepts[c]["flag"]]
        self.flags = [c for c in self.of if self.concepts[c]["flag"]]
        self.icons = [c for c in self.of if c >= emoji]
        self.mirror = torch.tensor([c["group"] in (3, 4) for c in self.concepts])     # animals, plants, food
        self.deck = []

    def counts(self):
        return f"{len(self.emoji)} emoji, {len(self.flags)} flags, {len(self.icons)} further concepts, pictures {dict(Counter(s for s, _, _ in self.index))}"

    def draw(self, count, rng):
        """Concepts of which no two are the same emoji, their pictures, and whether they may be mirrored. Flags come half as often."""
        icons = round(count * self.share) if self.icons else 0
        while len(self.deck) < count - icons:
            more = self.emoji + rng.sample(self.flags, len(self.flags) // 2)
            rng.shuffle(more)
            self.deck = more
        concepts = [self.deck.pop() for _ in range(count - icons)] + rng.sample(self.icons, icons)
        rows = [rng.choices(*self.of[c])[0] for c in concepts]
        return concepts, torch.from_numpy(self.pixels[rows]), self.mirror[concepts]


def validation(folder):
    """evalset.json and the pictures as normalised pixels."""
    evalset = json.loads((folder / "evalset.json").read_text())
    x = torch.stack([torch.from_numpy(np.array(Image.open(folder / p["file"]).convert("RGB"))) for p in evalset["pictures"]])
    x = x.permute(0, 3, 1, 2).float() / 255
    return evalset, (x - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]
