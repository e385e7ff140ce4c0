"""Makes the AVIF files here, and expected.tsv: size, orientation and a hash of the levels that Pillow gives.

    python make_goldens.py

Needs Pillow with libavif, numpy, and avifenc (Debian: libavif-bin), which makes what Pillow does not: depths above 8 bits, grids,
multiplied colours. Matrices and ranges beyond those that encoders choose are written into the files' `colr` boxes afterwards, as a
decoder has to believe those. expected.tsv says what versions made it.
"""

import io
import struct
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageOps, features

HERE = Path(__file__).parent
files = {}


def picture(width, height, seed, mode="RGB"):
    """Waves, an edge and some noise, all levels among them."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width] / max(width, height)
    channels = []
    for channel in range({"L": 1, "RGB": 3, "RGBA": 4}[mode]):
        a, b, phase = rng.uniform(2, 9, 3)
        wave = 128 + 150 * np.sin(a * x + b * y + phase) + rng.normal(0, 6, x.shape)
        wave[(x + y > 0.9) & (x > y)] = 255 * (channel % 2)
        channels.append(np.clip(wave, 0, 255).astype(np.uint8))
    return Image.fromarray(np.dstack(channels).squeeze())


def by_pillow(name, image, **options):
    out = io.BytesIO()
    image.save(out, "AVIF", speed=8, **options)
    files[name] = out.getvalue()


def screen(width, height, seed):
    """Rectangles and letters of a few colours, as of a program's window."""
    rng = np.random.default_rng(seed)
    image = Image.new("RGB", (width, height), "#eef2f4")
    draw = ImageDraw.Draw(image)
    for _ in range(14):
        x, y, wide, high = (int(n) for n in rng.integers((0, 0, 8, 4), (width, height, 60, 24)))
        colour = tuple(int(n) for n in rng.choice([0, 40, 128, 200, 255], 3))
        if rng.random() < 0.5:
            draw.rectangle((x, y, x + wide, y + high), fill=colour)
        else:
            draw.text((x, y), "SELECT 1;", fill=colour)
    return image


def page(width, height, seed):
    """Lines of words, which are copied within the picture."""
    rng = np.random.default_rng(seed)
    image = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(image)
    words = ["SELECT", "FROM images", "ORDER BY", "embedding", "LIMIT 10;"]
    for y in range(3, height, 14):
        line = " ".join(rng.choice(words, int(rng.integers(2, 9))))
        draw.text((4 + 12 * int(rng.integers(3)), y), line, fill=str(rng.choice(["black", "#0088cc", "#cc3333"])))
    return image


def tools():
    """What libaom uses only when it is asked to, each by its own name."""
    photo, window = picture(150, 135, 70), screen(150, 135, 71)
    for name, options in {
        "segments-variance": {"aq-mode": 1}, "segments-complexity": {"aq-mode": 2}, "segments-cyclic": {"aq-mode": 3},
        "deltas": {"deltaq-mode": 3}, "deltas-loopfilter": {"deltaq-mode": 2, "delta-lf-mode": 1},
        "matrices": {"enable-qm": 1, "qm-min": 2, "qm-max": 9}, "few-transforms": {"reduced-tx-type-set": 1},
        "large-blocks": {"sb-size": 128}, "small-blocks": {"sb-size": 64, "max-partition-size": 8},
        "no-edge-filter": {"enable-intra-edge-filter": 0}, "sharp": {"sharpness": 6}, "restoration": {"enable-restoration": 1, "sb-size": 64},
    }.items():
        for sub, quality in (("4:2:0", 30), ("4:4:4", 80), ("4:2:2", 55)):
            if name in ("deltas", "restoration", "large-blocks", "segments-variance") or sub == "4:2:0":
                by_options(f"tool-{name}-{sub.replace(':', '')}", photo, options, sub, quality, speed=2)
    for name, options in {"window": {}, "palettes": {"enable-intrabc": 0}, "copies": {"enable-palette": 0}}.items():
        for sub, quality in (("4:2:0", 40), ("4:4:4", 75)):
            by_options(f"tool-{name}-{sub.replace(':', '')}", window, options | {"tune-content": "screen"}, sub, quality, speed=2)
    by_options("tool-tiles-420", picture(300, 200, 72), {"sb-size": 64, "enable-restoration": 1}, "4:2:0", 50, speed=6, tile_rows=1, tile_cols=2)
    by_options("tool-tiles-444", picture(300, 200, 73), {"sb-size": 128, "aq-mode": 1}, "4:4:4", 50, speed=6, tile_rows=1, tile_cols=1)
    for name, options, sub, quality in (
        ("page-420", {}, "4:2:0", 75), ("page-444", {"sb-size": 128}, "4:4:4", 50), ("page-422", {"aq-mode": 1}, "4:2:2", 60),
        ("page-few-transforms", {"reduced-tx-type-set": 1}, "4:2:0", 40), ("page-no-palettes", {"enable-palette": 0}, "4:2:0", 60),
        ("page-lossless", {}, "4:4:4", 100),
    ):
        by_options(f"tool-{name}", page(390, 330, 76), options | {"tune-content": "screen"}, sub, quality, speed=2)
    by_options("tool-lossless-420", picture(60, 50, 74), {}, "4:2:0", 100, speed=6)
    by_options("tool-lossless-window", screen(90, 60, 75), {"tune-content": "screen"}, "4:4:4", 100, speed=4)


def by_options(name, image, options, sub, quality, **more):
    out = io.BytesIO()
    advanced = {key: str(value) for key, value in options.items()}
    image.save(out, "AVIF", codec="aom", subsampling=sub, quality=quality, advanced=advanced, **more)
    files[name] = out.getvalue()


def by_avifenc(name, image, *options):
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "a.png"), Path(folder, "a.avif")
        image.save(source)
        subprocess.run(["avifenc", "-j", "1", "-s", "8", *options, source, target], check=True, capture_output=True)
        files[name] = target.read_bytes()


def recolour(name, of, primaries, matrix, full):
    """The same file with other numbers in `colr`."""
    data = bytearray(files[of])
    at = data.index(b"colrnclx") + 8
    data[at : at + 7] = bytes([0, primaries, 0, 13, 0, matrix, 0x80 if full else 0])
    files[name] = bytes(data)


def replaced(data, old, new):
    """A grid of another size, of the same tiles: both in the item and in its `ispe`."""
    for number in (">HH", ">II"):
        assert data.count(struct.pack(number, *old)) == 1
        data = data.replace(struct.pack(number, *old), struct.pack(number, *new))
    return data


def fnv1a(image):
    hash = 0xCBF29CE484222325
    for byte in image.tobytes():
        hash = (hash ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return f"{hash:016x}"


def main():
    quality = ["--min", "10", "--max", "20"]
    # Subsampling, range and odd sizes.
    for i, (sub, size) in enumerate(zip(["4:2:0", "4:2:2", "4:4:4", "4:0:0"] * 3, [(24, 18), (25, 19), (1, 1), (23, 16)] * 3)):
        size = size if i % 4 != i // 4 else (21, 33)
        kind = picture(*size, i, "L" if sub == "4:0:0" else "RGB")
        for limits in ("full", "limited"):
            by_pillow(f"8-{sub.replace(':', '')}-{size[0]}x{size[1]}-{limits}", kind, subsampling=sub, range=limits, quality=70)
    by_pillow("8-444-lossless", picture(20, 17, 30), quality=100, subsampling="4:4:4")
    by_pillow("8-420-2x2", picture(2, 2, 31), quality=90)
    by_pillow("8-420-3x1", picture(3, 1, 32), quality=90)
    by_pillow("8-420-1x3", picture(1, 3, 33), quality=90)
    by_pillow("grain", picture(32, 32, 34), quality=30, codec="aom", advanced={"film-grain-test": "5"})
    # Depths.
    for depth in ("10", "12"):
        for sub in ("420", "422", "444", "400"):
            for limits in ("full", "limited"):
                by_avifenc(f"{depth}-{sub}-{limits}", picture(23, 17, 40), "-d", depth, "-y", sub, "-r", limits, *quality)
        by_avifenc(f"{depth}-identity", picture(23, 17, 41), "-d", depth, "-l")
    by_avifenc("8-identity", picture(23, 17, 42), "-d", "8", "-l")
    # Alpha, which is dropped, and by which libavif converts otherwise.
    by_pillow("8-420-alpha", picture(22, 17, 50, "RGBA"), quality=70)
    for depth in ("10", "12"):
        for sub in ("420", "422", "444", "400"):
            by_avifenc(f"{depth}-{sub}-alpha", picture(23, 18, 51, "RGBA"), "-d", depth, "-y", sub, *quality)
    by_avifenc("8-400-alpha", picture(23, 18, 52, "RGBA"), "-d", "8", "-y", "400", "-r", "limited", *quality)
    for depth in ("8", "10", "12"):
        for sub in ("420", "444"):
            by_avifenc(f"{depth}-{sub}-multiplied", picture(23, 18, 53, "RGBA"), "-p", "-d", depth, "-y", sub, *quality)
    # Matrices.
    for base, depths in (("8-420-24x18-full", "8-420"), ("8-444-lossless", "8-444"), ("10-422-full", "10-422"), ("12-444-full", "12-444")):
        for primaries, matrix in ((1, 1), (1, 2), (1, 4), (1, 5), (1, 7), (9, 9), (1, 12), (12, 12), (6, 12), (1, 8)):
            for full in (True, False):
                recolour(f"{depths}-matrix{matrix}-{primaries}-{'full' if full else 'limited'}", base, primaries, matrix, full)
    recolour("8-444-identity-limited", "8-identity", 1, 0, False)
    recolour("10-identity-limited", "10-identity", 1, 0, False)
    recolour("10-444-matrix16", "10-444-full", 1, 16, True)
    for matrix in (0, 3, 10, 11, 13, 14):
        recolour(f"8-420-matrix{matrix}", "8-420-24x18-full", 1, matrix, True)
    tools()
    # Containers.
    by_avifenc("grid", picture(128, 128, 60), "--grid", "2x2", *quality)
    by_avifenc("grid-444", picture(128, 70, 61), "--grid", "2x1", "-y", "444", *quality)
    files["grid-cut"] = replaced(files["grid-444"], (128, 70), (101, 67))
    by_pillow("sequence", picture(20, 18, 62), save_all=True, append_images=[picture(20, 18, 63)], quality=60)
    for turn in range(2, 9):
        exif = Image.Exif()
        exif[0x0112] = turn
        by_pillow(f"turn{turn}", picture(21, 16, 64), exif=exif, quality=60)
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    by_pillow("xmp-turn", picture(21, 16, 65), xmp=xmp, quality=60)
    by_avifenc("clap", picture(24, 16, 66), "--clap", "12,1,8,1,0,1,0,1", *quality)

    large = HERE.parent / "large"
    large.mkdir(exist_ok=True)
    # A second of work in a kilobyte.
    Image.new("RGB", (7000, 6000), (200, 80, 30)).save(large / "flat.avif", quality=60, speed=8)

    # What it takes in memory.
    for depth, chroma in (8, 420), (8, 444), (10, 420), (10, 444), (12, 422), (8, 400):
        name, image = f"flat-{depth}-{chroma}", Image.new("RGB", (4000, 3000), (200, 80, 30))
        by_avifenc(name, image, "--depth", str(depth), "--yuv", str(chroma))
        large.joinpath(f"{name}.avif").write_bytes(files.pop(name))

    grain = {"codec": "aom", "advanced": {"film-grain-test": "5"}}
    Image.new("RGB", (900, 400), (200, 80, 30)).save(large / "grain.avif", quality=60, speed=8, **grain)

    for old in HERE.glob("*.avif"):
        old.unlink()
    with open(HERE / "expected.tsv", "w") as table:
        avifenc = subprocess.run(["avifenc", "--version"], capture_output=True, text=True).stdout.split()[1]
        print(f"# Pillow {Image.__version__}, libavif {features.version('avif')}; files above 8 bits by avifenc {avifenc}", file=table)
        print("# name, width, height, orientation, FNV-1a of the levels as stored and of those turned upright; `refused` where Pillow fails", file=table)
        for name, data in sorted(files.items()):
            (HERE / f"{name}.avif").write_bytes(data)
            try:
                with Image.open(io.BytesIO(data)) as image:
                    turn = image.getexif().get(0x0112, 1)
                    levels = image.convert("RGB")
                    upright = ImageOps.exif_transpose(image).convert("RGB")
            except (OSError, ValueError, RuntimeError) as error:
                print(name, "refused", sep="\t", file=table)
                print(f"{name}: {error}")
                continue
            print(name, *levels.size, turn, fnv1a(levels), fnv1a(upright), sep="\t", file=table)
    print(len(files), "files,", sum(map(len, files.values())), "bytes")


if __name__ == "__main__":
    main()
