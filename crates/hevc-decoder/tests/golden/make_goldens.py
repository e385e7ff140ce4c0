#!/usr/bin/env python3
"""Makes this directory's files: small HEVC streams by x265, and in expected.tsv what ffmpeg decodes of them.

    make_goldens.py

Needs: ffmpeg and x265 (apt-get install ffmpeg x265). Streams carry the encoder's own hashes, which ffmpeg has to find right.
"""
import pathlib
import subprocess
import tempfile

import raw_blocks

HERE = pathlib.Path(__file__).parent
LARGEST = 8000  # bytes

MOVING = "testsrc2=s={size}:r=10"
TURNING = MOVING + ",rotate=a=n/20:c=gray"
FADING = MOVING + ",fade=t=in:s=0:n=8"
ZOOMING = "mandelbrot=s={size}:r=10:end_scale=0.2:maxiter=100"
LIFE = "life=s={size}:r=10:mold=10:ratio=0.05:seed=1"

# Name, size, pixels, frames, source, x265's arguments.
STREAMS = [
    ("intra", "98x66", "yuv420p", 3, MOVING, "--keyint 1"),
    ("p", "98x66", "yuv420p", 8, TURNING, "--bframes 0 --ref 1 --no-weightp"),
    ("p-references", "98x66", "yuv420p", 10, TURNING, "--bframes 0 --ref 5 --no-temporal-mvp --preset slow"),
    ("p-weights", "98x66", "yuv420p", 10, FADING, "--bframes 0 --ref 3 --weightp"),
    ("b", "136x72", "yuv420p", 10, TURNING, "--bframes 3 --no-weightp"),
    ("b-pyramid", "98x66", "yuv420p", 16, MOVING, "--bframes 8 --b-pyramid --ref 4"),
    ("b-weights", "98x66", "yuv420p", 12, FADING, "--bframes 3 --weightb --weightp --ref 4"),
    ("b-low-delay", "98x66", "yuv420p", 6, ZOOMING, "--bframes 2 --no-b-pyramid --crf 40"),
    ("parts", "128x64", "yuv420p", 8, TURNING, "--rect --amp --ctu 64 --preset slow"),
    ("parts-smallest", "98x66", "yuv420p", 8, TURNING, "--rect --amp --ctu 16 --min-cu-size 8 --preset slow --crf 32"),
    ("parts-16", "98x66", "yuv420p", 8, TURNING, "--rect --ctu 32 --min-cu-size 16 --preset slow"),
    ("merge-1", "98x66", "yuv420p", 8, ZOOMING, "--max-merge 1 --ctu 32"),
    ("merge-5", "98x66", "yuv420p", 8, ZOOMING, "--max-merge 5"),
    ("open", "98x66", "yuv420p", 20, MOVING, "--open-gop --keyint 5 --min-keyint 5 --bframes 3 --no-scenecut"),
    ("closed", "98x66", "yuv420p", 12, MOVING, "--no-open-gop --keyint 5 --min-keyint 5 --bframes 2 --no-scenecut"),
    ("long", "64x64", "yuv420p", 40, MOVING, "--keyint 250 --crf 44 --no-scenecut"),
    ("refresh", "98x66", "yuv420p", 12, TURNING, "--intra-refresh --keyint 6 --bframes 0"),
    ("wavefront", "136x72", "yuv420p", 5, TURNING, "--wpp --ctu 16"),
    ("slices", "66x130", "yuv420p", 5, TURNING, "--slices 3 --ctu 16"),
    ("slices-wavefront", "66x130", "yuv420p", 5, TURNING, "--slices 2 --ctu 32 --wpp"),
    ("trees", "98x66", "yuv420p", 6, TURNING, "--tu-inter-depth 4 --tu-intra-depth 4 --limit-tu 0 --preset slow"),
    ("trees-8", "98x66", "yuv420p", 6, TURNING, "--max-tu-size 8 --rect --preset slow"),
    ("constrained", "98x66", "yuv420p", 6, ZOOMING, "--constrained-intra --crf 40"),
    ("lossless", "64x64", "yuv420p", 4, MOVING, "--lossless"),
    ("lossless-units", "98x66", "yuv420p", 6, MOVING, "--cu-lossless --crf 32"),
    ("skip", "98x66", "yuv420p", 6, MOVING, "--tskip --crf 32"),
    ("lists", "98x66", "yuv420p", 6, TURNING, "--scaling-list default"),
    ("quantisers", "98x66", "yuv420p", 8, TURNING, "--aq-mode 3 --qg-size 8 --cbqpoffs 5 --crqpoffs -6"),
    ("no-deblock", "98x66", "yuv420p", 6, TURNING, "--no-deblock --no-sao"),
    ("deblock", "98x66", "yuv420p", 6, TURNING, "--deblock 4:-2 --crf 36"),
    ("ten", "98x66", "yuv420p10le", 8, FADING, "--weightb --crf 37"),
    ("twelve", "98x66", "yuv420p12le", 6, TURNING, "--crf 37"),
    ("narrow", "98x66", "yuv422p", 6, TURNING, "--crf 37"),
    ("narrow-ten", "98x66", "yuv422p10le", 8, FADING, "--rect --amp --preset slow --weightb --crf 37"),
    ("full", "98x66", "yuv444p", 6, TURNING, "--crf 37"),
    ("full-twelve", "98x66", "yuv444p12le", 6, FADING, "--crf 37 --ctu 16"),
    ("grey", "98x66", "gray", 6, TURNING, "--weightb"),
    ("grey-ten", "98x66", "gray10le", 6, FADING, "--weightb"),
]
# By raw_blocks.py: name, whether filters leave them as they are, bits of luma and of chroma.
RAW = [("raw", False, (8, 8)), ("raw-exact", True, (7, 5))]
KINDS = {"gray": "i400", "yuv420p": "i420", "yuv422p": "i422", "yuv444p": "i444"}


def run(*command):
    return subprocess.run([str(part) for part in command], check=True, capture_output=True, timeout=30)


def fnv(samples):
    value = 0xcbf29ce484222325
    for sample in samples:
        value = (value ^ sample) * 0x100000001b3 & (1 << 64) - 1
    return value


def encode(folder, name, size, pixels, frames, source, arguments):
    depth = int(pixels[-4:-2]) if pixels.endswith("le") else 8
    raw = folder / "raw"
    run("ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", source.format(size=size), "-frames:v", frames,
        "-pix_fmt", pixels, "-f", "rawvideo", raw)
    stream = HERE / f"{name}.hevc"
    kind = KINDS[pixels.removesuffix(f"{depth}le")]
    run("x265", "--log-level", "none", "--pools", "1", "--frame-threads", "1", "--hash", "1", "--no-info", "--crf", "37",
        "--output-depth", depth, "--input-depth", depth, "--input-csp", kind, "--input-res", size, "--fps", "10",
        *arguments.split(), "--input", raw, "-o", stream)
    return stream, depth


def main():
    for old in HERE.glob("*.hevc"):
        old.unlink()
    versions = [
        run("ffmpeg", "-version").stdout.decode().split()[2],
        subprocess.run(["x265", "-V"], capture_output=True, text=True).stderr.split("version ")[1].split()[0],
    ]
    lines = ["# ffmpeg {}, x265 {}: name, width, height, depth, pictures, FNV-1a of their samples, plane by plane".format(*versions)]
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        for name, size, pixels, frames, source, arguments in STREAMS:
            stream, depth = encode(folder, name, size, pixels, frames, source, arguments)
            decoded = run("ffmpeg", "-v", "info", "-threads", "1", "-err_detect", "crccheck", "-i", stream, "-vsync", "0",
                          "-f", "rawvideo", "-pix_fmt", pixels, "-y", folder / "decoded")
            if b"mismatching" in decoded.stderr or stream.stat().st_size > LARGEST:
                print(f"{name}: {stream.stat().st_size} bytes, or ffmpeg finds another hash than the encoder")
                stream.unlink()
                continue
            data = (folder / "decoded").read_bytes()
            samples = data if depth == 8 else memoryview(data).cast("H")
            width, height = size.split("x")
            lines.append("\t".join([name, width, height, str(depth), str(frames), f"{fnv(samples):016x}"]))
        for name, exact, depths in RAW:
            stream = HERE / f"{name}.hevc"
            stream.write_bytes(raw_blocks.stream(3, 2, exact, depths))
            data = run("ffmpeg", "-v", "error", "-xerror", "-i", stream, "-f", "rawvideo", "-pix_fmt", "yuv420p", "-")
            lines.append("\t".join([name, "48", "32", "8", "1", f"{fnv(data.stdout):016x}"]))
    (HERE / "expected.tsv").write_text("\n".join(lines) + "\n")


main()
