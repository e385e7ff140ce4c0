"""Vectors of an evaluation set (evalset.json and its pictures), computed by `pgclip embed`; for cutoff.py and merging.py."""
import hashlib
import json
import os
import subprocess
import tempfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
LANGUAGES = ("en", "de", "fr", "es")
CHUNK = 500  # inputs of one call: its command line has room for no more


def arguments(ap):
    ap.add_argument("--set", default=ROOT / "models/demo", type=Path, help="directory with evalset.json [models/demo]")
    ap.add_argument("--pgclip", default=Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release/pgclip", help="the command line")
    ap.add_argument("--record", help="Markdown file to write the tables into, between their marks")


class Embedder:
    """The bundled model in f32, installed in a directory of its own."""

    def __init__(self, program):
        self.program = program
        self.models = tempfile.TemporaryDirectory()
        self.run("import", str(ROOT / "models/pictograms"))

    def run(self, *words):
        words = [str(self.program), *words, "--model-dir", self.models.name]
        return subprocess.run(words, check=True, capture_output=True, text=True).stdout

    def __call__(self, kind, inputs):
        found = []
        for i in range(0, len(inputs), CHUNK):
            options = [f"--{kind}={value}" for value in inputs[i:i + CHUNK]]
            found += [json.loads(line)["embedding"] for line in self.run("embed", "pictograms", "--precision", "f32", *options).splitlines()]
        return np.array(found)


class Vectors:
    """`images` are one a concept; `names[language]` are as long, rows without a name are NaN; `bank` holds neutral texts."""

    def __init__(self, directory, program, bank=()):
        described = json.loads((directory / "evalset.json").read_text())
        self.style, pictures = described["style"], described["pictures"]
        embed = Embedder(program)
        self.images = embed("image", [directory / p["file"] for p in pictures])
        self.labels = {language: [p[language] for p in pictures] for language in LANGUAGES}
        self.names = {language: self.some(embed, labels) for language, labels in self.labels.items()}
        self.bank_texts, self.bank = list(bank), embed("text", list(bank)) if bank else None

    def some(self, embed, labels):
        there = [i for i, label in enumerate(labels) if label]
        vectors = np.full((len(labels), self.images.shape[1]), np.nan)
        if there:
            vectors[there] = embed("text", [labels[i] for i in there])
        return vectors


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def generator(*words):
    """Random numbers that depend on what they are for alone."""
    return np.random.default_rng(int.from_bytes(hashlib.sha256(repr(words).encode()).digest()[:8], "big"))


def processor():
    with open("/proc/cpuinfo") as lines:
        return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown processor")


def table(head, rows):
    return "\n".join("| " + " | ".join(map(str, row)) + " |" for row in [head, ["---"] * len(head), *rows]) + "\n"


def record(path, mark, text):
    print(text)
    if path:
        old = Path(path).read_text()
        begin, end = f"<!-- {mark} -->\n", f"<!-- end of {mark} -->"
        if begin not in old:   # a set that has no tables yet
            old += f"\n{begin}{end}\n"
        before, rest = old.split(begin, 1)
        Path(path).write_text(f"{before}{begin}{text}{end}{rest.split(end, 1)[1]}")
