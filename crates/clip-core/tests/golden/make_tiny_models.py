#!/usr/bin/env python3
"""Make model directories in the layout of the Hugging Face hub, with seeded random weights.

    make_tiny_models.py                                       the tiny fixtures, into models/
    make_tiny_models.py --full clip-vit-base-patch32 OUT_DIR  a full-size one, into OUT_DIR/clip-vit-base-patch32

Weights are scaled to 1/sqrt(fan_in) and a few channels are made large, so that outputs differ from input to input and
quantisation errors show. Layer-norm weights, class and position embeddings are random too, so that a tensor that is
dropped or mixed up is noticed.

Each tiny directory is a case for the importer; those marked = hold the very tensors of tiny-clip:
    tiny-clip              OpenAI's shape: quick_gelu, the text pooled at the first EOS
    tiny-openclip          OpenCLIP's: plain gelu; other depth, patch and projection than tiny-clip
    tiny-clip-legacy-eos = as OpenAI's own repositories: eos_token_id 2 (pool at the largest id), null *_config_dict, int64
                           position_ids among the tensors, a preprocessor of the oldest form
    tiny-clip-sharded    = safetensors in several files with an index
    tiny-clip-bin        = pytorch_model.bin (torch.save of a state dict), position_ids too
    tiny-clip-bf16, -f16   tiny-clip rounded
    tiny-clip-eps          layer_norm_eps 1e-3 on activations small enough that it matters
"""
import argparse
import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import CLIPConfig, CLIPModel
from transformers.utils.logging import disable_progress_bar

import tiny_tokenizer
from versions import HERE, record

disable_progress_bar()
SEED = 20261123
MEAN = [0.48145466, 0.4578275, 0.40821073]
STD = [0.26862954, 0.26130258, 0.27577711]


def clip(text, vision, proj, act="quick_gelu", **both):
    return CLIPConfig(text_config=dict(hidden_act=act, projection_dim=proj, **text, **both),
                      vision_config=dict(hidden_act=act, projection_dim=proj, **vision, **both), projection_dim=proj)


def tower(hidden, layers, heads, inter=None, **kw):
    return dict(hidden_size=hidden, num_hidden_layers=layers, num_attention_heads=heads,
                intermediate_size=inter or 4 * hidden, **kw)


TINY_VOCAB = dict(vocab_size=tiny_tokenizer.VOCAB, bos_token_id=998, eos_token_id=999, pad_token_id=1)

# MLP widths that are neither four times the hidden size nor multiples of a kernel's panel; 16 and 4 patches
TINY = {
    "tiny-clip": lambda **kw: clip(tower(32, 2, 4, 96, **TINY_VOCAB),
                                   tower(48, 2, 4, 112, patch_size=8, image_size=32), 24, **kw),
    "tiny-openclip": lambda **kw: clip(tower(32, 3, 2, 80, **TINY_VOCAB),
                                       tower(40, 3, 5, 80, patch_size=16, image_size=32), 48, act="gelu", **kw),
}
FULL = {
    "clip-vit-base-patch32": lambda: clip(tower(512, 12, 8), tower(768, 12, 12, patch_size=32, image_size=224), 512),
    "clip-vit-base-patch16": lambda: clip(tower(512, 12, 8), tower(768, 12, 12, patch_size=16, image_size=224), 512),
    "clip-vit-large-patch14": lambda: clip(tower(768, 12, 12), tower(1024, 24, 16, patch_size=14, image_size=224), 768),
    "clip-vit-large-patch14-336": lambda: clip(tower(768, 12, 12), tower(1024, 24, 16, patch_size=14, image_size=336), 768),
    # laion/CLIP-ViT-H-14-laion2B-s32B-b79K
    "openclip-vit-h-14": lambda: clip(tower(1024, 24, 16), tower(1280, 32, 16, patch_size=14, image_size=224), 1024,
                                      act="gelu"),
    # laion/CLIP-ViT-bigG-14-laion2B-39B-b160k: 10 GB
    "openclip-vit-bigg-14": lambda: clip(tower(1280, 32, 20), tower(1664, 48, 16, 8192, patch_size=14, image_size=224), 1280,
                                         act="gelu"),
}


def randomise(model, seed):
    """The scalar logit_scale keeps its value."""
    g = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if p.dim() == 0:
                continue
            r = torch.randn(p.shape, generator=g)
            if "norm" in name and name.endswith("weight"):
                p.copy_(1 + 0.2 * r)
                # outlier channels, as real CLIPs have
                p[torch.randint(p.numel(), (max(1, p.numel() // 128),), generator=g)] *= 6
            elif p.dim() == 1:
                p.copy_(0.1 * r)
            elif "embedding" in name and "patch" not in name:
                p.copy_(0.5 * r)
            else:
                fan_in = p[0].numel()
                p.copy_(r / fan_in ** 0.5)


def seeded(config, seed=SEED):
    model = CLIPModel(config).eval()
    randomise(model, seed)
    return model


def tiny(name, seed=SEED, logit_scale=4.6052, **both):
    model = seeded(TINY[name](**both), seed)
    # what training ends with is not config.json's logit_scale_init_value: the tensor counts
    model.logit_scale.data.fill_(logit_scale)
    return model


def write_json(path, value):
    path.write_text(json.dumps(value, indent=2) + "\n")


def preprocessor(directory, size):
    write_json(directory / "preprocessor_config.json", dict(
        crop_size=dict(height=size, width=size), do_center_crop=True, do_convert_rgb=True, do_normalize=True,
        do_rescale=True, do_resize=True, image_mean=MEAN, image_processor_type="CLIPImageProcessor", image_std=STD,
        resample=3, rescale_factor=1 / 255, size=dict(shortest_edge=size)))


def position_ids(config):
    """Buffers that checkpoints from before 2023 carry: counters 0, 1, 2..., no weights."""
    vision = config.vision_config
    patches = (vision.image_size // vision.patch_size) ** 2
    return {"text_model.embeddings.position_ids": torch.arange(config.text_config.max_position_embeddings)[None],
            "vision_model.embeddings.position_ids": torch.arange(patches + 1)[None]}


def make_legacy(model, d):
    """config.json, preprocessor_config.json and tensors with the oddities of OpenAI's repositories on the hub."""
    model.save_pretrained(d)
    config = json.loads((d / "config.json").read_text())
    config.pop("dtype", None)
    config |= dict(torch_dtype="float32", transformers_version="4.16.0.dev0", text_config_dict=None,
                   vision_config_dict=None)
    for part in ("text_config", "vision_config"):
        # fields that every configuration of that time spelled out: they mean nothing here
        config[part] |= dict(add_cross_attention=False, bad_words_ids=None, dropout=0.0, id2label={"0": "LABEL_0"},
                             is_decoder=False, num_beams=1, torch_dtype=None, transformers_version="4.16.0.dev0")
    config["text_config"] |= dict(bos_token_id=0, eos_token_id=2, pad_token_id=1)
    write_json(d / "config.json", config)
    write_json(d / "preprocessor_config.json", dict(
        crop_size=32, do_center_crop=True, do_normalize=True, do_resize=True,
        feature_extractor_type="CLIPFeatureExtractor", image_mean=MEAN, image_std=STD, resample=3, size=32))
    tensors = {k: v.detach().contiguous() for k, v in model.state_dict().items()} | position_ids(model.config)
    save_file(tensors, d / "model.safetensors", metadata={"format": "pt"})


def make_bin(model, d):
    model.save_pretrained(d)
    (d / "model.safetensors").unlink()
    state = model.state_dict()          # an OrderedDict with _metadata, as torch.save of any model's state has
    for name, tensor in position_ids(model.config).items():
        state[name] = tensor
    torch.save(state, d / "pytorch_model.bin")


def make_eps(d):
    model = tiny("tiny-clip", layer_norm_eps=1e-3)
    with torch.no_grad():
        # as small as a trained CLIP's: a variance of a few 1e-4 next to eps
        for name, p in model.named_parameters():
            if "embedding" in name:
                p.mul_(0.04)
    model.save_pretrained(d)


def make_tiny(root):
    def directory(name):
        d = root / name
        shutil.rmtree(d, ignore_errors=True)
        d.mkdir(parents=True)
        preprocessor(d, 32)
        tiny_tokenizer.write(d)
        return d

    model = tiny("tiny-clip")
    model.save_pretrained(directory("tiny-clip"))
    tiny("tiny-openclip", SEED + 1, logit_scale=3.9).save_pretrained(directory("tiny-openclip"))
    make_legacy(model, directory("tiny-clip-legacy-eos"))
    model.save_pretrained(directory("tiny-clip-sharded"), max_shard_size="150KB")
    make_bin(model, directory("tiny-clip-bin"))
    make_eps(directory("tiny-clip-eps"))
    for name, dtype in [("bf16", torch.bfloat16), ("f16", torch.float16)]:
        tiny("tiny-clip").to(dtype).save_pretrained(directory(f"tiny-clip-{name}"))
    for d in sorted(root.iterdir()):
        print(f"{d.name}: {sum(f.stat().st_size for f in d.iterdir())} bytes: {' '.join(sorted(f.name for f in d.iterdir()))}")


def make_full(name, out):
    config = FULL[name]()
    d = out / name
    d.mkdir(parents=True, exist_ok=True)
    model = seeded(config)
    model.save_pretrained(d)
    preprocessor(d, config.vision_config.image_size)
    for f in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(HERE / "tokenizers/clip" / f, d)
    print(f"{name}: {sum(p.numel() for p in model.parameters())} parameters")


def main():
    args = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    args.add_argument("--full", nargs=2, metavar=("NAME", "OUT_DIR"), help=f"one of {', '.join(FULL)}")
    args = args.parse_args()
    if args.full:
        make_full(args.full[0], Path(args.full[1]))
    else:
        make_tiny(HERE / "models")
        record("make_tiny_models.py")


if __name__ == "__main__":
    main()
