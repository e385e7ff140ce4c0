#!/usr/bin/env python3
"""The collection into a table by a script of transformers (CLIPProcessor, CLIPModel), and the queries by the same script.

    way_pytorch.py MODEL_DIR JPEGS QUERIES      THREADS: of the machine
    way_pytorch.py MODEL_DIR JPEGS QUERIES FILE writes the exact answers of the vectors in f32 instead

Three plans are tried on the first pictures, and the best one is timed on all: PyTorch's DataLoader without a process of its own, and with
as many, or half as many, as there are threads.
"""
import json
import os
import sys
from pathlib import Path

import numpy as np
import torch
import way
from PIL import Image, ImageOps
from torch.utils.data import DataLoader, Dataset
from transformers import CLIPImageProcessorPil, CLIPModel, CLIPProcessor

PILOT = 128
THREADS = int(os.environ["THREADS"])
HALF = max(1, THREADS // 2)
# (processes that decode, threads of the model)
PLANS = {"in turns": (0, THREADS), "decoding ahead": (THREADS, THREADS), "halves": (HALF, HALF)}


class Pictures(Dataset):
    def __init__(self, files, processor):
        self.files, self.processor = files, processor

    def __len__(self):
        return len(self.files)

    def __getitem__(self, index):
        file = self.files[index]
        picture = ImageOps.exif_transpose(Image.open(file)).convert("RGB")
        return file.name, self.processor(images=picture, return_tensors="pt")["pixel_values"][0]


def features(output):
    """A tensor, or an object around it: this differs by transformers' version."""
    return way.unit(getattr(output, "pooler_output", output).float().numpy())


def embedded(model, processor, files, plan):
    """(names, vectors) of each batch."""
    processes, threads = PLANS[plan]
    torch.set_num_threads(threads)
    for names, pixels in DataLoader(Pictures(files, processor), batch_size=way.BATCH, num_workers=processes):
        yield names, features(model.get_image_features(pixel_values=pixels))


def pilot(model, processor, files):
    """The fastest plan on the first pictures."""
    taken = {}
    for plan in PLANS:
        begun = way.start()
        for _ in embedded(model, processor, files[:PILOT], plan):
            pass
        taken[plan] = way.seconds_since(begun)
    return min(taken, key=taken.get)


def text_embedder(model, processor):
    def embed(text):
        return features(model.get_text_features(**processor(text=[text], return_tensors="pt", padding=True)))[0]
    return embed


def exact_answers(directory, files, texts, out):
    """Of the vectors in f32, with the processor that resizes as Pillow does: all of them compared with each text."""
    model, processor = CLIPModel.from_pretrained(directory, dtype=torch.float32).eval(), CLIPProcessor.from_pretrained(directory)
    names, vectors = [], []
    for batch, found in embedded(model, CLIPImageProcessorPil.from_pretrained(directory), files, "decoding ahead"):
        names += batch
        vectors.append(found)
    vectors, embed = np.concatenate(vectors), text_embedder(model, processor)
    nearest = [np.argsort(-(vectors @ embed(text)))[:10] for text in way.collection.queries(texts)]
    Path(out).write_text(json.dumps([[names[i] for i in ten] for ten in nearest]))


def main():
    torch.set_grad_enabled(False)
    directory, jpegs, texts, *out = sys.argv[1:]
    files = way.files(jpegs)
    if out:
        exact_answers(directory, files, int(texts), out[0])
        return
    model, processor = CLIPModel.from_pretrained(directory).eval(), CLIPProcessor.from_pretrained(directory)
    connection = way.connect()
    plan = pilot(model, processor, files)
    begun = way.start()
    if way.load(connection, embedded(model, processor, files, plan), model.config.projection_dim) != len(files):
        raise SystemExit("rows are missing")
    seconds = way.seconds_since(begun)
    torch.set_num_threads(THREADS)
    way.tell(plan, seconds, *way.ask(way.searcher(connection, text_embedder(model, processor)), int(texts)))


if __name__ == "__main__":
    main()
