#!/usr/bin/env python3
"""Compare every model of the registry, at its size and with seeded random weights, with the library that it comes from.

    make_known.py --work DIR --test FILE [--layers N] [NAME...]    all of models/registry.toml, or these; fills KNOWN.md

Each is laid out as its repository is, imported, and its vectors compared by the test `full_size` of model_parity.rs, an executable that
--test names: `cargo test --profile tests -p clip-core --test model_parity --no-run` tells its path. Models of one shape are compared
once, and what has a line in KNOWN.md is not compared again, so the script can be stopped. The largest need 24 GiB of memory and 50 GB
of disk. `--layers` compares the first ones of those that are not of timm.
"""
import argparse
import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import torch
from transformers import ChineseCLIPConfig, ChineseCLIPModel, CLIPModel, DistilBertConfig, MetaClip2Config, MetaClip2Model, Siglip2Model, SiglipModel

import bert_tokenizer
import make_embeddings
import make_encoders
import make_family_models as families
import make_tiny_models as tiny
import roberta_tokenizer
import siglip_tokenizers
from versions import HERE, versions

ROOT = HERE.parents[3]
# begins the keys of shapes that make_family_models.py knows by name
FULL = "full "
TABLE = HERE / "KNOWN.md"
VECTORS = ("noise", "blocks", "ramp", "checkerboard")
# width, layers, heads, width of the MLP of vision towers
VISION = {"S": (384, 12, 6, 1536), "M": (512, 12, 8, 2048), "B": (768, 12, 12, 3072), "B+": (896, 12, 14, 3584),
          "L": (1024, 24, 16, 4096), "H": (1280, 32, 16, 5120), "g": (1408, 40, 16, 6144),
          "bigG": (1664, 48, 16, 8192), "8M": (256, 10, 4, 1024), "39M": (512, 12, 8, 2048), "40M": (512, 12, 8, 2048), "61M": (640, 12, 10, 2560),
          "So": (1152, 27, 16, 4304), "g-opt": (1536, 40, 16, 6144)}
# width, layers, heads of text towers, by the vectors' dimensions
TEXT = {384: (384, 12, 6), 512: (512, 12, 8), 640: (640, 12, 10), 768: (768, 12, 12), 1024: (1024, 24, 16), 1280: (1280, 32, 20)}
TINYCLIP_TEXT = {"8M": (256, 3, 4), "39M": (512, 6, 8), "40M": (512, 6, 8), "61M": (512, 9, 8)}
# names of open_clip, by repository
OPEN_CLIP = {
    "timm/vit_base_patch16_plus_clip_240.laion400m_e31": "ViT-B-16-plus-240",
    "apple/DFN2B-CLIP-ViT-B-16": "ViT-B-16-quickgelu", "apple/DFN2B-CLIP-ViT-L-14": "ViT-L-14-quickgelu",
    "apple/DFN2B-CLIP-ViT-L-14-39B": "ViT-L-14-quickgelu", "apple/DFN5B-CLIP-ViT-H-14": "ViT-H-14-quickgelu",
    "apple/DFN5B-CLIP-ViT-H-14-378": "ViT-H-14-378-quickgelu",
    "laion/CLIP-ViT-B-32-xlm-roberta-base-laion5B-s13B-b90k": "xlm-roberta-base-ViT-B-32",
    "laion/CLIP-ViT-H-14-frozen-xlm-roberta-large-laion5B-s13B-b90k": "xlm-roberta-large-ViT-H-14",
    "visheratin/nllb-clip-base-oc": "nllb-clip-base", "visheratin/nllb-clip-large-oc": "nllb-clip-large",
    "visheratin/nllb-clip-base-siglip": "nllb-clip-base-siglip", "visheratin/nllb-clip-large-siglip": "nllb-clip-large-siglip",
    "visheratin/nllb-siglip-mrl-base": "nllb-clip-base-siglip", "visheratin/nllb-siglip-mrl-large": "nllb-clip-large-siglip",
    "timm/eva_giant_patch14_clip_224.laion400m_s11b_b41k": "EVA01-g-14", "timm/eva_giant_patch14_plus_clip_224.merged2b_s11b_b114k": "EVA01-g-14-plus",
    "timm/eva02_base_patch16_clip_224.merged2b_s8b_b131k": "EVA02-B-16", "timm/eva02_large_patch14_clip_224.merged2b_s4b_b131k": "EVA02-L-14",
    "timm/eva02_large_patch14_clip_336.merged2b_s6b_b61k": "EVA02-L-14-336", "timm/eva02_enormous_patch14_clip_224.laion2b_s4b_b115k": "EVA02-E-14",
    "timm/eva02_enormous_patch14_plus_clip_224.laion2b_s9b_b144k": "EVA02-E-14-plus",
}


def registry():
    """What models/registry.toml says of each model."""
    return tomllib.loads((ROOT / "models/registry.toml").read_text())["model"]


def open_clip_name(known):
    repository = known["repository"]
    if repository in OPEN_CLIP:
        return OPEN_CLIP[repository]
    name = repository.partition("/")[2]
    # two trainings of one architecture
    return name.removesuffix("-OpenCLIP").replace("-B-LT", "-B") if "Mobile" in name else name


def is_of_open_clip(known):
    return known["repository"] in OPEN_CLIP or known["repository"].startswith("timm/") or known["repository"].endswith("-OpenCLIP")


def tower(sizes, layers=None, **more):
    width, depth, heads, *inter = sizes
    return tiny.tower(width, layers or depth, heads, *inter, **more)


def patched(known):
    """Kind and patch of a vision tower's name, as SoViT-400m/14."""
    kind, _, patch = known["vision"].partition("/")
    kind = {"SoViT-400m": "So", "ViT-g-opt": "g-opt"}.get(kind, kind.removeprefix("ViT-").replace("16+", "B+"))
    return kind, int(patch.rstrip("+"))


def rounded(model):
    """With weights that a file of half the size holds."""
    for p in model.parameters():
        p.data = p.data.half().float()
    return model


def save(model, d):
    if families.parameters(model) > families.LARGE:
        rounded(model).half().save_pretrained(d)
        model.float()
    else:
        model.save_pretrained(d)
    return model


def clip(known):
    kind, patch = patched(known)
    tinyclip = kind.endswith("M")
    text = TINYCLIP_TEXT[kind] if tinyclip else TEXT[known["dimensions"]]
    gelu = "gelu" if known["family"] == "OpenCLIP" else "quick_gelu"
    proj, size = known["dimensions"], known["image_size"]

    def write(d, layers):
        config = tiny.clip(tower(text, layers), tower(VISION[kind], layers, patch_size=patch, image_size=size), proj, act=gelu)
        model = save(tiny.seeded(config), d)
        tiny.preprocessor(d, size)
        for f in ("tokenizer.json", "tokenizer_config.json"):
            shutil.copy(HERE / "tokenizers/clip" / f, d)
        return model
    return f"CLIP {kind}/{patch} {proj} {size} {gelu} {text}", write


def siglip(known):
    kind, patch = patched(known)
    second, size = known["family"] == "SigLIP 2", known["image_size"]
    vocab = 256000 if second else 250000 if known["languages"] == "multilingual" else 32000
    naflex = known["name"].endswith("naflex")

    def write(d, layers):
        width = VISION[kind][0]
        same = tower(VISION[kind], layers)
        text = tower(VISION["So" if kind == "g-opt" else kind], layers, vocab_size=vocab, max_position_embeddings=known["context"], projection_size=width)
        (siglip_tokenizers.write_siglip2 if second else siglip_tokenizers.write_siglip)(d)
        if naflex:
            return families.save_naflex(families.naflex(text, same | dict(patch_size=patch, num_patches=256)), d, 256, tiny.SEED)
        model = families.randomised(SiglipModel(families.siglip(text, same | dict(patch_size=patch, image_size=size))).eval(), tiny.SEED, 4.7, -12.9)
        families.siglip_preprocessor(d, size, 2)
        return save(model, d)
    return f"SigLIP {kind}/{patch} {size} {vocab} {naflex}", write


def metaclip2(known):
    """With the vocabulary of XLM-V or of mT5."""
    kind, patch = patched(known)
    proj, size, mt5 = known["dimensions"], known["image_size"], "mt5" in known["name"]
    own = dict(vocab_size=250000, eos_token_id=1, pad_token_id=0) if mt5 else dict(vocab_size=901629, eos_token_id=2, bos_token_id=0, pad_token_id=1)

    def write(d, layers):
        text = tower(TEXT[proj], layers, max_position_embeddings=77, hidden_act="gelu", projection_dim=proj, **own)
        vision = tower(VISION[kind], layers, patch_size=patch, image_size=size, hidden_act="gelu", projection_dim=proj)
        model = families.randomised(MetaClip2Model(MetaClip2Config(text_config=text, vision_config=vision, projection_dim=proj)).eval(), tiny.SEED, 4.1)
        # any tokenizer within the vocabulary: texts are compared by their ids
        if mt5:
            (d / "tokenizer.json").write_text(siglip_tokenizers.siglip().json + "\n", encoding="utf-8")
        else:
            roberta_tokenizer.write(d, 77)
        tiny.preprocessor(d, size)
        return save(model, d)
    return f"MetaCLIP 2 {kind}/{patch} {proj} {size} {own['vocab_size']}", write


def chinese(known):
    kind, patch = patched(known)

    def write(d, layers):
        proj, size = known["dimensions"], known["image_size"]
        text = tower((1024, 24, 16) if kind == "H" else (768, 12, 12), layers, vocab_size=21128, max_position_embeddings=512, type_vocab_size=2)
        vision = tower(VISION[kind], layers, patch_size=patch, image_size=size, projection_dim=proj)
        model = families.randomised(ChineseCLIPModel(ChineseCLIPConfig(text_config=text, vision_config=vision, projection_dim=proj)).eval(), tiny.SEED, 4.4)
        (d / "vocab.txt").write_text("\n".join(bert_tokenizer.wordpieces()) + "\n", encoding="utf-8")
        tiny.write_json(d / "preprocessor_config.json", dict(
            crop_size=size, do_center_crop=False, do_normalize=True, do_resize=True, feature_extractor_type="ChineseCLIPFeatureExtractor",
            image_mean=tiny.MEAN, image_std=tiny.STD, resample=3, size=dict(height=size, width=size)))
        return save(model, d)
    return f"Chinese-CLIP {known['name']}", write


def case(known):
    """What tells a model's shape, and what writes it into a directory and returns the reference's model."""
    family = known["family"]
    if is_of_open_clip(known) or family == "Jina CLIP":
        name = open_clip_name(known) if family != "Jina CLIP" else known["name"]
        return f"{FULL}{name}", lambda d, layers: families.make_full(name, d.parent, layers)
    if family == "MetaCLIP 2":
        return metaclip2(known)
    if family == "Chinese-CLIP":
        return chinese(known)
    return siglip(known) if family.startswith("SigLIP") else clip(known)


class Encoder:
    """Of texts alone, as make_embeddings asks for it."""

    def __init__(self, known, d):
        if "sentence-transformers" in known["repository"]:
            config = DistilBertConfig(vocab_size=119547, max_position_embeddings=512)
            self.model = make_encoders.save_sentence(d, make_encoders.wordpieces(), config, known["context"], known["dimensions"])
            self.ids = make_embeddings.bert_texts(200, known["context"])
        else:
            config = families.roberta_config(1024, 24, 4096, 514, 250002)
            self.model = rounded(make_encoders.save_m_clip(d, config, known["context"], known["dimensions"]))
            self.ids = make_embeddings.roberta_texts(config.vocab_size, known["context"])

    @torch.no_grad()
    def text(self, ids):
        batch = dict(input_ids=ids, attention_mask=torch.ones_like(ids))
        if hasattr(self.model, "LinearTransformation"):
            return self.model([""], lambda *_, **__: batch)
        return self.model(batch)["sentence_embedding"]


def lay_out(known, others, work, layers=None):
    """Writes it as it is published, into directories of `work`. What an import takes, where its images' tower is, and how its library is asked."""
    directory, images = work / "model", work / "images"
    for d in (directory, images):
        shutil.rmtree(d, ignore_errors=True)
    encoder = None
    if "images" in known:
        directory.mkdir()
        encoder = Encoder(known, directory)
        key, write = case(others[known["images"]])
    else:
        images = directory
        key, write = case(known)
    # make_full puts a model into a directory of its name
    images = images.with_name(key.removeprefix(FULL)) if key.startswith(FULL) else images
    shutil.rmtree(images, ignore_errors=True)
    images.mkdir()
    reference = make_embeddings.Reference(images, write(images, layers))
    if encoder:
        reference.context = max(map(len, encoder.ids.values()))
        reference.texts, reference.pad, reference.text = (lambda *_: encoder.ids), None, encoder.text
    return directory if encoder else images, images, reference


def compare(known, others, work, test, layers):
    """What the test prints of each precision: the largest error, and the smallest cosine."""
    golden = work / "golden.safetensors"
    directory, images, reference = lay_out(known, others, work, layers)
    make_embeddings.write_of(reference, golden, VECTORS)
    del reference
    env = dict(os.environ, PG_CLIP_FULL_GOLDEN=str(golden), TMPDIR=str(work), PG_CLIP_FULL_MODEL=str(directory))
    if directory != images:
        env["PG_CLIP_FULL_IMAGES"] = str(images)
    run = subprocess.run([test, "full_size", "--nocapture"], env=env, capture_output=True, text=True)
    for d in (directory, images):
        shutil.rmtree(d, ignore_errors=True)
    found = re.findall(r"^(f32|bf16|int8): .*max abs ([0-9.e-]+), cosine ([0-9.]+)", run.stdout, re.M)
    if run.returncode or len(found) != 3:
        raise SystemExit(f"{known['name']}: {run.stdout[-2000:]}{run.stderr[-2000:]}")
    figures = [f"{float(error):.1e}, {float(cosine):.{7 if precision == 'f32' else 5}f}" for precision, error, cosine in found]
    return [f"first {layers}" if layers else "all", *figures]


def key_of(known):
    return known["repository"] if "images" in known else case(known)[0]


def read():
    """Name -> what its line holds."""
    if not TABLE.exists():
        return {}
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in TABLE.read_text().splitlines() if line.startswith("| `")]
    return {cells[0].strip("`"): cells[1:] for cells in lines if cells[1]}


def write(models, lines):
    rows = [f"| `{known['name']}` | {' | '.join(lines.get(known['name'], [''] * 4))} |" for known in models]
    libraries = ", ".join(f"{name} {version}" for name, version in versions("open_clip_torch", "timm", "sentence-transformers").items())
    TABLE.write_text(f"""# Every model of the registry beside its reference

Written by `make_known.py`. Each has the layout of its repository and its full width, with seeded random weights.
The largest error of a component and the smallest cosine over 4 or 7 images and 9 to 14 texts, in each precision.
Models of one shape have the same figures. The column of layers says where only the first ones were compared.
Of {len(models)} models {len(lines)} have been compared. Others have an empty line.

Libraries: {libraries}.

| name | layers | f32 | bf16 | int8 |
|---|---|---|---|---|
""" + "\n".join(rows) + "\n")


def main():
    args = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    args.add_argument("--work", type=Path, required=True)
    args.add_argument("--test", required=True, help="the executable of model_parity.rs")
    args.add_argument("--layers", type=int, help="only so many layers of each")
    args.add_argument("names", nargs="*", metavar="NAME")
    args = args.parse_args()
    models = registry()
    known = {model["name"]: model for model in models}
    args.work.mkdir(parents=True, exist_ok=True)
    lines = read()
    for name in args.names or known:
        if name in lines:
            continue
        line, key = compare(known[name], known, args.work.absolute(), args.test, args.layers), key_of(known[name])
        lines |= {other["name"]: line for other in models if key_of(other) == key}
        write(models, lines)
        print(f"{name}: {line}", flush=True)


if __name__ == "__main__":
    main()
