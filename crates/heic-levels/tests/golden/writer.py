"""HEIC files of every kind: pictures that pillow-heif codes, in containers written here. Needs: pillow-heif, Pillow, numpy (pip)."""
import contextlib
import io
import random
import struct

import numpy as np
import pillow_heif
from PIL import Image


def picture(width, height, seed, grey=False, depth=8):
    """Waves, noise, a patch and lines: something for every kind of block."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    waves = [128 + 100 * np.sin(x / 9 + seed) + 20 * np.cos(y / 3), 128 + 90 * np.cos(x / 17 + y / 11), (x * 3 + y * 5 + seed) % 256]
    levels = np.stack(waves, -1) + rng.normal(0, seed % 4 * 5, (height, width, 3))
    levels[height // 4:height // 2, width // 4:width // 2] = rng.integers(0, 256, 3)
    levels[height // 2:height // 2 + 3] = rng.integers(0, 256, (1, width, 1))
    levels = np.clip(levels, 0, 255) / 255 * ((1 << depth) - 1)
    return (levels[..., :1] if grey else levels).round().astype(np.uint16)


def boxes(data, start=0, end=None):
    """Kind, start and end of the body of each box."""
    end = len(data) if end is None else end
    while start + 8 <= end:
        size, kind = struct.unpack(">I4s", data[start:start + 8])
        size = size or end - start
        yield kind, start + 8, start + size
        start += size


def inside(data, path):
    """The body of the first box with such a path; an asterisk stands for a full box."""
    start, end = 0, len(data)
    for kind in path.split("/"):
        full = kind.endswith("*")
        start, end = next((a, b) for found, a, b in boxes(data, start, end) if found == kind.rstrip("*").encode())
        start += 4 * full
    return data[start:end]


class Coded:
    """A coded picture: its configuration, data and size."""

    def __init__(self, levels, quality=60, chroma=420, depth=8, alpha=False, nclx=None, **encoder):
        height, width, channels = levels.shape
        if depth > 8:
            pillow_heif.options.SAVE_HDR_TO_12_BIT = depth == 12
            mode = {1: "L;16", 3: "RGB;16"}[channels]
            data = (levels.astype(np.uint32) << (16 - depth)).astype(np.uint16).tobytes()
        else:
            mode, data = {1: "L", 3: "RGB"}[channels], levels.astype(np.uint8).tobytes()
        file = pillow_heif.from_bytes(mode, (width, height), data)
        out = io.BytesIO()
        keys = ("color_primaries", "transfer_characteristics", "matrix_coefficients", "full_range_flag")
        given = dict(zip(keys, nclx)) if nclx else {}
        encoder = {f"x265:{key}": str(value) for key, value in encoder.items()}
        file.save(out, quality=quality, chroma=chroma, enc_params=encoder, **given)
        data = out.getvalue()
        meta = data.index(b"meta") - 4
        body = data[meta + 12:meta + struct.unpack(">I", data[meta:meta + 4])[0]]
        self.hvcc = inside(body, "iprp/ipco/hvcC")
        self.ispe = struct.unpack(">II", inside(body, "iprp/ipco/ispe*"))
        self.clap = None
        if b"clap" in body:
            self.clap = struct.unpack(">IIIIiIiI", inside(body, "iprp/ipco/clap"))
        self.data = data[self.place(inside(body, "iloc"))]
        self.nclx = nclx

    @staticmethod
    def place(iloc):
        """Of the first item's data."""
        offset, length, base = iloc[4] >> 4, iloc[4] & 15, iloc[5] >> 4
        number = lambda at, size: int.from_bytes(iloc[at:at + size], "big")
        # Version and flags, sizes, count; id, method, data reference.
        at = 4 + 2 + 2 + (2 + 2 + 2 if iloc[0] else 2 + 2)
        start = number(at, base)
        at += base + 2
        start += number(at, offset)
        return slice(start, start + number(at + offset, length))


def box(kind, *body):
    body = b"".join(body)
    return struct.pack(">I4s", 8 + len(body), kind.encode()) + body


def full(kind, version, flags, *body):
    return box(kind, struct.pack(">I", version << 24 | flags), *body)


def ispe(width, height):
    return full("ispe", 0, 0, struct.pack(">II", width, height))


def colr(primaries, transfer, matrix, full_range):
    return box("colr", b"nclx", struct.pack(">HHHB", primaries, transfer, matrix, full_range << 7))


def irot(quarters):
    return box("irot", bytes([quarters]))


def imir(axis):
    return box("imir", bytes([axis]))


def clap(width, height, left=(0, 1), top=(0, 1)):
    return box("clap", struct.pack(">IIIIiIiI", width, 1, height, 1, *left, *top))


class File:
    """Items with their properties, data and references."""

    def __init__(self, brand="heic", zero=False, version=1, pieces=1, wide=False):
        self.items, self.references, self.properties = [], [], []
        self.brand, self.zero, self.version, self.pieces, self.wide = brand, zero, version, pieces, wide

    def item(self, kind, data, properties, inner=False, hidden=False):
        """Its id. `inner`: its data are in idat."""
        numbers = []
        for own in properties:
            if own not in self.properties:
                self.properties.append(own)
            numbers.append(self.properties.index(own) + 1)
        self.items.append((kind, data, numbers, inner, hidden))
        return len(self.items)

    def coded(self, coded, properties=(), **more):
        hvcc = box("hvcC", coded.hvcc)
        return self.item("hvc1", coded.data, [hvcc, ispe(*coded.ispe), *properties], **more)

    def refer(self, kind, start, ends):
        self.references.append(box(kind, struct.pack(">HH", start, len(ends)), b"".join(struct.pack(">H", end) for end in ends)))

    def grid(self, tiles, columns, width, height, properties=(), colours=()):
        ids = [self.coded(tile, colours, hidden=True) for tile in tiles]
        rows = len(tiles) // columns
        id = self.item("grid", struct.pack(">BBBBHH", 0, 0, rows - 1, columns - 1, width, height), [ispe(width, height), *properties], inner=True)
        self.refer("dimg", id, ids)
        return id

    def overlay(self, ids, places, width, height, background=(0, 0, 0, 0), properties=(), wide=False):
        numbers = struct.pack(">4H", *background) + struct.pack(">II" if wide else ">HH", width, height)
        numbers += b"".join(struct.pack(">ii" if wide else ">hh", *place) for place in places)
        id = self.item("iovl", bytes([0, wide]) + numbers, [ispe(width, height), *properties], inner=True)
        self.refer("dimg", id, ids)
        return id

    def bytes(self, primary):
        ftyp = box("ftyp", self.brand.encode(), bytes(4), b"mif1", self.brand.encode())
        where = 0
        for _ in range(2):
            meta = self.meta(primary, where)
            where = len(ftyp) + len(meta) + 8
        outer = b"".join(data for _, data, _, inner, _ in self.items if not inner)
        return ftyp + meta + box("mdat", outer)

    def meta(self, primary, outer):
        idat, entries, places, associations = b"", b"", b"", b""
        for i, (kind, data, numbers, inner, hidden) in enumerate(self.items, 1):
            entries += full("infe", 2, hidden, struct.pack(">HH", i, 0), kind.encode(), b"\0")
            start = len(idat) if inner else outer
            if inner:
                idat += data
            else:
                outer += len(data)
            ends = [len(data) * k // self.pieces for k in range(self.pieces + 1)]
            pieces = b"".join(struct.pack(">II", start + a, b - a) for a, b in zip(ends, ends[1:]))
            method = struct.pack(">H", inner) if self.version else b""
            places += struct.pack(">H", i) + method + struct.pack(">HH", 0, self.pieces) + pieces
            numbers = [*numbers, 0] if self.zero else numbers
            last = b"".join(struct.pack(">H", 0x8000 * (n > 0) | n) if self.wide else bytes([0x80 * (n > 0) | n]) for n in numbers)
            associations += struct.pack(">HB", i, len(numbers)) + last
        count = struct.pack(">H", len(self.items))
        parts = [
            full("hdlr", 0, 0, bytes(4), b"pict", bytes(13)),
            full("pitm", 0, 0, struct.pack(">H", primary)),
            full("iloc", self.version, 0, b"\x44\0", count, places),
            full("iinf", 0, 0, count, entries),
            full("iref", 0, 0, *self.references) if self.references else b"",
            box("iprp", box("ipco", *self.properties), full("ipma", 0, self.wide, struct.pack(">I", len(self.items)), associations)),
            box("idat", idat) if idat else b"",
        ]
        return full("meta", 0, 0, *parts)


def single(coded, *properties, **more):
    file = File(**more)
    return file.bytes(file.coded(coded, properties))


#: Options of x265, each of which makes another kind of stream.
ENCODERS = [
    {}, {"ctu": 16}, {"ctu": 32}, {"ctu": 64, "min-cu-size": 32}, {"min-cu-size": 16}, {"tskip": 1}, {"slices": 2, "ctu": 16}, {"wpp": 1},
    {"aq-mode": 2, "qg-size": 8}, {"aq-mode": 3, "aq-strength": 3, "qg-size": 16}, {"cu-lossless": 1, "tskip": 1}, {"scaling-list": "default"},
    {"tu-intra-depth": 4}, {"max-tu-size": 8, "ctu": 32}, {"max-tu-size": 4, "ctu": 16}, {"sao": 0}, {"deblock": "-6:-6"}, {"deblock": "6:6"},
    {"no-deblock": 1}, {"cbqpoffs": 6, "crqpoffs": -8}, {"strong-intra-smoothing": 0}, {"signhide": 0}, {"rd": 6, "rdoq-level": 2}, {"lossless": 1},
    {"psy-rd": 5, "psy-rdoq": 10}, {"repeat-headers": 1, "aud": 1}, {"hrd": 1, "vbv-maxrate": 1000, "vbv-bufsize": 1000}, {"sao-non-deblock": 1},
]

#: Primaries, transfer, matrix, full range.
COLOURS = [None, *((1, 13, matrix, whole) for matrix in (0, 1, 2, 4, 5, 6, 7, 9, 10, 12) for whole in (1, 0)), (12, 1, 12, 1), (9, 16, 9, 0)]


def made(seed, count):
    """Names and files."""
    rng = random.Random(seed)
    for i in range(count):
        # x265 takes not every option with every size.
        with contextlib.suppress(RuntimeError):
            yield one(rng, i)


def one(rng, i):
    kind = rng.choice(["stream", "colours", "turns", "grid", "grey", "container", "crop"])
    chroma = rng.choice([420, 420, 422, 444])
    depth = rng.choice([8, 8, 10, 12])
    width, height = rng.choice([(64, 64), (72, 40), (33, 47), (50, 31), (17, 16), (96, 70), (1, 9), (130, 8)])
    quality = rng.choice([5, 30, 60, 90, -1])
    encoder = rng.choice(ENCODERS) if kind == "stream" else {}
    grey = kind == "grey"
    nclx = rng.choice(COLOURS) if kind in ("colours", "grid") else None
    coded = lambda w, h, n=0, **more: Coded(picture(w, h, i + n, grey, depth), quality, chroma, depth, nclx=nclx, **encoder, **more)
    own = [colr(*nclx)] if nclx and rng.random() < 0.7 else []
    name = f"{i:05}-{kind}-{chroma}-{depth}-q{quality}-{width}x{height}"
    if kind == "grid":
        side = rng.choice([(64, 64), (32, 48)])
        columns, rows = rng.randint(1, 3), rng.randint(1, 3)
        file = File()
        tiles = [coded(*side, n) for n in range(rows * columns)]
        cut = [whole * count - rng.randrange(whole) for whole, count in zip(side, (columns, rows))]
        turn = rng.choice([[], [irot(1)], [imir(1)]]) if not any(whole % 2 for whole in cut) else []
        on_tiles = own if rng.random() < 0.5 else []
        id = file.grid(tiles, columns, *cut, [*turn, *(own if not on_tiles else [])], on_tiles)
        return f"{name}-{columns}x{rows}-{'-'.join(map(str, cut))}-{len(turn)}-{nclx}", file.bytes(id)
    picture_ = coded(width, height)
    width, height = picture_.ispe
    cut = [box("clap", struct.pack(">IIIIiIiI", *picture_.clap))] if picture_.clap else []
    if kind == "colours":
        other = rng.choice(COLOURS)
        own = [colr(*other)] if other and rng.random() < 0.5 else own
        return f"{name}-{nclx}-{other if own else None}", single(picture_, *own, *cut)
    if kind == "turns":
        turns = [rng.choice([irot(1), irot(2), irot(3), irot(0), imir(0), imir(1)]) for _ in range(rng.randint(1, 3))]
        if rng.random() < 0.3:
            turns.insert(rng.randrange(len(turns) + 1), clap(rng.randint(1, 16), rng.randint(1, 8)))
        order = "".join({"irot": "r", "imir": "m", "clap": "c"}[turn[4:8].decode()] + (str(turn[8]) if turn[4:8] != b"clap" else "") for turn in turns)
        return f"{name}-{order}", single(picture_, *cut, *turns)
    if kind == "crop":
        left, top = (rng.randint(-width, width), 2), (rng.randint(-height, height), 2)
        size = rng.randint(1, width), rng.randint(1, height)
        return f"{name}-{size}-{left[0]}-{top[0]}", single(picture_, clap(*size, left, top))
    if kind == "container":
        more = {"zero": rng.random() < 0.5, "version": rng.choice([0, 1]), "pieces": rng.randint(1, 3), "wide": rng.random() < 0.5}
        file = File(rng.choice(["heic", "heix", "mif1"]), **more)
        thumbnail = file.coded(Coded(picture(32, 24, 1)))
        alpha = file.coded(Coded(picture(*picture_.ispe, 3, grey=True)), [full("auxC", 0, 0, b"urn:mpeg:hevc:2015:auxid:1\0")]) if rng.random() < 0.4 else None
        id = file.coded(picture_, cut)
        file.refer("thmb", thumbnail, [id])
        if alpha:
            file.refer("auxl", alpha, [id])
        return f"{name}-{'a' if alpha else ''}{'z' if file.zero else ''}{file.pieces}{'w' if file.wide else ''}", file.bytes(id)
    return f"{name}-{'-'.join(f'{key}{value}' for key, value in encoder.items())}", single(picture_, *cut)


def overlays(seed, count):
    """Names and files of pictures over each other, and of one that another one shows turned."""
    rng = random.Random(seed)
    for i in range(count):
        with contextlib.suppress(RuntimeError):
            yield (overlay if i % 4 else identity)(rng, i)


TURNS = [irot(1), irot(2), irot(3), imir(0), imir(1)]


def identity(rng, i):
    chroma, depth = rng.choice([420, 422, 444]), rng.choice([8, 10])
    shown = rng.choice([(64, 48), (33, 47), (50, 30)])
    coded = Coded(picture(*shown, i, False, depth), 60, chroma, depth)
    cut = [box("clap", struct.pack(">IIIIiIiI", *coded.clap))] if coded.clap else []
    inner, outer = rng.sample(TURNS, rng.randint(0, 1)), rng.sample(TURNS, rng.randint(0, 2))
    shown = shown[::-1] if irot(1) in inner or irot(3) in inner else shown
    colours = rng.choice([[], [colr(*rng.choice(COLOURS[1:]))]])
    file = File()
    part = file.coded(coded, [*cut, *inner])
    id = file.item("iden", b"", [ispe(*shown), *outer, *colours], inner=True)
    file.refer("dimg", id, [part])
    return f"{i:05}-identity-{chroma}-{depth}-q60-{len(inner)}{len(outer)}-{len(colours)}", file.bytes(id)


def overlay(rng, i):
    chroma = rng.choice([420, 420, 422, 444])
    width, height = rng.choice([(64, 64), (90, 50), (41, 33)])
    nclx = rng.choice(COLOURS)
    file, ids, places, alphas = File(), [], [], 0
    above, turned = rng.random() < 0.4, chroma == 444 and rng.random() < 0.5
    for n in range(rng.randint(1, 3)):
        size = rng.choice([(32, 24), (48, 48), (17, 16), (64, 64)])
        coded = Coded(picture(*size, i + n), 60, chroma, nclx=nclx)
        cut = [box("clap", struct.pack(">IIIIiIiI", *coded.clap))] if coded.clap else []
        own = [*cut, *([colr(*nclx)] if nclx and rng.random() < 0.5 else [])]
        ids.append(file.coded(coded, own + ([rng.choice(TURNS)] if turned and coded.ispe[0] % 2 == 0 else [])))
        if rng.random() < 0.3 and not turned and not coded.clap:
            alpha = file.coded(Coded(picture(*coded.ispe, 3, grey=True)), [full("auxC", 0, 0, b"urn:mpeg:hevc:2015:auxid:1\0")])
            file.refer("auxl", alpha, [ids[-1]])
            alphas += 1
        places.append((rng.randint(-20 * above, width), rng.randint(-20 * above, height - 1)))
    turns = rng.choice([[], [], [rng.choice(TURNS)], [clap(20, 30)]])
    background = [rng.randrange(65536) for _ in range(4)]
    id = file.overlay(ids, places, width, height, background, turns, wide=rng.random() < 0.3)
    return f"{i:05}-overlay-{chroma}-8-q60-{'n' * above}{'t' * turned}a{alphas}-{len(ids)}-{len(turns)}-{nclx}", file.bytes(id)
