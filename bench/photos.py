#!/usr/bin/env python3
"""Vectors of JPEG photos beside transformers' own, both in f32: the largest difference of a component and the least cosine.

    bench/photos.py --model DIRECTORY [--pgclip FILE] PHOTO...

The model is a directory of the Hugging Face layout with a CLIP of any weights. The reference decodes with Pillow, prepares with the
Pillow-based image processor and runs CLIPModel. Prints a row of a table. Needs: torch transformers pillow numpy (pip).
"""
import argparse
import json
import subprocess
import tempfile

import numpy as np
import PIL
import torch
import transformers
from PIL import Image, ImageOps
from transformers import CLIPImageProcessorPil, CLIPModel


def reference(directory, photos):
    model = CLIPModel.from_pretrained(directory, dtype=torch.float32).eval()
    processor = CLIPImageProcessorPil.from_pretrained(directory)
    for photo in photos:
        picture = ImageOps.exif_transpose(Image.open(photo)).convert("RGB")
        with torch.no_grad():
            vector = model.get_image_features(**processor(picture, return_tensors="pt"))
        vector = getattr(vector, "pooler_output", vector)[0].double().numpy()
        yield vector / np.linalg.norm(vector)


def ours(pgclip, directory, photos):
    with tempfile.TemporaryDirectory() as models:
        subprocess.run([pgclip, "import", directory, "--name", "model", "--model-dir", models], check=True, capture_output=True)
        images = [word for photo in photos for word in ("--image", photo)]
        command = [pgclip, "embed", "model", "--model-dir", models, "--precision", "f32", *images]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [np.array(json.loads(line)["embedding"]) for line in output.splitlines()]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", required=True)
    parser.add_argument("--pgclip", default="target/release/pgclip")
    parser.add_argument("photos", nargs="+")
    a = parser.parse_args()
    pairs = list(zip(reference(a.model, a.photos), ours(a.pgclip, a.model, a.photos), strict=True))
    largest = max(np.abs(x - y).max() for x, y in pairs)
    cosine = min(x @ y / np.linalg.norm(y) for x, y in pairs)
    versions = f"transformers {transformers.__version__}, torch {torch.__version__}, Pillow {PIL.__version__}"
    print(f"| {len(pairs)} | {largest:.1e} | {1 - cosine:.1e} | {versions} |")


main()
