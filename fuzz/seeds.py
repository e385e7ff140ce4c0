#!/usr/bin/env python3
"""Seeds of the fuzz targets, into fuzz/corpus: the goldens of the crates' tests, and small files that are made here.

Standard library only. What a run has added to the corpus stays.
"""
import io
import json
import pickle
import struct
import sys
import types
import zipfile
from pathlib import Path

FUZZ = Path(__file__).parent
CRATES = FUZZ.parent / "crates"
GOLDEN = CRATES / "clip-core/tests/golden"
# Larger files only slow a run down.
MOST = 33 << 10


def put(target, name, data):
    folder = FUZZ / "corpus" / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"seed-{name}").write_bytes(data)


def images():
    for folder in (GOLDEN / "images", *(CRATES / f"{kind}-levels/tests/golden" for kind in ("jpeg", "heic", "avif", "jxl"))):
        for path in sorted(folder.iterdir()):
            target = {".jpg": "jpeg", ".tif": "tiff"}.get(path.suffix, path.suffix[1:])
            if target in ("jpeg", "tiff", "png", "gif", "webp", "bmp", "heic", "avif", "jxl") and path.stat().st_size <= MOST:
                put(target, path.name, path.read_bytes())
                if target in ("heic", "avif"):
                    put("isobmff", path.name, path.read_bytes())


def animations_and_others():
    for path in sorted([*(GOLDEN / "frames").iterdir(), *(GOLDEN / "images").glob("animated*")]):
        if path.suffix in (".gif", ".png", ".webp"):
            put("frames", path.name, path.read_bytes())
    for path in sorted((CRATES / "heic-levels/tests/sequences").glob("*.heics")):
        for target in ("frames", "heic", "isobmff"):
            put(target, path.name, path.read_bytes())
    for path in sorted((GOLDEN / "others").iterdir()):
        if path.suffix in (".jp2", ".j2k"):
            put("jpeg2000", path.name, path.read_bytes())
        elif path.suffix not in (".raw", ".py", ".txt"):
            put("others", path.name, path.read_bytes())


def raws():
    """Skeletons: directories that lead to JPEGs, and Canon's boxes."""
    jpeg = (FUZZ / "pictures/six.jpg").read_bytes()
    for order, mark in (("<", b"II*\0"), (">", b"MM\0*"), ("<", b"IIRO"), ("<", b"IIU\0"), (">", b"MMOR")):
        def directory(place, following, *entries):
            """Entries of type, count and value in four bytes, the value of a short in the first two."""
            fields = [struct.pack(f"{order}HHI" + ("HH" if kind == 3 else "I"), tag, kind, count, *((value, 0) if kind == 3 else (value,)))
                      for tag, kind, count, value in entries]
            return (struct.pack(f"{order}H", len(fields)) + b"".join(fields) + struct.pack(f"{order}I", following)).ljust(place, b"\0")

        at = 16 + 4 * 128
        place = (513, 4, 1, at), (514, 4, 1, len(jpeg))
        strips = (273, 4, 1, at), (279, 4, 1, len(jpeg))
        first = directory(128, 144, (271, 2, 6, 400), (330, 4, 2, 410), (50706, 1, 4, 0x1010400), *place)
        second = directory(128, 0, (259, 3, 1, 7), (262, 3, 1, 6), *strips)
        sensor = directory(128, 0, (259, 3, 1, 7), (262, 3, 1, 32803), *strips)
        names = b"NIKON\0" + struct.pack(f"{order}4x2I", 144, 272)
        body = first + second + sensor + names.ljust(128, b"\0") + jpeg
        put("raw", f"{mark.hex()}", mark + struct.pack(f"{order}I", 16) + bytes(8) + body)
        put("raw", f"{mark.hex()}-cr2", mark + struct.pack(f"{order}I", 16) + b"CR\2\0" + bytes(4) + body)
        within = mark + struct.pack(f"{order}I", 16) + bytes(8) + directory(64, 0, (46, 7, len(jpeg), 80))
        put("raw", f"{mark.hex()}-within", within + jpeg)
    fuji = b"FUJIFILMCCD-RAW 0201".ljust(84, b"\0") + struct.pack(">II", 120, len(jpeg)) + bytes(28)
    put("raw", "raf", fuji + jpeg)

    def box(kind, *body):
        return struct.pack(">I4s", 8 + sum(map(len, body)), kind) + b"".join(body)

    def canon(at):
        table = box(b"stbl", box(b"stsz", struct.pack(">3I", 0, len(jpeg), 1)), box(b"co64", struct.pack(">IIQ", 0, 1, at)))
        older = box(b"stbl", box(b"stsz", struct.pack(">4I", 0, 0, 1, len(jpeg))), box(b"stco", struct.pack(">III", 0, 1, at)))
        tracks = [box(b"trak", box(b"mdia", box(b"minf", t))) for t in (table, older)]
        thumb = box(b"uuid", bytes(16), box(b"THMB", bytes(16), jpeg))
        moov = box(b"moov", thumb, *tracks)
        return box(b"ftyp", b"crx \0\0\0\1crx isom") + moov + box(b"uuid", bytes(24), box(b"PRVW", bytes(16), jpeg))

    put("raw", "cr3", canon(len(canon(0)) + 8) + box(b"mdat", jpeg))


def exif():
    """Orientations of all types and byte orders, in blocks that are whole and cut, and as XMP."""
    for order in "<>":
        start = {"<": b"II*\0", ">": b"MM\0*"}[order]
        for kind, value in ((3, "HH"), (4, "I"), (1, "BBH"), (8, "hh"), (9, "i"), (2, "BBH")):
            fields = [6] + [0] * (len(value) - 1)
            entry = struct.pack(f"{order}HHI{value}", 0x112, kind, 1, *fields)
            block = start + struct.pack(f"{order}IH", 8, 1) + entry + struct.pack(f"{order}I", 0)
            twice = start + struct.pack(f"{order}IH", 8, 2) + entry + entry.replace(b"\6", b"\3") + bytes(4)
            name = f"{start[:1].decode()}{kind}"
            for place in (0, 3, 5):
                put("exif", f"{name}-{place}", bytes([place]) + block)
                put("exif", f"{name}-twice-{place}", bytes([place]) + twice)
            put("exif", f"{name}-prefix", b"\0Exif\0\0" + block)
            digits = block.hex().encode()
            put("exif", f"{name}-text", b"\1\nexif\n%8d\n" % len(block) + digits + b"\n")
    for place in (2, 4, 6):
        put("exif", f"xmp-{place}", bytes([place]) + b'<x:xmpmeta><rdf:Description tiff:Orientation="6"/></x:xmpmeta>')
        put("exif", f"xmp-element-{place}", bytes([place]) + b"<tiff:Orientation>8</tiff:Orientation>")


def tensors():
    """The tensors of the model in fuzz/model, as transformers names them."""
    config = json.loads((FUZZ / "model/config.json").read_text())
    text, vision, width = config["text_config"], config["vision_config"], config["projection_dim"]
    shapes = {"logit_scale": []}

    def both(name, outputs, *inputs):
        shapes[f"{name}.weight"] = [outputs, *inputs]
        shapes[f"{name}.bias"] = [outputs]

    for name, tower in (("text_model", text), ("vision_model", vision)):
        hidden, inner, layer = tower["hidden_size"], tower["intermediate_size"], f"{name}.encoder.layers.0"
        for part in "qkv":
            both(f"{layer}.self_attn.{part}_proj", hidden, hidden)
        both(f"{layer}.self_attn.out_proj", hidden, hidden)
        both(f"{layer}.mlp.fc1", inner, hidden)
        both(f"{layer}.mlp.fc2", hidden, inner)
        for norm in ("layer_norm1", "layer_norm2"):
            both(f"{layer}.{norm}", hidden)
    both("text_model.final_layer_norm", text["hidden_size"])
    both("vision_model.pre_layrnorm", vision["hidden_size"])
    both("vision_model.post_layernorm", vision["hidden_size"])
    patches = (vision["image_size"] // vision["patch_size"]) ** 2
    shapes |= {
        "text_model.embeddings.token_embedding.weight": [text["vocab_size"], text["hidden_size"]],
        "text_model.embeddings.position_embedding.weight": [text["max_position_embeddings"], text["hidden_size"]],
        "text_projection.weight": [width, text["hidden_size"]],
        "vision_model.embeddings.class_embedding": [vision["hidden_size"]],
        "vision_model.embeddings.patch_embedding.weight": [vision["hidden_size"], 3, vision["patch_size"], vision["patch_size"]],
        "vision_model.embeddings.position_embedding.weight": [patches + 1, vision["hidden_size"]],
        "visual_projection.weight": [width, vision["hidden_size"]],
    }
    return shapes


def size(shape):
    values = 1
    for side in shape:
        values *= side
    return values


def safetensors():
    for dtype, width in (("F32", 4), ("F16", 2), ("BF16", 2)):
        header, at = {"__metadata__": {"format": "pt"}}, 0
        for name, shape in tensors().items():
            end = at + width * size(shape)
            header[name], at = {"dtype": dtype, "shape": shape, "data_offsets": [at, end]}, end
        text = json.dumps(header).encode()
        put("safetensors", dtype, b"\0" + struct.pack("<Q", len(text)) + text + bytes(at))
        put("safetensors", f"{dtype}-header", b"\1" + text)
    put("safetensors", "empty", b"\0" + struct.pack("<Q", 2) + b"{}")


class Storage:
    """A tensor's values: of a type, in a file of the archive."""

    def __init__(self, kind):
        self.kind = kind


class Tensor:
    def __init__(self, storage, shape, parameter):
        self.storage, self.shape, self.parameter = storage, shape, parameter

    def __reduce__(self):
        strides = [size(self.shape[i + 1:]) for i in range(len(self.shape))]
        if self.parameter:
            return utils._rebuild_parameter, (Tensor(self.storage, self.shape, False), True, {})
        return utils._rebuild_tensor_v2, (self.storage, 0, tuple(self.shape), tuple(strides), False, {})


class Pickler(pickle.Pickler):
    def persistent_id(self, value):
        return ("storage", value.kind, "0", "cpu", 256) if isinstance(value, Storage) else None


# Stand-ins for torch, so that its names are in the pickles.
torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")


def stand_in(module, name, what):
    what.__module__, what.__qualname__, what.__name__ = module.__name__, name, name
    setattr(module, name, what)
    sys.modules[module.__name__] = module


def pickles():
    import collections

    for kind in ("FloatStorage", "HalfStorage", "BFloat16Storage", "LongStorage", "BoolStorage"):
        stand_in(torch, kind, type(kind, (), {}))
    stand_in(utils, "_rebuild_tensor_v2", lambda *_: None)
    stand_in(utils, "_rebuild_parameter", lambda *_: None)
    stand_in(utils, "Module", type("Module", (), {}))
    for kind in ("FloatStorage", "HalfStorage", "BFloat16Storage", "LongStorage", "BoolStorage"):
        for parameter in (False, True):
            storage = Storage(getattr(torch, kind))
            state = collections.OrderedDict((name, Tensor(storage, shape, parameter)) for name, shape in tensors().items())
            for protocol in (2, 4):
                out = io.BytesIO()
                Pickler(out, protocol).dump(state)
                name = f"{kind}-{parameter}-{protocol}"
                put("pickle", name, b"\1" + out.getvalue())
                if protocol == 2 and kind == "FloatStorage":
                    archive = io.BytesIO()
                    with zipfile.ZipFile(archive, "w") as file:
                        file.writestr("m/data.pkl", out.getvalue())
                        file.writestr("m/data/0", bytes(1024))
                    put("pickle", f"{name}-archive", b"\0" + archive.getvalue())
    small = {"a": [1, 2.5, None, True, -1, 1 << 40], "b": (1, (2, (3, 4, 5, 6)), {}), "c": "é", "d": set()}
    module = utils.Module()
    module.weight = Tensor(Storage(torch.FloatStorage), [2, 2], False)
    for name, value in (("small", small), ("module", module), ("empty", {})):
        for protocol in (0, 2, 4):
            out = io.BytesIO()
            Pickler(out, protocol).dump(value)
            put("pickle", f"{name}-{protocol}", b"\1" + out.getvalue())


def models():
    read = lambda path: path.read_bytes()
    put("tokenizer", "small", b"\0" + read(FUZZ / "model/tokenizer.json"))
    for model in ("tiny-clip", "tiny-siglip", "tiny-siglip2"):
        for cleaning in range(3):
            put("tokenizer", f"{model}-{cleaning}", bytes([cleaning]) + read(GOLDEN / "models" / model / "tokenizer.json"))
    # Steps of which each tokenizer has some.
    whole = json.loads(read(FUZZ / "model/tokenizer.json"))
    steps = {
        "normalizer": [
            {"type": "Sequence", "normalizers": [{"type": "NFD"}, {"type": "StripAccents"}, {"type": "Lowercase"}]},
            {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None, "lowercase": True},
            {"type": "Replace", "pattern": {"Regex": "\\s+"}, "content": " "}, {"type": "Prepend", "prepend": "▁"},
            {"type": "Strip", "strip_left": True, "strip_right": True}, {"type": "NFKC"}, {"type": "Nmt"}, {"type": "ByteLevel"},
        ],
        "pre_tokenizer": [
            {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}, {"type": "Whitespace"},
            {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}, {"type": "BertPreTokenizer"},
            {"type": "Split", "pattern": {"Regex": "'s|[\\p{L}]+|[\\p{N}]"}, "behavior": "Isolated", "invert": False},
            {"type": "Digits", "individual_digits": True}, {"type": "Punctuation", "behavior": "Contiguous"}, {"type": "UnicodeScripts"},
            {"type": "CharDelimiterSplit", "delimiter": "-"},
        ],
        "post_processor": [
            {"type": "RobertaProcessing", "sep": ["</s>", 3], "cls": ["<s>", 2], "trim_offsets": True, "add_prefix_space": True},
            {"type": "BertProcessing", "sep": ["</s>", 3], "cls": ["<s>", 2]},
        ],
        "model": [
            {"type": "BPE", "dropout": None, "unk_token": "[UNK]", "continuing_subword_prefix": "##", "end_of_word_suffix": "</w>",
             "fuse_unk": True, "byte_fallback": True, "ignore_merges": True, "vocab": {"[UNK]": 0, "a": 1, "t": 2, "at": 3, "c": 4}, "merges": [["a", "t"]]},
            {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 9, "vocab": {"[UNK]": 0, "c": 1, "##at": 2}},
            {"type": "Unigram", "unk_id": 0, "vocab": [["<unk>", 0.0], ["▁", -2.0], ["cat", -3.5], ["▁a", -1.0]], "byte_fallback": True},
        ],
    }
    for part, choices in steps.items():
        for i, choice in enumerate(choices):
            put("tokenizer", f"{part}-{i}", bytes([i % 3]) + json.dumps(whole | {part: choice}).encode())
    for i, name in enumerate(("config.json", "preprocessor_config.json")):
        put("config", name, bytes([i]) + read(FUZZ / "model" / name))
    put("config", "open_clip", b"\2" + read(GOLDEN / "models/tiny-openclip-native/open_clip_config.json"))
    put("config", "open_clip_siglip", b"\2" + read(GOLDEN / "models/tiny-siglip-timm/open_clip_config.json"))
    put("config", "open_clip_eva", b"\2" + read(GOLDEN / "models/tiny-eva02/open_clip_config.json"))
    for name in ("tiny-jina-clip-v1", "tiny-jina-clip-v2"):
        put("config", name, b"\0" + read(GOLDEN / "models" / name / "config.json"))
    put("config", "siglip", b"\0" + read(GOLDEN / "models/tiny-siglip/config.json"))
    cases = json.loads(read(GOLDEN / "configs.json"))
    for i, (kind, place) in enumerate((("configs", 0), ("preprocessors", 1))):
        for case in cases[kind]:
            put("config", f"{kind}-{case['name']}".replace(" ", "-"), bytes([place]) + json.dumps(case["raw"]).encode())


def manifests():
    """`model.json` of several kinds of models; the target fills checksums in."""
    tower = {"hidden": 4, "layers": 1, "heads": 2, "intermediate": 4, "layer_norm_eps": 1e-5, "activation": "quick_gelu"}
    spec = {
        "architecture": "clip", "dimensions": 4, "logit_scale": 1.0,
        "text": {"tower": tower, "vocab_size": 4, "context_length": 4, "pooling": {"first_eos": 3}},
        "vision": {"tower": tower, "image_size": 4, "patch_size": 2},
        "image": {"orientation": "exif", "alpha": "drop", "resize": {"shortest_edge": 4}, "filter": "bicubic", "crop": 4,
                  "rescale": 1 / 255, "mean": [0.5] * 3, "std": [0.5] * 3},
        "calibration": "none",
    }
    means = {"means": {"text": [0.1] * 4, "image": [0.2] * 4}}
    for name, change in {
        "plain": {}, "calibrated": {"calibration": means}, "sigmoid": {"scoring": {"sigmoid": {"bias": -1.0}}},
        "siglip": {"architecture": "siglip", "text": spec["text"] | {"pooling": {"last": {"pad": 1}}, "cleaning": "canonical"}},
        "largest": {"text": spec["text"] | {"pooling": "largest_id"}},
    }.items():
        for size in (1400, 2000, 4000):
            files = {f: {"bytes": size, "sha256": "0" * 64} for f in ("tokenizer.json", "tokenizer.safetensors", "weights.f32.safetensors")}
            manifest = {"format": FORMAT, "fingerprint": "0" * 64, "license": "MIT", "parameters": 1, "tensors": "0" * 64, "files": files}
            put("manifest", f"{name}-{size}", json.dumps(manifest | {"spec": spec | change}).encode())


def mapped():
    """Headers of the files of an installed model; the rest of the file is that of the golden model."""
    for which, tables in enumerate(({"text_model.final_layer_norm.weight": [32]}, {"symbols": [2, 324], "merges": [486, 4]})):
        header, at = {"__metadata__": {"rules": '{"normalizer":null,"pre_tokenizer":{"type":"ByteLevel"},"post_processor":null,"added_tokens":[]}'}}, 0
        for name, shape in tables.items():
            end = at + 4 * size(shape)
            header[name], at = {"dtype": "U32", "shape": shape, "data_offsets": [at, end]}, end
        put("mapped", f"header-{which}", bytes([which]) + json.dumps(header).encode())
        put("mapped", f"piece-{which}", bytes([0x80 | which]) + struct.pack("<I", 4096) + bytes(range(64)))


FORMAT = int((CRATES / "clip-core/src/packed.rs").read_text().split("pub const FORMAT: u32 = ")[1].split(";")[0])

if __name__ == "__main__":
    for make in (images, animations_and_others, raws, exif, safetensors, pickles, models, manifests, mapped):
        make()
    for folder in sorted((FUZZ / "corpus").iterdir()):
        print(f"{folder.name}: {len(list(folder.glob('seed-*')))} seeds")
