"""JPEG files of every kind, from any pictures: by Pillow, by cjpeg and jpegtran (Debian's libjpeg-turbo-progs), and by hand.

`made(pictures, count, seed, largest)` yields (name, bytes) pairs. The name tells how.
"""
import io, os, random, struct, subprocess, tempfile

SAMPLINGS = [
    "1x1,1x1,1x1", "2x1,1x1,1x1", "2x2,1x1,1x1", "1x2,1x1,1x1", "4x1,1x1,1x1", "1x4,1x1,1x1", "4x2,1x1,1x1", "2x4,1x1,1x1",
    "3x1,1x1,1x1", "3x2,1x1,1x1", "2x2,2x1,1x2", "2x2,1x2,2x1", "2x1,1x1,2x1", "1x1,2x2,2x2", "2x2,2x2,1x1", "1x2,1x1,1x2",
    "4x1,2x1,1x1", "1x1,2x1,1x2", "2x2,2x2,2x2", "4x2,1x1,1x1", "1x1,1x2,2x2", "1x4,1x2,1x1",
]

SCRIPTS = {  # for three components
    "each": "0;\n1;\n2;\n",
    "back": "2;\n1;\n0;\n",
    "pair": "0;\n1 2;\n",
    "two": "0 1;\n2;\n",
    "prog": "0 1 2: 0-0, 0, 0;\n0: 1-63, 0, 0;\n1: 1-63, 0, 0;\n2: 1-63, 0, 0;\n",
    "progback": "2: 0-0, 0, 0;\n1: 0-0, 0, 0;\n0: 0-0, 0, 0;\n1: 1-63, 0, 0;\n2: 1-63, 0, 0;\n0: 1-63, 0, 0;\n",
    "refined": "0 1 2: 0-0, 0, 3;\n0: 1-63, 0, 3;\n1: 1-63, 0, 3;\n2: 1-63, 0, 3;\n" + "".join(
        f"0 1 2: 0-0, {h}, {h - 1};\n" + "".join(f"{c}: 1-63, {h}, {h - 1};\n" for c in range(3)) for h in (3, 2, 1)),
}


def tool(args, data, script=None):
    """What cjpeg or jpegtran makes of it; None where it refuses."""
    with tempfile.TemporaryDirectory() as d:
        if script:
            open(f"{d}/s", "w").write(script)
            args = args + ["-scans", f"{d}/s"]
        run = subprocess.run(args, input=data, capture_output=True)
        return run.stdout if run.returncode == 0 and run.stdout[:2] == b"\xff\xd8" else None


def pnm(im):
    b = io.BytesIO()
    im.save(b, "PPM")
    return b.getvalue()


def pillow(im, **k):
    b = io.BytesIO()
    im.save(b, "JPEG", **k)
    return b.getvalue()


def segment(marker, body):
    return bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2) + body


def standard_tables():
    """The Huffman tables of a file that has the usual ones."""
    from PIL import Image
    d = pillow(Image.new("RGB", (8, 8)))
    out, at = b"", 2
    while d[at + 1] != 0xDA:
        n = struct.unpack(">H", d[at + 2 : at + 4])[0]
        if d[at + 1] == 0xC4:
            out += d[at : at + 2 + n]
        at += 2 + n
    return out


def by_hand(rng, size, tables, progressive=False, arithmetic=False):
    """Headers of any kind and scans of random bits: codes that no table has, runs out of the block, extreme coefficients."""
    w, h = size
    n = rng.choice([1, 3, 3, 3, 4, 4])
    while True:
        factors = [(rng.choice([1, 1, 1, 2, 2, 3, 4]), rng.choice([1, 1, 1, 2, 2, 3, 4])) for _ in range(n)]
        across, down = max(f[0] for f in factors), max(f[1] for f in factors)
        if all(across % a == 0 and down % b == 0 for a, b in factors):
            break
    ids = rng.choice([[1, 2, 3, 4], [0, 1, 2, 3], [82, 71, 66, 65]])[:n]
    out = b"\xff\xd8"
    if rng.random() < 0.3:
        out += segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0")
    if rng.random() < 0.5:
        out += segment(0xEE, b"Adobe\0\x64\0\0\0\0" + bytes([rng.choice([0, 1, 2, 2, 7])]))
    for i in range(2):
        top = rng.choice([1, 3, 16, 40, 255])
        out += segment(0xDB, bytes([i]) + bytes(rng.randint(1, top) for _ in range(64)))
    if rng.random() < 0.2:
        out += segment(0xDB, b"\x11" + b"".join(struct.pack(">H", rng.choice([1, 9, 300, 40000, 65535])) for _ in range(64)))
    if progressive:
        marker = 0xCA if arithmetic else 0xC2
    else:
        marker = 0xC9 if arithmetic else rng.choice([0xC0, 0xC1])
    out += segment(marker, bytes([8]) + struct.pack(">HHB", h, w, n)
                   + b"".join(bytes([i, a << 4 | b, rng.randint(0, 1)]) for i, (a, b) in zip(ids, factors)))
    out += tables
    if rng.random() < 0.4:
        out += segment(0xDD, struct.pack(">H", rng.choice([1, 2, 3, 7, 50])))

    def bits():
        count = rng.randint(1, max(8, int(w * h * n * rng.choice([0.02, 0.2, 0.6]))))
        kind = rng.random()
        if kind < 0.5:
            data = rng.randbytes(count)
        else:  # codes of few bits: fewer extremes
            data = bytes(rng.choice([0x00, 0x0A, 0xA0, 0x50, 0x28, 0x95, 0x2B, 0xFF]) for _ in range(count))
        data = data.replace(b"\xff", b"\xff\0")
        if rng.random() < 0.4:
            parts = [data[i : i + 40] for i in range(0, len(data), 40)]
            data = b"".join(p.rstrip(b"\xff") + b"\xff" + bytes([0xD0 + (i + (rng.random() < 0.05)) % 8])
                            for i, p in enumerate(parts))
        return data

    def sos(cs, a=0, b=63, hi=0, lo=0):
        return segment(0xDA, bytes([len(cs)]) + b"".join(bytes([ids[c], rng.choice([0x00, 0x11])]) for c in cs)
                       + bytes([a, b, hi << 4 | lo])) + bits()

    if progressive:
        single = sum(a * b for a, b in factors) > 10
        for hi, lo in [(0, 2), (2, 1), (1, 0)] if rng.random() < 0.5 else [(0, 0)]:
            for cs in [[c] for c in range(n)] if single else [list(range(n))]:
                out += sos(cs, 0, 0, hi, lo)
            for c in range(n):
                if rng.random() < 0.8:
                    cut = rng.choice([5, 63])
                    out += sos([c], 1, cut, hi, lo)
                    if cut < 63 and rng.random() < 0.8:
                        out += sos([c], cut + 1, 63, hi, lo)
    elif sum(a * b for a, b in factors) <= 10 and rng.random() < 0.7:
        out += sos(list(range(n)))
    else:
        out += b"".join(sos([c]) for c in range(n))
    return out + b"\xff\xd9"


def length(rng, largest):
    return rng.choice([rng.randint(1, 20), rng.randint(1, 70), rng.randint(1, 300), rng.randint(1, largest)])


def made(pictures, count, seed, largest=4000):
    rng = random.Random(seed)
    tables = standard_tables()
    i = 0
    while i < count:
        w, h = length(rng, largest), length(rng, largest * 3 // 4)
        q = rng.choice([1, 10, 30, 50, 75, 85, 90, 95, 100])
        kind = rng.choice(["pillow", "cjpeg", "cjpeg", "cjpeg", "jpegtran", "cmyk", "adobe", "hand", "hand", "cut"])
        if kind == "hand":
            w, h = min(w, 300), min(h, 300)
        im = pictures[rng.randrange(len(pictures))].resize((w, h))
        name, data = f"{i:05}_{kind}_{w}x{h}_q{q}", None
        if kind in ("pillow", "adobe", "cut"):
            k = dict(quality=q, subsampling=rng.choice([0, 1, 2]), progressive=rng.random() < 0.4, optimize=rng.random() < 0.3)
            if rng.random() < 0.2:
                im = im.convert("L")
                del k["subsampling"]
            elif rng.random() < 0.2:
                k.update(keep_rgb=True, subsampling=0)
            if rng.random() < 0.3:
                k["restart_marker_blocks"] = rng.choice([1, 2, 5, 33])
            data = pillow(im, **k)
            name += "".join(f"_{a}{b}" for a, b in k.items() if a != "quality") + "_" + im.mode
            if kind == "adobe":
                mark = segment(0xEE, b"Adobe\0\x64\0\0\0\0" + bytes([rng.choice([0, 1, 2])]))
                data = data[:2] + mark + data[2:] if rng.random() < 0.5 else data[:2] + mark + data[20:]
            elif kind == "cut":  # the second half is lost, but the end marker is there
                data = data[: rng.randint(len(data) // 3, len(data) - 2)].rstrip(b"\xff") + b"\xff\xd9"
        elif kind == "cmyk":
            k = dict(quality=q, progressive=rng.random() < 0.4)
            if rng.random() < 0.5:
                k["subsampling"] = rng.choice([0, 1, 2])
            data = bytearray(pillow(im.convert("CMYK"), **k))
            at = data.find(b"Adobe")
            if rng.random() < 0.5 and at > 0:
                data[at + 11] = rng.choice([2, 2, 1])
                name += f"_transform{data[at + 11]}"
            data = bytes(data)
        elif kind == "hand":
            p, a = rng.random() < 0.4, rng.random() < 0.3
            name += f"_prog{p}_arith{a}"
            data = by_hand(rng, (w, h), tables, p, a)
        else:
            args = ["cjpeg", "-quality", str(q), "-sample", s := rng.choice(SAMPLINGS)]
            name += "_" + s.replace(",", "_")
            script = None
            if rng.random() < 0.25:
                args, name = args + ["-arithmetic"], name + "_arith"
            if rng.random() < 0.15:
                args, name = args + ["-rgb"], name + "_rgb"
            if rng.random() < 0.3:
                args, name = args + ["-restart", r := rng.choice(["1", "2", "3B", "10B"])], name + "_r" + r
            if rng.random() < 0.4:
                args, name = args + ["-progressive"], name + "_prog"
            if kind == "jpegtran" or rng.random() < 0.2:
                script = SCRIPTS[s := rng.choice(list(SCRIPTS))]
                name += "_" + s
            if kind == "jpegtran":
                if (base := tool([a for a in args if a != "-progressive"], pnm(im.convert("RGB")))) is None:
                    continue
                extra = ["-arithmetic"] if rng.random() < 0.3 else []
                if rng.random() < 0.3:
                    extra += ["-restart", rng.choice(["1", "5B"])]
                data = tool(["jpegtran"] + extra, base, script)
            else:
                data = tool(args, pnm(im.convert("RGB")), script)
        if data is None:
            continue
        yield name, data
        i += 1
