#!/usr/bin/env python3
"""Ways to tell "this is among the pictures" from "nothing like it is", compared on the bundled model.

    bench/cutoff.py [--set DIR] [--record bench/CUTOFF.md]

Each name of an evaluation set asks its pictures twice: all of them (present), and those that are left when its own picture
is taken out (absent), with or without those that stand beside it in Unicode's order and resemble it. A way gives one number a
search, larger for present. The area under the ROC curve is the probability that a search with an answer gets a larger number
than one without: 0.5 is chance. Distances are exact. In two cones: a mean is added to all texts and one to all pictures, in directions
of chance, so that distances are a real CLIP's (merging.py); the average of GAPS such pairs.
Needs: numpy (pip), a finished `make`. The default set is the demo's; models/pictograms/train/eval_set.py writes the full one.
"""
import argparse
import datetime
import json
import struct
import sys

import numpy as np

from evalvectors import LANGUAGES, ROOT, Vectors, arguments, generator, processor, record, table
from merging import with_gap

SAMPLE = 256          # rows of a sample
NEIGHBOURS = 64       # a 64th of the set on either side resembles a picture
PASS = 0.10           # of searches without an answer, at the threshold of the second table
GAPS = 4
NEUTRAL = """a picture|an image|a drawing|a photo|an icon|a symbol|something|anything|a thing|an object|nothing|a shape
a picture of something|a drawing of a thing|a white background|unknown""".replace("\n", "|").split("|")
NOUNS = """animal plant building vehicle tool food drink person face hand clothing furniture machine weapon toy game sport
music instrument paper book letter number sign arrow flag map money clock weather sky star sun moon water fire stone metal wood
glass house room door window road bridge boat train car aircraft wheel engine computer phone screen camera lamp bottle cup
plate knife box bag key rope button bell medicine eye mouth heart bone insect bird fish snake horse tree flower leaf fruit
vegetable bread meat cake mountain river island city garden school office shop hospital church family child king worker
festival holiday dance sleep work love anger joy fear pain time space colour circle square line""".split()


def logit_scale():
    """exp of the model's parameter, bf16."""
    with open(ROOT / "models/pictograms/model.safetensors", "rb") as file:
        size, = struct.unpack("<Q", file.read(8))
        tensor = json.loads(file.read(size))["logit_scale"]
        file.seek(8 + size + tensor["data_offsets"][0])
        return float(np.exp(struct.unpack("<f", b"\0\0" + file.read(2))[0]))


class Search:
    """What one query has of one pool: its sorted distances, a sample of them, and what neutral texts make of the ten nearest."""

    def __init__(self, query, rows, row_bank, rng):
        distances = 1 - rows @ query
        order = np.argsort(distances)
        self.near, self.ten = distances[order], row_bank[order[:10]]
        self.hundredth = self.near[:100][-1]  # or the last, of fewer
        self.sample = distances[rng.permutation(len(distances))[:SAMPLE]]

    def softmax(self, scale, bank):
        own, others = scale * (1 - self.near[:10]), scale * self.ten[:, bank]
        return np.max(own - np.logaddexp(own, np.log(np.exp(others - others.max(1, keepdims=True)).sum(1)) + others.max(1)))


def ways(scale, neutral):
    """(name, what it costs in a query, function)"""
    texts, nouns = slice(0, neutral), slice(neutral, None)
    quantile = lambda s, q: np.quantile(s.sample, q)
    ranks = lambda s: s.near[9:100]
    return [
        ("distance of the nearest", "nothing", lambda s: -s.near[0]),
        ("log-odds of SigLIP's probability", "nothing", lambda s: scale * (1 - s.near[0]) - scale),
        ("second's distance − nearest's", "nothing", lambda s: s.near[1] - s.near[0]),
        ("10th's − nearest's", "nothing", lambda s: s.near[9] - s.near[0]),
        ("100th's − nearest's", "100 neighbours", lambda s: s.hundredth - s.near[0]),
        ("nearest's / 100th's", "100 neighbours", lambda s: -s.near[0] / s.hundredth),
        ("z against ranks 10 to 100", "100 neighbours", lambda s: (ranks(s).mean() - s.near[0]) / ranks(s).std()),
        ("sample's mean − nearest's", "sample", lambda s: s.sample.mean() - s.near[0]),
        ("z against a sample", "sample", lambda s: (s.sample.mean() - s.near[0]) / s.sample.std()),
        ("the same, by median and deviation from it", "sample",
         lambda s: (np.median(s.sample) - s.near[0]) / np.median(abs(s.sample - np.median(s.sample)))),
        ("the same, by median and lower 5 %", "sample", lambda s: (quantile(s, .5) - s.near[0]) / (quantile(s, .5) - quantile(s, .05))),
        ("cosine − its mean to neutral texts", "16 texts, once", lambda s: np.max(1 - s.near[:10] - s.ten[:, texts].mean(1))),
        ("softmax over neutral texts", "16 texts, once", lambda s: s.softmax(scale, texts)),
        ("cosine − its mean to nouns", "115 texts, once", lambda s: np.max(1 - s.near[:10] - s.ten[:, nouns].mean(1))),
        ("softmax over nouns", "115 texts, once", lambda s: s.softmax(scale, nouns)),
        ("z of cosine − mean to nouns", "both", lambda s: np.max(1 - s.near[:10] - s.ten[:, nouns].mean(1) + s.sample.mean()) / s.sample.std()),
    ]


def auc(present, absent):
    """Mann and Whitney's statistic; a tie counts half."""
    absent = np.sort(absent)
    return (np.searchsorted(absent, present, "left") + np.searchsorted(absent, present, "right")).mean() / 2 / len(absent)


def spread(present, absent, rng, rounds=200):
    """Standard error, by drawing concepts with replacement."""
    drawn = [rng.integers(0, len(present), len(present)) for _ in range(rounds)]
    return np.std([auc(present[d], absent[d]) for d in drawn])


class Experiment:
    def __init__(self, vectors, all_ways):
        self.v, self.ways = vectors, all_ways

    def searches(self, queries, rows, label, keep=None, bank=None):
        """(numbers with the answer in the pool, without it, without its neighbours too; whether it is found first), one line a way."""
        n, bank = len(rows), rows @ (self.v.bank if bank is None else bank).T
        pool = np.arange(n) if keep is None else keep
        margin, found, numbers = max(1, n // NEIGHBOURS), [], [[] for _ in range(3)]
        for i in np.flatnonzero(~np.isnan(queries[:, 0])):
            rng = generator(label, int(i))
            others = pool[pool != i]
            pools = [np.append(others, i), others, others[abs(others - i) > margin]]
            for into, chosen in zip(numbers, pools):
                search = Search(queries[i], rows[chosen], bank[chosen], rng)
                into.append([way(search) for _, _, way in self.ways])
            found.append(np.argmax(rows[pools[0]] @ queries[i]) == len(others))
        return [np.array(x).T for x in numbers], np.array(found)


def main():
    ap = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    arguments(ap)
    a = ap.parse_args()
    v = Vectors(a.set, a.pgclip, NEUTRAL + NOUNS)
    ex = Experiment(v, ways(logit_scale(), len(NEUTRAL)))
    n = len(v.images)
    by_name, found = ex.searches(v.names["en"], v.images, "en")
    other = [ex.searches(v.names[language], v.images, language)[0] for language in LANGUAGES[1:]]
    foreign = [np.concatenate([x[part] for x in other], axis=1) for part in range(3)]
    by_picture, _ = ex.searches(v.images, v.names["en"], "pictures")
    apart = []
    for gap in range(GAPS):
        texts, images = with_gap(np.concatenate([v.names["en"], v.bank]), v.images, gap)
        apart.append(ex.searches(texts[:n], images, "gap", bank=texts[n:])[0])
    rows = []
    for w, (name, cost, _) in enumerate(ex.ways):
        cells = [auc(by_name[0][w], by_name[1][w]), auc(by_name[0][w], by_name[2][w]), auc(by_name[0][w][found], by_name[2][w][found]),
                 auc(foreign[0][w], foreign[2][w]), auc(by_picture[0][w], by_picture[2][w]),
                 np.mean([auc(x[0][w], x[2][w]) for x in apart])]
        error = spread(by_name[0][w], by_name[2][w], generator("spread"))
        rows.append([name, cost] + [f"{x:.3f}" for x in cells] + [f"{error:.3f}"])
    text = (f"{datetime.date.today()}, {processor()}. {n} pictures of {v.style}, bundled model in f32, exact distances.\n"
            f"Command: `{' '.join(['bench/cutoff.py', *sys.argv[1:]])}`. English names find their picture first in {100 * found.mean():.1f} %.\n\n")
    text += table(["way", "costs", "name, its picture out", "and neighbours out", "the same, where found first", "de, fr, es names",
                   "by picture, among names", "names in two cones", "± (fourth column)"], rows)

    # one threshold, set where a tenth of the English searches without an answer pass, used elsewhere
    tenth = np.sort(generator("tenth").permutation(n)[:n // 10])
    small, _ = ex.searches(v.names["en"], v.images, "tenth", keep=tenth)
    rows = []
    for w, (name, _, _) in enumerate(ex.ways):
        threshold = np.quantile(by_name[2][w], 1 - PASS)
        cell = lambda x: f"{100 * (x[0][w] > threshold).mean():.0f} / {100 * (x[2][w] > threshold).mean():.0f}"
        rows.append([name, cell(by_name)] + [cell(x) for x in other] + [cell(small), cell(by_picture)])
    text += "\nPercent of searches that pass, with an answer / without, at a threshold that lets 10 % of the English ones without an answer pass:\n\n"
    text += table(["way", "English names", "German", "French", "Spanish", "a tenth of the pictures", "by picture, among names"], rows)
    record(a.record, "cutoff " + a.set.name, text)


if __name__ == "__main__":
    main()
