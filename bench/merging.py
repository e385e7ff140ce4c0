#!/usr/bin/env python3
"""Ways to make one list of texts and pictures, compared where the two lie in cones of their own.

    bench/merging.py [--set DIR] [--record bench/CUTOFF.md]

Names in German, French and Spanish and the pictures are one table. An English name asks for the three names and the picture of
its concept, a picture for the three names. The bundled model has hardly a gap, so three spaces are made of its vectors: as
they are; with a mean added to each kind, so that the mean distance is 0.29 within a kind and 0.96 across, as in a real CLIP;
and the same after half of each vector was replaced by what only its kind knows of the concept, so that distances across
spread less than those within. Searches of a concept whose picture or whose names were taken out are there too.
Needs: numpy (pip), a finished `make`.
"""
import argparse
import datetime
import sys

import numpy as np

from evalvectors import Vectors, arguments, generator, processor, record, table, unit

SAMPLE = 256
WITHIN, ACROSS = 0.29, 0.96
TEXT, IMAGE = 0, 1


def centred(vectors):
    return unit(vectors - vectors.mean(0))


def with_gap(texts, images, number=0):
    """Adds a mean to each kind, in directions of chance."""
    rng, share = generator("gap", number), 1 - WITHIN        # of a unit vector's square that is the mean's
    first, second = unit(rng.standard_normal((2, texts.shape[1])))
    second = unit(second - second @ first * first)
    cosine = (1 - ACROSS) / share
    second = cosine * first + np.sqrt(1 - cosine ** 2) * second
    length = np.sqrt(share / (1 - share))
    return unit(centred(texts) + length * first), unit(centred(images) + length * second)


def half_private(vectors, concepts, kind):
    rng = generator("private", kind)
    known = rng.standard_normal((concepts.max() + 1, vectors.shape[1]))[concepts]
    return np.concatenate([centred(vectors), unit(known + rng.standard_normal(vectors.shape))], axis=1)


class Kind:
    """One query's distances to the rows of one kind."""

    def __init__(self, distances, rng):
        self.all, self.near = distances, np.sort(distances)
        self.sample = distances[rng.permutation(len(distances))[:SAMPLE]]


def places(distances):
    ranks = np.empty(len(distances))
    ranks[np.argsort(distances, kind="stable")] = np.arange(len(distances))
    return ranks


WAYS = [
    ("distance", lambda k: k.all),
    ("rank", lambda k: places(k.all)),
    ("distance − nearest's", lambda k: k.all - k.near[0]),
    ("distance − 10th's", lambda k: k.all - k.near[9]),
    ("z against ranks 10 to 100", lambda k: (k.all - k.near[9:100].mean()) / k.near[9:100].std()),
    ("distance − sample's mean", lambda k: k.all - k.sample.mean()),
    ("z against a sample", lambda k: (k.all - k.sample.mean()) / k.sample.std()),
    ("the same, by median and lower 5 %", lambda k: (k.all - np.median(k.sample)) / (np.median(k.sample) - np.quantile(k.sample, .05))),
]


class Tally:
    def __init__(self):
        self.recall10, self.recall20, self.precision, self.pictures = [], [], [], []

    def add(self, relevant, kinds, order):
        hits = relevant[order]
        at = np.flatnonzero(hits) + 1
        self.recall10.append(hits[:10].sum() / len(at))
        self.recall20.append(hits[:20].sum() / len(at))
        self.precision.append((np.arange(1, len(at) + 1) / at).mean())
        self.pictures.append((kinds[order[:10]] == IMAGE).mean())

    def cells(self):
        return [f"{100 * np.mean(x):.1f}" for x in (self.precision, self.recall10, self.recall20, self.pictures)]


def experiment(queries, asks, texts, text_concepts, images, label):
    """Tallies by scenario and way. `queries[i]` is of concept i; `asks`: the kinds that are its answers."""
    kinds = np.repeat([TEXT, IMAGE], [len(texts), len(images)])
    concepts = np.concatenate([text_concepts, np.arange(len(images))])
    named = np.intersect1d(text_concepts, np.flatnonzero(~np.isnan(queries[:, 0])))
    scenarios = {"both": (TEXT, IMAGE), "names": (TEXT,), "picture": (IMAGE,)} if IMAGE in asks else {"names": (TEXT,)}
    found = {(scenario, name): Tally() for scenario in scenarios for name, _ in WAYS}
    for i in named:
        distances = 1 - np.concatenate([texts @ queries[i], images @ queries[i]])
        for scenario, answers in scenarios.items():
            there = (concepts != i) | np.isin(kinds, answers)
            rng = generator(label, scenario, int(i))
            by_kind = [Kind(distances[there & (kinds == kind)], rng) for kind in (TEXT, IMAGE)]
            relevant = (concepts == i)[there]
            for name, way in WAYS:
                order = np.argsort(np.concatenate([way(kind) for kind in by_kind]), kind="stable")
                found[scenario, name].add(relevant, kinds[there], order)
    return found


def main():
    ap = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    arguments(ap)
    a = ap.parse_args()
    v = Vectors(a.set, a.pgclip)
    names = np.concatenate([v.names[language] for language in ("de", "fr", "es")])
    concepts = np.concatenate([np.arange(len(v.images))] * 3)
    there = ~np.isnan(names[:, 0])
    names, concepts, english = names[there], concepts[there], v.names["en"]
    together = np.concatenate([english, names])       # texts of the query are texts: moved and turned as the others
    every = np.concatenate([np.arange(len(english)), concepts])
    private = half_private(together, every, "text"), half_private(v.images, np.arange(len(v.images)), "image")
    spaces = {"as it is": (together, v.images), "gap": with_gap(together, v.images), "gap, half private": with_gap(*private)}
    text = (f"{datetime.date.today()}, {processor()}. {len(names)} names and {len(v.images)} pictures of {v.style}, bundled model in f32.\n"
            f"Command: `{' '.join(['bench/merging.py', *sys.argv[1:]])}`. Mean distances:")
    rows = []
    for space, (texts, images) in spaces.items():
        english, names = texts[:len(v.images)], texts[len(v.images):]
        text += f" {space} {1 - (names @ names.T).mean():.2f} among texts, {1 - (names @ images.T).mean():.2f} across;"
        by_name = experiment(english, (TEXT, IMAGE), names, concepts, images, "name")
        by_picture = experiment(images, (TEXT,), names, concepts, images, "picture")
        for name, _ in WAYS:
            cells = [by_name[scenario, name].cells() for scenario in ("both", "names", "picture")] + [by_picture["names", name].cells()]
            rows.append([space, name] + [f"{c[0]} · {c[1]} · {c[3]}" for c in cells])
    text = text.rstrip(";") + ".\n\nMean average precision · recall@10 · share of pictures in the first ten, in percent:\n\n"
    text += table(["space", "ordered by", "name asks for names and picture", "for names (picture out)", "for the picture (names out)",
                   "picture asks for names"], rows)
    record(a.record, "merging " + a.set.name, text)


if __name__ == "__main__":
    main()
