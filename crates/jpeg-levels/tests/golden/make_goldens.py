#!/usr/bin/env python3
"""Writes the files beside this, and what Pillow makes of them: `expected.tsv` with a line for each file, its size and the FNV-1a hash of its
RGB levels, or `refused`. Its first line names the versions.

`reduced.tsv` has what it makes of them at a half, a quarter and an eighth of the size.

Needs Pillow, numpy, and cjpeg and jpegtran (Debian: libjpeg-turbo-progs).
"""
import io
from pathlib import Path

import numpy as np
import PIL
from PIL import Image, features
from made import SAMPLINGS, SCRIPTS, made, pillow, pnm, segment, tool
from reference import pillow_levels

HERE = Path(__file__).parent


def pictures():
    """Edges, gradients, noise and saturated colours."""
    rng = np.random.default_rng(5)
    y, x = np.mgrid[0:96, 0:96] / 95
    smooth = np.stack([x, y, 1 - x * y], -1) * 255
    waves = 128 + 127 * np.stack([np.sin(40 * x * y), np.sin(23 * x + 9 * y), np.cos(31 * y)], -1)
    blocks = np.kron(rng.integers(0, 2, (12, 12, 3)), np.ones((8, 8, 1))) * 255
    noise = rng.integers(0, 256, (96, 96, 3))
    return [Image.fromarray(a.clip(0, 255).astype("u1")) for a in (smooth, waves, blocks, (smooth + waves + noise) / 3)]


def fnv(data):
    h = 0xCBF29CE484222325
    for b in data:
        h = (h ^ b) * 0x100000001B3 & (1 << 64) - 1
    return h


def scan_at(d):
    """Where the first scan's data begin."""
    at = d.index(b"\xff\xda")
    return at + 2 + int.from_bytes(d[at + 2 : at + 4], "big")


def special(im):
    d = pillow(im, quality=80)
    sof, sos, data = d.index(b"\xff\xc0"), d.index(b"\xff\xda"), scan_at(d)
    progressive = pillow(im, quality=80, progressive=True)
    second = progressive.index(b"\xff\xda", scan_at(progressive))
    adobe = lambda t: segment(0xEE, b"Adobe\0\x64\0\0\0\0" + bytes([t]))
    rgb = pillow(im, keep_rgb=True)
    restarts = pillow(im, quality=60, restart_marker_blocks=2)
    rst = [i for i in range(len(restarts) - 1) if restarts[i] == 0xFF and 0xD0 <= restarts[i + 1] <= 0xD7]
    big = pillow(im.resize((60, 60)), quality=90)
    yield "stray_bytes", d[:sof] + b"stray" + b"\0\xff\0more" + d[sof:]
    yield "fill_bytes", d[:sof] + b"\xff\xff\xff" + d[sof:sos] + b"\xff" + d[sos:]
    yield "bytes_after", d + b"anything" * 50
    yield "no_end_marker", d[:-2]
    yield "no_end_marker_but_bytes", d[:-2] + bytes(300)
    yield "cut", big[: len(big) * 2 // 3]
    yield "cut_progressive", progressive[: second + 150]
    yield "ended_early", big[: len(big) // 2].rstrip(b"\xff") + b"\xff\xd9"
    yield "ended_early_progressive", progressive[:second] + b"\xff\xd9"
    yield "ended_in_scan_progressive", progressive[: second + 60].rstrip(b"\xff") + b"\xff\xd9"
    yield "no_scan", d[:sos] + b"\xff\xd9"
    yield "second_scan", d[:-2] + d[sos:]
    yield "second_picture_inside", d[:-2] + d
    yield "second_frame", d[:sof] + d[sof : sof + 19] + d[sof:]
    yield "tables_first", b"\xff\xd8" + d[20:sof] + b"\xff\xd9" + b"\xff\xd8" + d[sof:]
    yield "no_huffman_tables", d[: d.index(b"\xff\xc4")] + d[sos:]
    yield "no_quantization_table", d[:20] + d[sof:]
    yield "grey_with_adobe", (g := pillow(im.convert("L")))[:2] + adobe(0) + g[2:]
    yield "rgb_with_short_jfif", rgb[:2] + segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1") + rgb[2:]
    yield "rgb_with_jfif", rgb[:2] + segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0") + rgb[2:]
    yield "adobe_cut_short", rgb[:2] + segment(0xEE, adobe(1)[4:-1]) + rgb[2:]
    yield "adobe_transform_9", d[:2] + adobe(9) + d[20:]
    yield "height_0", d[: sof + 5] + b"\0\0" + d[sof + 7 :]
    yield "dnl", d[:-2] + segment(0xDC, b"\0\x10") + d[-2:]
    yield "bits_12", d[: sof + 4] + b"\x0c" + d[sof + 5 :]
    yield "lossless", d[: sof + 1] + b"\xc3" + d[sof + 2 :]
    yield "hierarchical", d[: sof + 1] + b"\xc5" + d[sof + 2 :]
    yield "sampling_3_to_2", d[: sof + 11] + b"\x31" + d[sof + 12 : sof + 14] + b"\x21" + d[sof + 15 :]
    yield "sampling_0", d[: sof + 11] + b"\x01" + d[sof + 12 :]
    yield "two_components", d[: sof + 2] + b"\0\x0e" + d[sof + 4 : sof + 9] + b"\2" + d[sof + 10 : sof + 16] + d[sof + 19 :]
    yield "reserved_marker", d[:sof] + segment(0xF3, b"jpg") + d[sof:]
    yield "restart_missing", restarts[: rst[1]] + restarts[rst[1] + 2 :]
    yield "restart_ahead", restarts[: rst[1] + 1] + b"\xd3" + restarts[rst[1] + 2 :]
    yield "restart_behind", restarts[: rst[2] + 1] + b"\xd1" + restarts[rst[2] + 2 :]
    yield "restart_far", restarts[: rst[1] + 1] + b"\xd5" + restarts[rst[1] + 2 :]
    yield "restart_lost_segment", restarts[: rst[1]] + restarts[rst[2] :]
    yield "bytes_before_restart", restarts[: rst[1]] + b"stray\xff\0bytes" + restarts[rst[1] :]
    yield "marker_in_scan", big[: len(big) // 2] + b"\xff\x02" + big[len(big) // 2 :]
    yield "scan_of_nobody", d[: sos + 5] + b"\x77" + d[sos + 6 :]
    yield "scan_header_odd", d[: data - 3] + b"\0\0\0" + d[data:]


def main():
    for old in HERE.glob("*.jpg"):
        old.unlink()
    images = pictures()
    files = list(made(images, 110, 11, 40))
    base = images[1].crop((0, 0, 37, 29))
    for s in dict.fromkeys(SAMPLINGS):
        for extra in ([], ["-progressive"], ["-arithmetic"]):
            data = tool(["cjpeg", "-quality", "85", "-sample", s] + extra, pnm(base.resize((23, 19))))
            if data:
                files.append(("_".join(["sampled", *s.split(","), *extra]), data))
    for name, script in SCRIPTS.items():
        for s in ("2x2,1x1,1x1", "1x2,1x1,1x1", "1x1,1x1,1x1"):
            data = tool(["jpegtran"], tool(["cjpeg", "-sample", s], pnm(base)), script)
            files.append((f"script_{name}_{s.replace(',', '_')}", data))
    files += [(f"special_{n}", bytes(d)) for n, d in special(images[3].crop((0, 0, 40, 33)))]
    versions = f"# Pillow {PIL.__version__}, libjpeg-turbo {features.version('libjpeg_turbo')}"
    lines, reduced = [versions], [versions]
    for name, data in files:
        (HERE / f"{name}.jpg").write_bytes(data)
        size, levels = pillow_levels(data)
        lines.append(f"{name}\t" + (f"{size[0]}\t{size[1]}\t{fnv(levels):016x}" if size else "refused"))
        if not size and (lenient := pillow_levels(data, lenient=True))[0] and name.startswith("special_cut"):
            (w, h), levels = lenient
            lines[-1] = f"{name}\t{w}\t{h}\t{fnv(levels):016x}\ttruncated"
        for divisor in (2, 4, 8):
            size, levels = pillow_levels(data, divisor=divisor)
            reduced.append(f"{name}\t{divisor}\t" + (f"{size[0]}\t{size[1]}\t{fnv(levels):016x}" if size else "refused"))
    (HERE / "reduced.tsv").write_text("\n".join(reduced) + "\n")
    (HERE / "expected.tsv").write_text("\n".join(lines) + "\n")
    print(len(files), "files,", sum(len(d) for _, d in files), "bytes")


main()
