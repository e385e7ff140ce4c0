#!/usr/bin/env python3
"""Write the embeddings that transformers computes for each model directory: the numbers clip-core has to reproduce.

    make_embeddings.py [NAME...]                every model in models/, or these, into embeddings/NAME.safetensors
    make_embeddings.py --model DIR --out FILE   one model directory, of any size

transformers' CLIPModel or SiglipModel, or open_clip where the directory has its layout; weights and arithmetic in f32,
eager attention, one image or text at a time, one thread. CLIP's texts are not padded; SigLIP's and open_clip's are, to
the context, which the ids in the file do not show. Each file holds everything a test needs:
    pixels        f32 [n, 3, S, S]   the vision tower's input
    image_embeds  f32 [n, D]         of length one
    ids           i64 [m, L]         token ids; what lies beyond a sequence's length is -1
    lengths       i64 [m]
    text_embeds   f32 [m, D]         of length one
    logit_scale   f32 []             the model's own, a logarithm
    logit_bias    f32 []             SigLIP's
and one metadata entry, `golden`: JSON with `image_cases` and `text_cases` (names) and the library `versions`.
"""
import argparse
import contextlib
import json
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from transformers import ChineseCLIPConfig, ChineseCLIPModel, CLIPConfig, CLIPModel, MetaClip2Config, MetaClip2Model, Siglip2Config, Siglip2Model, SiglipConfig, SiglipModel
from transformers.utils.logging import disable_progress_bar

import jina_clip
from versions import HERE, record, versions

disable_progress_bar()
SEED = 20261124
MEAN = torch.tensor([0.48145466, 0.4578275, 0.40821073]).view(3, 1, 1)
STD = torch.tensor([0.26862954, 0.26130258, 0.27577711]).view(3, 1, 1)


def load(directory, **changes):
    kind, config_kind = {"clip": (CLIPModel, CLIPConfig), "siglip": (SiglipModel, SiglipConfig),
                         "siglip2": (Siglip2Model, Siglip2Config),
                         "metaclip_2": (MetaClip2Model, MetaClip2Config),
                         "chinese_clip": (ChineseCLIPModel, ChineseCLIPConfig)}[
        json.loads((directory / "config.json").read_text())["model_type"]]
    config = config_kind.from_pretrained(directory)
    for key, value in changes.items():
        setattr(config.text_config, key, value)
        setattr(config.vision_config, key, value)
    # f32 asked for by name: otherwise transformers keeps a half-precision file's type
    model, info = kind.from_pretrained(directory, config=config, dtype=torch.float32, attn_implementation="eager",
                                       output_loading_info=True)
    # transformers fills a missing tensor with random numbers and only warns
    assert not info["missing_keys"] and not info["unexpected_keys"] and not info["mismatched_keys"], info
    for p in model.parameters():
        p.data = p.data.clone()     # out of the mapped file: its alignment would show in the last bit of the results
    return model.eval()


def load_open_clip(directory, **changes):
    import open_clip
    import timm_towers  # noqa: F401, names towers
    with contextlib.chdir(directory):   # where an encoder of transformers has its configuration
        return open_clip.create_model(f"local-dir:{directory}", precision="fp32", **changes).eval()


class Reference:
    """One way to ask all of them. `model`: what the directory holds, where it is at hand."""

    def __init__(self, directory, model=None, **changes):
        self.pad, self.texts = None, texts
        if (directory / "open_clip_config.json").exists():
            cfg = json.loads((directory / "open_clip_config.json").read_text())["model_cfg"]
            model = model or load_open_clip(directory.resolve(), **changes)
            self.image_size, text = cfg["vision_cfg"]["image_size"], cfg["text_cfg"]
            self.context = text["context_length"]
            self.image, self.text = model.encode_image, model.encode_text
            if "hf_model_name" in text:
                self.vocab_size, self.pad = model.text.config.vocab_size, 1
                self.texts = nllb_texts if model.text.config.model_type == "m2m_100" else roberta_texts
            else:
                self.vocab_size, self.pad = text["vocab_size"], 0
                self.texts = siglip_texts if text.get("pool_type") == "last" else texts
        elif json.loads((directory / "config.json").read_text())["model_type"] == "jina_clip":
            model = jina_clip.JinaClip.load(directory)
            self.image_size = json.loads((directory / "config.json").read_text())["vision_config"]["image_size"]
            self.image, self.text, self.context, self.vocab_size = model.image, model.text, jina_clip.CONTEXT, model.vocab_size
            self.texts = bert_texts if isinstance(model.encoder, jina_clip.JinaBert) else roberta_texts
        else:
            model = model or load(directory, **changes)
            text = model.config.text_config
            vision, self.vocab_size = model.config.vision_config, text.vocab_size
            naflex = isinstance(model, Siglip2Model)
            self.image_size = int(vision.num_patches ** 0.5) * vision.patch_size if naflex else vision.image_size
            self.context = text.max_position_embeddings
            self.texts = {CLIPModel: texts, SiglipModel: siglip_texts, Siglip2Model: siglip_texts, MetaClip2Model: roberta_texts,
                          ChineseCLIPModel: bert_texts}[type(model)]
            if isinstance(model, MetaClip2Model) and text.eos_token_id == 1:
                self.texts = mt5_texts
            features = (lambda p: model.get_image_features(**patches(p, vision.patch_size))) if naflex else model.get_image_features
            self.image = lambda p: features(p).pooler_output
            self.text = lambda ids: model.get_text_features(ids).pooler_output
        if self.texts is siglip_texts:
            config = json.loads((directory / "tokenizer_config.json").read_text())
            tokens = json.loads((directory / "tokenizer.json").read_text())["added_tokens"]
            self.pad = next(t["id"] for t in tokens if t["content"] == config["pad_token"])
        self.scalars = {name: getattr(model, name).detach().clone().reshape(())
                        for name in ("logit_scale", "logit_bias") if getattr(model, name, None) is not None}

    def embed_text(self, ids):
        return self.text(torch.tensor([ids if self.pad is None else ids + [self.pad] * (self.context - len(ids))]))


def patches(pixels, size):
    """What Siglip2Model takes, of one square; others are in make_naflex.py."""
    from transformers.models.siglip2.image_processing_siglip2 import convert_image_to_patches
    side = pixels.shape[-1] // size
    values = convert_image_to_patches(pixels[0], size)[None]
    return dict(pixel_values=values, pixel_attention_mask=torch.ones(values.shape[:2], dtype=torch.int32),
                spatial_shapes=torch.tensor([[side, side]]))


def images(size):
    """Name -> normalised pixels [3, S, S], as a processor would make them from levels in 0..1."""
    # numpy's generator: its stream is promised not to change between versions
    rng = np.random.Generator(np.random.PCG64(SEED))
    noise = torch.from_numpy(rng.random((3, size, size), dtype=np.float32))
    coarse = torch.from_numpy(rng.random((3, 8, 8), dtype=np.float32))
    ramp = torch.linspace(0, 1, size)
    board = ((torch.arange(size)[:, None] + torch.arange(size)) % 2).float()
    levels = {
        "noise": noise,
        "blocks": coarse[:, (torch.arange(size) * 8 // size)[:, None], torch.arange(size) * 8 // size],
        "ramp": torch.stack([ramp.expand(size, size), ramp[:, None].expand(size, size), ramp.flip(0).expand(size, size)]),
        "checkerboard": board.expand(3, size, size),
        "black": torch.zeros(3, size, size),
        "white": torch.ones(3, size, size),
    }
    # and one that no picture gives: large values must not overflow or saturate
    return {k: (v - MEAN) / STD for k, v in levels.items()} | {"large": (noise - 0.5) * 40}


def siglip_texts(vocab_size, context):
    """Name -> token ids: no begin, the end is 1 in both of SigLIP's vocabularies."""
    rng = np.random.Generator(np.random.PCG64(SEED + 1))

    def text(n):
        return [*rng.integers(4, vocab_size, n).tolist(), 1]

    ids = {"empty": text(0), "one word": text(1), "two words": text(2), "one word repeated": [7] * 9 + [1],
           "short": text(context // 2), "one below the limit": text(context - 2), "at the limit": text(context - 1)}
    # in the middle nothing is special: what follows counts
    ids["ended"] = text(4)
    ids["ended, then more"] = ids["ended"] + text(3)
    return ids


def roberta_texts(vocab_size, context):
    """Name -> token ids: begin 0, end 2, in all of XLM-RoBERTa's vocabularies. Padding, 1, is in none."""
    rng = np.random.Generator(np.random.PCG64(SEED + 2))

    def text(n):
        return [0, *rng.integers(4, vocab_size - 1, n).tolist(), 2]

    ids = {"empty": text(0), "one word": text(1), "two words": text(2), "one word repeated": [0, *[7] * 9, 2],
           "short": text(context // 3), "one below the limit": text(context - 3), "at the limit": text(context - 2)}
    ids["ended"] = text(4)
    ids["ended, then more"] = ids["ended"] + text(3)
    return ids


def nllb_texts(vocab_size, context):
    """Name -> token ids: begin with a language, of which all are high ids, end with 2."""
    first = vocab_size - 8
    ids = roberta_texts(first, context)
    texts = {name: [first + i % 3, *ids[name][1:]] for i, name in enumerate(ids)}
    return texts | {f"in another language, {i}": [first + i, *texts["two words"][1:]] for i in range(3)}


def mt5_texts(vocab_size, context):
    """Name -> token ids: no begin, the end is 1. What follows the first one cannot matter."""
    return dict(siglip_texts(vocab_size, context))


def bert_texts(vocab_size, context):
    """Name -> token ids: begin 3, end 4, as the tiny vocabulary has them."""
    return {name: [3, *(max(i, 6) for i in ids[1:-1]), 4] for name, ids in roberta_texts(vocab_size, context).items()}


def texts(vocab_size, context):
    """Name -> token ids. Begin and end are the vocabulary's last two, as in every CLIP, whatever the config says."""
    bos, eos = vocab_size - 2, vocab_size - 1
    rng = np.random.Generator(np.random.PCG64(SEED + 1))

    def words(n):
        return rng.integers(3, bos, n).tolist()

    def text(n):
        return [bos, *words(n), eos]

    ids = {
        "empty": text(0),
        "one word": text(1),
        "two words": text(2),
        "one word repeated": [bos, *words(1) * 9, eos],
        "smallest ids, 2 among them": [bos, 5, 2, 1, 0, 9, eos],     # 2 is what old configs call eos_token_id
        "short": text(8),
        "middling": text(context * 2 // 5),
        "one below the limit": text(context - 3),
        "at the limit": text(context - 2),
        "cut at the limit": text(context * 2)[:context - 1] + [eos],
    }
    # what follows the first end cannot matter: the next three make one vector
    start = text(4)
    ids["ended"] = start
    ids["ended, then more, then ended again"] = start + words(6) + [eos]
    ids["ended, padded with ends to the limit"] = start + [eos] * (context - len(start))
    # no tokenizer makes this: the first-EOS rule then takes position 0, the largest-id rule takes position 1
    ids["no end"] = [7, bos - 1, 9, 12]
    return ids


def normalised(features):
    return (features / features.norm(dim=-1, keepdim=True)).reshape(-1)


@torch.no_grad()
def embed(model, cases=None):
    pixels = {name: levels for name, levels in images(model.image_size).items() if cases is None or name in cases}
    ids = model.texts(model.vocab_size, model.context)
    longest = max(map(len, ids.values()))
    tensors = {
        "pixels": torch.stack(list(pixels.values())),
        "image_embeds": torch.stack([normalised(model.image(p[None])) for p in pixels.values()]),
        "ids": torch.tensor([i + [-1] * (longest - len(i)) for i in ids.values()]),
        "lengths": torch.tensor([len(i) for i in ids.values()]),
        "text_embeds": torch.stack([normalised(model.embed_text(i)) for i in ids.values()]),
    }
    return tensors | model.scalars, list(pixels), list(ids)


def write(directory, out):
    return write_of(Reference(directory), out)


def write_of(reference, out, cases=None):
    tensors, image_cases, text_cases = embed(reference, cases)
    assert all(torch.isfinite(t).all() for t in tensors.values())
    out.parent.mkdir(parents=True, exist_ok=True)
    # one entry: the order of several varies from run to run, and with it the file
    golden = dict(image_cases=image_cases, text_cases=text_cases, versions=versions())
    save_file({k: v.contiguous() for k, v in tensors.items()}, out, metadata={"golden": json.dumps(golden)})
    e = torch.cat([tensors["image_embeds"], tensors["text_embeds"]])
    print(f"{out.name}: {len(image_cases)} images, {len(text_cases)} texts, {e.shape[1]} dimensions")
    return tensors, text_cases


def worst_cosine(a, b):
    return min((a[k] * b[k]).sum(-1).min().item() for k in ("image_embeds", "text_embeds"))


def check(made):
    """The fixtures must be able to fail a wrong importer, else they test nothing."""
    base, cases = made["tiny-clip"]
    for same in ("tiny-clip-sharded", "tiny-clip-bin"):
        for k, v in base.items():
            assert torch.equal(v, made[same][0][k]), (same, k)
    legacy = made["tiny-clip-legacy-eos"][0]["text_embeds"]
    differ = [c for c, a, b in zip(cases, base["text_embeds"], legacy) if not torch.equal(a, b)]
    assert differ == ["no end"], differ
    one, *others = (i for i, c in enumerate(cases) if c.startswith("ended"))
    for i in others:
        assert torch.allclose(base["text_embeds"][one], base["text_embeds"][i], atol=1e-6)
    half = {n: worst_cosine(base, made[n][0]) for n in ("tiny-clip-bf16", "tiny-clip-f16")}
    for name in ("tiny-siglip", "tiny-siglip2", "tiny-siglip-timm", "tiny-siglip2-timm-bin"):
        # the vector of a padded text is another than that of the text alone
        tensors, cases = made[name]
        one, other = (cases.index(c) for c in ("ended", "ended, then more"))
        assert not torch.allclose(tensors["text_embeds"][one], tensors["text_embeds"][other], atol=1e-3)
    wrong = {
        "tiny-openclip with quick_gelu": ("tiny-openclip", dict(hidden_act="quick_gelu")),
        "tiny-clip with gelu": ("tiny-clip", dict(hidden_act="gelu")),
        "tiny-siglip with quick_gelu": ("tiny-siglip", dict(hidden_act="quick_gelu")),
        "tiny-openclip-native with quick_gelu": ("tiny-openclip-native", dict(force_quick_gelu=True)),
        "tiny-clip-eps with eps 1e-5": ("tiny-clip-eps", dict(layer_norm_eps=1e-5)),
    }
    for label, (name, changes) in wrong.items():
        tensors, _, _ = embed(Reference(HERE / "models" / name, **changes))
        for k in ("image_embeds", "text_embeds"):
            right, off = made[name][0][k], tensors[k]
            errors = (right - off).abs().amax(-1)
            print(f"{label}: {k} off by {errors.min().item():.1e} .. {errors.max().item():.1e}, "
                  f"cosine down to {(right * off).sum(-1).min().item():.6f}")
            # a cosine hardly sees a wrong activation: tests should look at the largest error, and at every case
            assert errors.min() > 3e-4, label
    print("smallest cosine to tiny-clip after rounding: " + ", ".join(f"{n} {c:.6f}" for n, c in half.items()))
    for k in ("image_embeds", "text_embeds"):
        e = base[k]
        off = (e @ e.T)[~torch.eye(len(e), dtype=bool)]
        print(f"tiny-clip {k}: cosines between different inputs {off.min().item():.3f} .. {off.max().item():.3f}")


def main():
    args = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    args.add_argument("--model", type=Path, metavar="DIR")
    args.add_argument("--out", type=Path, metavar="FILE")
    args.add_argument("names", nargs="*", metavar="NAME")
    args = args.parse_args()
    torch.set_num_threads(1)
    if args.model and args.out:
        write(args.model, args.out)
    elif args.model or args.out:
        raise SystemExit("--model and --out go together")
    elif args.names:
        for name in args.names:
            write(HERE / "models" / name, HERE / "embeddings" / f"{name}.safetensors")
        record("make_embeddings.py of the other families", "open_clip_torch")
    else:
        made = {d.name: write(d, HERE / "embeddings" / f"{d.name}.safetensors")
                for d in sorted((HERE / "models").iterdir())}
        check(made)
        record("make_embeddings.py")


if __name__ == "__main__":
    main()
