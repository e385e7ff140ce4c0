#!/usr/bin/env python3
"""Time JPEG bytes to CLIP's pixel values beside transformers' default image processor, on the same bytes in one run.

    cargo build --release -p clip-core --example pixels
    bench/pixels.py [--rounds R] [--photos DIR] [--program FILE]

Three sizes: 640x480, 1920x1080, 4000x3000, JPEG of quality 90 with 4:2:0 chroma. With --photos they are mosaics of the
folder's JPEGs, which have a photo's detail at any size; without, seeded noise with the spectrum of one. Two cases: one image on
one thread; eight copies of it on two. The reference decodes with Pillow, eight images on a pool of two threads, and gives all to one
call of the processor, or one by one on such a pool if that is faster. The two sides take turns, round by round; the figure is
the best of all rounds.
Needs: torch torchvision transformers pillow numpy (pip).
"""
import argparse, io, os, subprocess, sys, tempfile, time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
import numpy as np, PIL, torch, torchvision, transformers
from PIL import Image
from transformers import CLIPImageProcessor

SIZES = [(640, 480), (1920, 1080), (4000, 3000)]
CASES = [(1, 1), (2, 8)]  # threads, images


def mosaic(folder, size):
    canvas, x, y, row = Image.new("RGB", size), 0, 0, 0
    files = sorted(folder.glob("*.jpg"))
    for i in range(10_000):
        tile = Image.open(files[i % len(files)]).convert("RGB")
        canvas.paste(tile, (x, y))
        x, row = x + tile.width, max(row, tile.height)
        if x >= size[0]:
            x, y, row = 0, y + row, 0
        if y >= size[1]:
            return canvas


def noise(size):
    """Amplitudes that fall with the frequency, as in photos, and some of the sensor's own noise."""
    rng, (w, h) = np.random.default_rng(1), size
    f = np.hypot(np.fft.fftfreq(h)[:, None], np.fft.rfftfreq(w)[None]) + 1 / max(w, h)
    phases = rng.uniform(0, 2 * np.pi, (3, *f.shape))
    planes = np.fft.irfft2(np.exp(1j * phases) / f ** 1.2, s=(h, w))
    planes = planes[:1] + 0.3 * planes
    planes = 128 + 50 * planes / planes.std() + rng.normal(0, 2, planes.shape)
    return Image.fromarray(planes.clip(0, 255).astype("u1").transpose(1, 2, 0))


def theirs(processor, data, threads, images):
    decode = lambda b: Image.open(io.BytesIO(b)).convert("RGB")
    one = lambda b: processor(decode(b), return_tensors="pt")["pixel_values"]
    if images == 1:
        return {"one": lambda: one(data)}, None
    pool = ThreadPoolExecutor(threads)
    return {
        "together": lambda: processor(list(pool.map(decode, [data] * images)), return_tensors="pt")["pixel_values"],
        "one by one": lambda: list(pool.map(one, [data] * images)),
    }, pool


def best(f, seconds=0.5):
    low, start = float("inf"), time.perf_counter()
    while time.perf_counter() - start < seconds:
        t = time.perf_counter()
        f()
        low = min(low, time.perf_counter() - t)
    return low * 1e3


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--rounds", type=int, default=3)
    ap.add_argument("--photos", type=Path)
    ap.add_argument("--program", default="target/release/examples/pixels")
    a = ap.parse_args()
    cpu = next(l.split(":")[1].strip() for l in open("/proc/cpuinfo") if l.startswith("model name"))
    print(f"{time.strftime('%Y-%m-%d')}, {cpu}, Python {sys.version.split()[0]}, transformers {transformers.__version__}, torch "
          f"{torch.__version__}, torchvision {torchvision.__version__}, Pillow {PIL.__version__}; {' '.join(sys.argv)}")
    processor, ms = CLIPImageProcessor(), defaultdict(lambda: float("inf"))
    with tempfile.TemporaryDirectory() as tmp:
        files = {}
        for size in SIZES:
            image = mosaic(a.photos, size) if a.photos else noise(size)
            files[size] = Path(tmp, f"{size[0]}x{size[1]}.jpg")
            image.save(files[size], quality=90)
        for _ in range(a.rounds):
            for threads, images in CASES:
                torch.set_num_threads(threads)
                out = subprocess.run([a.program, str(threads), str(images), *map(str, files.values())], check=True,
                                     capture_output=True, text=True).stdout
                for size, line in zip(SIZES, out.splitlines()):
                    key = size, threads, images, "ours"
                    ms[key] = min(ms[key], float(line.split()[-1]))
                for size, file in files.items():
                    ways, pool = theirs(processor, file.read_bytes(), threads, images)
                    for way in ways.values():
                        key = size, threads, images, "theirs"
                        ms[key] = min(ms[key], best(way))
                    if pool:
                        pool.shutdown()
        print("| JPEG | bytes | threads | images | pg_clip, ms | transformers, ms | ratio |")
        print("|---|---|---|---|---|---|---|")
        for threads, images in CASES:
            for size in SIZES:
                ours, other = ms[size, threads, images, "ours"], ms[size, threads, images, "theirs"]
                print(f"| {size[0]} × {size[1]} | {files[size].stat().st_size:,} | {threads} | {images} | {ours:.2f} | {other:.2f} "
                      f"| {ours / other:.2f} |")


main()
