#!/usr/bin/env python3
"""The table of the comparison, from what bench/end_to_end/measure.py wrote and the exact answers.

    report.py RESULTS EXACT MODEL IMAGES [FILE]     FILE: this machine's table in it is replaced; COMMAND, SERVER: what it tells
"""
import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))
from tables import cpu, record, table, today, versions

HEAD = ("way", "images a second", "of the first's rate", "peak memory, MB", "query p50, ms", "p99, ms", "of the ten nearest found")
PACKAGES = ("torch", "torchvision", "transformers", "onnxruntime", "pillow", "psycopg", "pgvector")


def quantile(times, share):
    """The smallest time that is at least as long as this share of them."""
    ordered = sorted(times)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def agreement(answers, exact):
    """How many of the ten nearest were found, on average."""
    return sum(len(set(found) & set(nearest)) for found, nearest in zip(answers, exact, strict=True)) / len(exact)


def main():
    results, exact, model, images, *out = sys.argv[1:]
    exact = json.loads(Path(exact).read_text())
    ways = [json.loads(line) for line in Path(results).read_text().splitlines()]
    first, lines = ways[0]["seconds"], []
    for way in ways:
        lines.append([f"{way['name']}, {way['what']}", f"{int(images) / way['seconds']:.1f}", f"{first / way['seconds']:.2f}",
                      f"{way['peak'] / 1e6:.0f}", f"{quantile(way['times'], 0.5):.1f}", f"{quantile(way['times'], 0.99):.1f}",
                      f"{agreement(way['answers'], exact):.2f}"])
    text = f"""### {cpu()}

{today()}, {os.cpu_count()} threads, {model}, {images} pictures, {len(exact)} texts, `{os.environ["COMMAND"]}`.
{versions(PACKAGES)}, {os.environ["SERVER"]}.

{table(HEAD, lines)}
"""
    print(text)
    if out:
        record(out[0], "end to end", cpu(), text)


if __name__ == "__main__":
    main()
