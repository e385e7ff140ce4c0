#!/usr/bin/env python3
"""Write how transformers resolves odd config.json and preprocessor_config.json files, into configs.json.

Each case is a raw file as it may lie in a model's directory and the values transformers works with after reading it:
missing fields get defaults, old spellings are translated. What transformers refuses has `error` instead.
"""
import json
import tempfile
from pathlib import Path

from transformers import CLIPConfig
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from versions import HERE, record, versions

TOWER = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "hidden_act", "layer_norm_eps")
TEXT = (*TOWER, "vocab_size", "max_position_embeddings", "bos_token_id", "eos_token_id", "pad_token_id")
VISION = (*TOWER, "image_size", "patch_size", "num_channels")
IMAGE = ("do_convert_rgb", "do_resize", "size", "resample", "do_center_crop", "crop_size", "do_rescale", "rescale_factor",
         "do_normalize", "image_mean", "image_std")

LARGE_TEXT = dict(hidden_size=768, intermediate_size=3072, num_attention_heads=12, num_hidden_layers=12, projection_dim=768)
LARGE_VISION = dict(hidden_size=1024, intermediate_size=4096, num_attention_heads=16, num_hidden_layers=24, patch_size=14,
                    projection_dim=768)

CONFIGS = {
    "nothing but the type": dict(),
    "towers empty": dict(text_config={}, vision_config={}),
    "towers null": dict(text_config=None, vision_config=None),
    "text tower only": dict(text_config=dict(hidden_size=256, num_attention_heads=4)),
    "activation in one tower only": dict(text_config=dict(hidden_act="gelu"), vision_config={}),
    "projection in the towers only": dict(text_config=dict(projection_dim=640), vision_config=dict(projection_dim=640)),
    "projection at the top": dict(projection_dim=640, text_config={}, vision_config={}),
    "eps in one tower": dict(text_config={}, vision_config=dict(layer_norm_eps=1e-6)),
    "old end of text": dict(text_config=dict(bos_token_id=0, eos_token_id=2, pad_token_id=1), vision_config={}),
    "old end of text, null dicts": dict(text_config=dict(bos_token_id=0, eos_token_id=2, pad_token_id=1), vision_config={},
                                        text_config_dict=None, vision_config_dict=None),
    # as openai/clip-vit-large-patch14: the *_config_dict wins over *_config, its defaults included, and so the end of
    # text becomes 49407 again
    "old end of text, dicts given": dict(
        projection_dim=768, text_config=LARGE_TEXT | dict(bos_token_id=0, eos_token_id=2, pad_token_id=1),
        vision_config=LARGE_VISION, text_config_dict=LARGE_TEXT, vision_config_dict=LARGE_VISION),
    "dicts only": dict(projection_dim=768, text_config_dict=LARGE_TEXT, vision_config_dict=LARGE_VISION),
    "dicts contradict": dict(text_config=dict(hidden_act="gelu", hidden_size=256, vocab_size=1000),
                             text_config_dict=dict(hidden_size=128), vision_config={}),
    "dicts empty": dict(text_config=dict(hidden_act="gelu", hidden_size=256), vision_config=dict(hidden_act="gelu"),
                        text_config_dict={}, vision_config_dict={}),
    "explicit nulls": dict(text_config=dict(layer_norm_eps=None), vision_config={}),
    "null activation": dict(text_config=dict(hidden_act=None), vision_config={}),
    "logit scale as an integer": dict(logit_scale_init_value=4, text_config={}, vision_config={}),
    "heads do not divide": dict(text_config=dict(hidden_size=100, num_attention_heads=8), vision_config={}),
    "unknown activation": dict(text_config=dict(hidden_act="silly"), vision_config={}),
    "list of ends": dict(text_config=dict(eos_token_id=[49407, 2]), vision_config={}),
    "image size as a pair": dict(text_config={}, vision_config=dict(image_size=[224, 224])),
}

MEAN = [0.48145466, 0.4578275, 0.40821073]
STD = [0.26862954, 0.26130258, 0.27577711]
PREPROCESSORS = {
    "nothing": dict(),
    "oldest": dict(crop_size=336, do_center_crop=True, do_normalize=True, do_resize=True,
                   feature_extractor_type="CLIPFeatureExtractor", image_mean=MEAN, image_std=STD, resample=3, size=336),
    "size as a number only": dict(size=96),
    "crop as a number only": dict(crop_size=96),
    "squash": dict(size=dict(height=224, width=224), do_center_crop=False),
    "size as a pair": dict(size=[224, 256]),
    "crop as a pair": dict(crop_size=[224, 256]),
    "shortest and longest": dict(size=dict(shortest_edge=224, longest_edge=448)),
    "explicit nulls": dict(size=None, crop_size=None, resample=None, image_mean=None, image_std=None, do_resize=None,
                           do_center_crop=None, do_rescale=None, rescale_factor=None, do_normalize=None, do_convert_rgb=None),
    "bilinear": dict(resample=2),
    "no crop": dict(do_center_crop=False),
    "no rescale": dict(do_rescale=False),
    "no normalisation": dict(do_normalize=False),
    "half mean": dict(image_mean=[0.5, 0.5, 0.5], image_std=[0.5, 0.5, 0.5]),
    "mean as a number": dict(image_mean=0.5, image_std=0.5),
    "square": dict(use_square_size=True),
    "unknown key in size": dict(size=dict(side=224)),
}


def resolve(cls, values, raw, file):
    with tempfile.TemporaryDirectory() as d:
        (Path(d) / file).write_text(json.dumps(raw))
        try:
            read = cls.from_pretrained(d)
        except Exception as e:      # only the kind: messages change from version to version
            return dict(error=type(e).__name__)
    return dict(resolved=values(read))


def config_values(config):
    return dict(projection_dim=config.projection_dim, logit_scale_init_value=config.logit_scale_init_value,
                text_config={k: getattr(config.text_config, k) for k in TEXT},
                vision_config={k: getattr(config.vision_config, k) for k in VISION})


def preprocessor_values(processor):
    out = {k: getattr(processor, k) for k in IMAGE}
    for k in ("size", "crop_size"):
        if out[k] is not None:
            out[k] = {side: n for side, n in dict(out[k]).items() if n is not None}
    return out


def main():
    configs, preprocessors = [], []
    for name, raw in CONFIGS.items():
        raw = dict(model_type="clip") | raw
        configs.append(dict(name=name, raw=raw) | resolve(CLIPConfig, config_values, raw, "config.json"))
    for name, raw in PREPROCESSORS.items():
        preprocessors.append(dict(name=name, raw=raw) | resolve(
            CLIPImageProcessorPil, preprocessor_values, raw, "preprocessor_config.json"))
    out = dict(versions=versions(), configs=configs, preprocessors=preprocessors)
    (HERE / "configs.json").write_text(json.dumps(out, indent=1) + "\n")
    for case in configs + preprocessors:
        print(f"{case['name']}: {case.get('error', 'resolved')}")
    record("make_configs.py")


if __name__ == "__main__":
    main()
