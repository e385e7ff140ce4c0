#!/usr/bin/env python3
"""The collection into a table by a script of Pillow, ONNX Runtime (dynamic int8) and psycopg, and the queries by the same script.

    way_onnxruntime.py MODEL_DIR JPEGS QUERIES      THREADS: of the machine; PRECISION: int8, or f32; DRAFT: libjpeg
                                                    decodes to a half, a quarter or an eighth of the size

Three plans are tried on the first pictures, and the best one is timed on all: a batch decoded by all threads, then embedded by all; the
next batches decoded by all threads meanwhile; half of the threads for each.
"""
import os
import sys
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnxruntime
import way
from PIL import Image, ImageOps
from tokenizers import Tokenizer

sys.path.insert(0, str(Path(__file__).parent.parent))
from engines import onnx_file, sizes

MEAN = np.array([0.48145466, 0.4578275, 0.40821073], dtype=np.float32)
STD = np.array([0.26862954, 0.26130258, 0.27577711], dtype=np.float32)
PILOT = 128
THREADS = int(os.environ["THREADS"])
DRAFT = "DRAFT" in os.environ
HALF = max(1, THREADS // 2)
# (decoding threads, threads of the engine, batches decoded ahead)
PLANS = {"in turns": (THREADS, THREADS, 0), "decoding ahead": (THREADS, THREADS, 2), "halves": (HALF, HALF, 2)}


def pixel_values(file, size):
    """As transformers' CLIPImageProcessorPil: the short side to `size`, the middle, levels to numbers."""
    picture = Image.open(file)
    if DRAFT:
        picture.draft("RGB", (2 * size, 2 * size))
    picture = ImageOps.exif_transpose(picture).convert("RGB")
    short = min(picture.size)
    picture = picture.resize([int(size * side / short) for side in picture.size], Image.Resampling.BICUBIC)
    left, top = ((side - size) // 2 for side in picture.size)
    levels = np.asarray(picture.crop((left, top, left + size, top + size)), dtype=np.float32)
    return ((levels / 255 - MEAN) / STD).transpose(2, 0, 1)


def session(directory, kind, threads):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(str(onnx_file(directory, kind, os.environ["PRECISION"])), options)


def embedded(directory, files, plan):
    """(names, vectors) of each batch."""
    decoders, threads, ahead = PLANS[plan]
    size, _ = sizes(directory)
    images = session(directory, "image", threads)
    batches = [files[first:first + way.BATCH] for first in range(0, len(files), way.BATCH)]
    yield None
    with ThreadPoolExecutor(decoders) as pool:
        waiting, todo = deque(), iter(batches)

        def decode_next():
            for batch in todo:
                waiting.append((batch, [pool.submit(pixel_values, file, size) for file in batch]))
                return

        for _ in range(ahead):
            decode_next()
        for _ in batches:
            decode_next()
            batch, decoding = waiting.popleft()
            pixels = np.stack([one.result() for one in decoding])
            yield [file.name for file in batch], images.run(None, {"x": pixels})[0]


def ready(directory, files, plan):
    """With the model loaded, before the clock starts."""
    batches = embedded(directory, files, plan)
    next(batches)
    return batches


def pilot(directory, files):
    """The fastest plan on the first pictures."""
    taken = {}
    for plan in PLANS:
        batches = ready(directory, files[:PILOT], plan)
        begun = way.start()
        for _ in batches:
            pass
        taken[plan] = way.seconds_since(begun)
    return min(taken, key=taken.get)


def main():
    directory, jpegs, texts = sys.argv[1:]
    files, connection = way.files(jpegs), way.connect()
    plan = pilot(directory, files)
    batches = ready(directory, files, plan)
    words = Tokenizer.from_file(str(Path(directory, "tokenizer.json")))
    words.no_padding()
    tower = session(directory, "text", THREADS)
    dimensions = tower.get_outputs()[0].shape[-1]
    begun = way.start()
    if way.load(connection, batches, dimensions) != len(files):
        raise SystemExit("rows are missing")
    seconds = way.seconds_since(begun)

    def embed(text):
        return tower.run(None, {"x": np.array([words.encode(text).ids])})[0][0]

    way.tell(plan, seconds, *way.ask(way.searcher(connection, embed), int(texts)))


if __name__ == "__main__":
    main()
