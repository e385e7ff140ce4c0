#!/usr/bin/env python3
"""Write what transformers makes of pictures of many aspects with models/tiny-siglip2-naflex: naflex.safetensors.

    make_naflex.py
    make_naflex.py --model DIR --out FILE     of another such model, of any size

Each picture is a BMP file. Its levels are resized by Pillow, as everywhere here (Siglip2ImageProcessorPil); transformers takes
torchvision where that is installed, and the script prints how far apart the two are.
    file.NAME    u8 [bytes]
    values.NAME  f32 [3, height, width]  the vision tower's input
    embed.NAME   f32 [D]                 of length one
"""
import argparse
import io
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file
from transformers.models.siglip2.image_processing_pil_siglip2 import Siglip2ImageProcessorPil
from transformers.models.siglip2.image_processing_siglip2 import Siglip2ImageProcessor

import make_embeddings
from versions import HERE, record

# width and height: the table as it is, flatter, taller, enlarged from one pixel, strips of one patch
SIZES = dict(square=(16, 16), wide=(61, 22), tall=(19, 55), large=(90, 67), dot=(1, 1), row=(80, 2), column=(1, 40), odd=(33, 31))
FULL = dict(square=(256, 256), wide=(640, 360), tall=(300, 700), strip=(900, 20))


def picture(size, rng):
    """Smooth colours and noise, so that a resize shows."""
    width, height = size
    x, y = np.meshgrid(np.linspace(0, 255, width), np.linspace(255, 0, height))
    levels = np.stack([x, y, (x + y) / 2], -1) * 0.6 + rng.integers(0, 100, (height, width, 3))
    return Image.fromarray(levels.clip(0, 255).astype(np.uint8), "RGB")


def unpatched(patches, shape, patch):
    """[rows * columns, patch * patch * 3] -> [3, height, width]"""
    rows, columns = shape
    return (patches[:rows * columns].reshape(rows, columns, patch, patch, 3).permute(4, 0, 2, 1, 3)
            .reshape(3, rows * patch, columns * patch))


@torch.no_grad()
def write(directory, out, sizes):
    model, tensors, worst = make_embeddings.load(directory), {}, 0.0
    processor = Siglip2ImageProcessorPil.from_pretrained(directory)
    other = Siglip2ImageProcessor.from_pretrained(directory)
    rng = np.random.Generator(np.random.PCG64(20261201))
    for name, size in sizes.items():
        image, file = picture(size, rng), io.BytesIO()
        image.save(file, "BMP")
        inputs = processor(image, return_tensors="pt")
        embed = model.get_image_features(**inputs).pooler_output[0]
        shape = inputs["spatial_shapes"][0].tolist()
        theirs = other(image, return_tensors="pt")
        assert theirs["spatial_shapes"][0].tolist() == shape
        worst = max(worst, (theirs["pixel_values"] - inputs["pixel_values"]).abs().max().item() * 127.5)
        tensors[f"file.{name}"] = torch.tensor(list(file.getvalue()), dtype=torch.uint8)
        tensors[f"values.{name}"] = unpatched(inputs["pixel_values"][0], shape, processor.patch_size).contiguous()
        tensors[f"embed.{name}"] = embed / embed.norm()
        print(f"{name}: {size[0]} x {size[1]} becomes {shape[1]} x {shape[0]} patches")
    save_file(tensors, out, metadata={"format": "pt"})
    print(f"torchvision's levels are within {worst:.2f} of Pillow's")


def main():
    args = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    args.add_argument("--model", type=Path, metavar="DIR")
    args.add_argument("--out", type=Path, metavar="FILE")
    args = args.parse_args()
    torch.set_num_threads(1)
    if args.model:
        write(args.model, args.out, FULL)
    else:
        write(HERE / "models/tiny-siglip2-naflex", HERE / "naflex.safetensors", SIZES)
        record("make_naflex.py", "pillow", "torchvision")


if __name__ == "__main__":
    main()
