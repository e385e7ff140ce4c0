#!/usr/bin/env python3
"""Make model directories of the families beside CLIP, with seeded random weights (see make_tiny_models.py).

    make_family_models.py                                  the tiny fixtures, into models/
    make_family_models.py --full NAME OUT_DIR [--layers N] a full-size one, into OUT_DIR/NAME, or its first N layers
    make_family_models.py --shapes OUT_DIR                 every NLLB-CLIP of open_clip, and every model with timm's vision tower of a kind below, with
                                                           tensors that are holes in files

    tiny-siglip              transformers' SiglipModel with a SentencePiece tokenizer; another text than vision width
    tiny-siglip2             the same architecture with Gemma's kind of tokenizer, bilinear resize, and a patch that does
                             not divide the image, as in siglip-so400m-patch14-384
    tiny-siglip2-naflex      transformers' Siglip2Model: pictures of any aspect, patches by a linear layer
    tiny-openclip-native     open_clip's own layout: fused in_proj, plain projection matrices, GELU, its preprocess_cfg
    tiny-openclip-native-bin the same library's custom_text layout in a torch.save file: QuickGELU, squash
    tiny-openclip-roberta    the same library with an XLM-RoBERTa as text tower: mean pooling, projection of two layers
    tiny-openclip-roberta-cls the same, pooled at the first token, projection of one layer
    tiny-openclip-nllb       the same library with NLLB's encoder as text tower, pooled at the token of the language
    tiny-openclip-nllb-siglip the same beside SigLIP's images in timm's layout
    tiny-chinese-clip        transformers' ChineseCLIPModel: a BERT with its vocab.txt alone, squashed images
    tiny-metaclip2           transformers' MetaClip2Model: CLIP's towers, XLM-RoBERTa's kind of tokenizer
    tiny-metaclip2-mt5       the same with mT5's kind, which writes an end and no begin
    tiny-siglip-timm         SigLIP in open_clip's layout: timm's vision tower with the exact GELU, another text than vision width
    tiny-siglip2-timm-bin    SigLIP 2 in it, in a torch.save file: the approximation of GELU in both towers
    tiny-pe-core             Meta's Perception Encoder in open_clip's layout: rotary positions, attention pooling, a class token
    tiny-pe-core-g-bin       its largest size, in a torch.save file: no class token
    tiny-eva01-bin           EVA-CLIP in open_clip's layout, in a torch.save file: keys without a bias, a linear layer after the class token
    tiny-eva02               EVA02-CLIP: rotary positions, gated MLPs, norms within both halves of a layer
    tiny-eva02-e             EVA02-CLIP enormous: norms of what attention and MLP add
    tiny-mobileclip*         MobileCLIP's towers (timm_mobile.py)
    tiny-jina-clip-v1        Jina CLIP (jina_clip.py): EVA-02's images, texts by JinaBERT with ALiBi and GEGLU
    tiny-jina-clip-v2        the same with jina-embeddings-v3's texts: rotary positions, and the second of two adapters
"""
import argparse
import contextlib
import json
import shutil
from pathlib import Path

import open_clip
import torch
from safetensors.torch import save_file
from transformers import ChineseCLIPConfig, ChineseCLIPModel, M2M100Config, MetaClip2Config, MetaClip2Model, Siglip2Config, Siglip2Model, SiglipConfig, SiglipModel, XLMRobertaConfig

import bert_tokenizer
import jina_clip
import nllb_tokenizer
import roberta_tokenizer
import siglip_tokenizers
import timm_mobile
import timm_towers
import tiny_tokenizer
from make_tiny_models import MEAN, SEED, STD, preprocessor, randomise, tower, write_json
from versions import HERE, record

NAMES = ("tiny-siglip", "tiny-siglip2", "tiny-siglip2-naflex", "tiny-openclip-native", "tiny-openclip-native-bin", "tiny-siglip-timm",
         "tiny-siglip2-timm-bin", "tiny-pe-core", "tiny-pe-core-g-bin", "tiny-eva01-bin", "tiny-eva02", "tiny-eva02-e",
         "tiny-openclip-roberta", "tiny-openclip-roberta-cls", "tiny-openclip-nllb", "tiny-openclip-nllb-siglip", "tiny-metaclip2", "tiny-metaclip2-mt5", "tiny-chinese-clip",
         "tiny-jina-clip-v1", "tiny-jina-clip-v2")


def siglip(text, vision):
    return SiglipConfig(text_config=dict(text), vision_config=dict(vision))


def siglip_size(width, layers, heads, inter, patch, image, vocab=32000, text=None, **kw):
    same = tower(width, layers, heads, inter)
    return lambda: siglip(dict(text or same, vocab_size=vocab, max_position_embeddings=64, projection_size=width),
                          dict(same, patch_size=patch, image_size=image))


FULL_SIGLIP = {
    "siglip-base-patch16-224": siglip_size(768, 12, 12, 3072, 16, 224),
    "siglip-so400m-patch14-384": siglip_size(1152, 27, 16, 4304, 14, 384),
    "siglip2-base-patch16-224": siglip_size(768, 12, 12, 3072, 16, 224, vocab=256000),
}


def randomised(model, seed, scale, bias=None):
    randomise(model, seed)
    with torch.no_grad():
        g = torch.Generator().manual_seed(seed + 7)
        for name, p in model.named_parameters():
            # not among the weights that make_tiny_models.py knows by name
            if name.endswith(("in_proj_bias", "ln_pre.bias", "ln_final.bias", "ln_post.bias", "qkv.bias")):
                p.copy_(0.1 * torch.randn(p.shape, generator=g))
            elif "ln_" in name and name.endswith("weight"):
                p.copy_(1 + 0.2 * torch.randn(p.shape, generator=g))
            elif name.endswith(("positional_embedding", "class_embedding", "probe", "pos_embed", "cls_token", "latent")):
                p.copy_(0.5 * torch.randn(p.shape, generator=g))
            elif name in ("text_projection", "text.text_projection", "visual.proj"):
                p.copy_(torch.randn(p.shape, generator=g) / p.shape[0] ** 0.5)
        model.logit_scale.fill_(scale)
        if bias is not None:
            model.logit_bias.fill_(bias)
    return model


def siglip_preprocessor(d, size, resample):
    """As SigLIP's repositories have it, with the nulls."""
    write_json(d / "preprocessor_config.json", dict(
        do_convert_rgb=None, do_normalize=True, do_rescale=True, do_resize=True, image_mean=[0.5] * 3,
        image_processor_type="SiglipImageProcessor", image_std=[0.5] * 3, processor_class="SiglipProcessor",
        resample=resample, rescale_factor=1 / 255, size=dict(height=size, width=size)))


def save_siglip(config, d, resample, seed, scale=4.7, bias=-12.9):
    model = randomised(SiglipModel(config).eval(), seed, scale, bias)
    model.save_pretrained(d)
    siglip_preprocessor(d, config.vision_config.image_size, resample)
    return model


def naflex(text, vision):
    return Siglip2Config(text_config=dict(text), vision_config=dict(vision))


def save_naflex(config, d, most, seed, scale=4.7, bias=-12.9):
    model = randomised(Siglip2Model(config).eval(), seed, scale, bias)
    model.save_pretrained(d)
    write_json(d / "preprocessor_config.json", dict(
        do_convert_rgb=None, do_normalize=True, do_rescale=True, do_resize=True, image_mean=[0.5] * 3,
        image_processor_type="Siglip2ImageProcessor", image_std=[0.5] * 3, max_num_patches=most,
        patch_size=config.vision_config.patch_size, processor_class="Siglip2Processor", resample=2, rescale_factor=1 / 255))
    return model


FULL_NAFLEX = {"siglip2-base-patch16-naflex": (768, 12, 12, 3072), "siglip2-so400m-patch16-naflex": (1152, 27, 16, 4304)}


def roberta_config(width, layers, inter, positions, vocab):
    """As published encoders have it, with heads of 64."""
    return XLMRobertaConfig(vocab_size=vocab, hidden_size=width, num_hidden_layers=layers, num_attention_heads=width // 64,
                            intermediate_size=inter, max_position_embeddings=positions, type_vocab_size=1,
                            layer_norm_eps=1e-5, pad_token_id=1, bos_token_id=0, eos_token_id=2)


# layers, and width of an MLP
NLLB = {"facebook/nllb-200-distilled-600M": (12, 4096), "facebook/nllb-200-distilled-1.3B": (24, 8192)}


def nllb_config(width, layers, inter, vocab):
    """As published encoders have it, with heads of 64. The decoder is left out by open_clip."""
    return M2M100Config(vocab_size=vocab, d_model=width, encoder_layers=layers, encoder_attention_heads=width // 64,
                        encoder_ffn_dim=inter, decoder_layers=1, decoder_attention_heads=1, decoder_ffn_dim=8,
                        activation_function="relu", scale_embedding=True, pad_token_id=1, bos_token_id=0, eos_token_id=2)


def save_open_clip_encoder(d, text_cfg, seed, dim, config, vision, bias=None):
    """open_clip finds the encoder's configuration by its name, which is that of a directory here."""
    name = text_cfg["hf_model_name"]
    config.save_pretrained(d / name)
    siglip = bias is not None
    with contextlib.chdir(d):
        cfg = dict(embed_dim=dim, vision_cfg=vision, text_cfg=text_cfg, custom_text=True) | (dict(init_logit_bias=-10) if siglip else {})
        model, cfg = open_clip_model(cfg, seed, 4.3, bias=bias)
    preprocess = CLIP_LEVELS | dict(interpolation="bicubic", resize_mode="shortest")
    save_open_clip(model, cfg, siglip_levels(vision["image_size"]) if siglip else preprocess, d, half=True)
    return model


def open_clip_model(cfg, seed, scale, layers=None, bias=None):
    cfg = json.loads(json.dumps(cfg))
    if layers and "timm_model_name" in cfg["vision_cfg"]:
        raise SystemExit("timm's towers have the layers that their names say")
    if layers:
        cfg["vision_cfg"]["layers"] = cfg["text_cfg"]["layers"] = layers
    custom = cfg.get("custom_text", False)
    args = {k: v for k, v in cfg.items() if k != "custom_text"}
    model = (open_clip.CustomTextCLIP if custom else open_clip.CLIP)(**args).eval()
    return randomised(model, seed, scale, bias), cfg


def save_open_clip(model, cfg, preprocess, d, torch_file=False, half=False):
    """`half`: of half the size, and the model has the weights that it holds. The largest is not to be in memory twice."""
    write_json(d / "open_clip_config.json", dict(model_cfg=cfg, preprocess_cfg=preprocess))
    if half:
        for p in model.parameters():
            p.data = p.data.half()
    tensors = {k: (v.half() if half and v.is_floating_point() else v).detach().contiguous()
               for k, v in model.state_dict().items()}
    if torch_file:
        torch.save(tensors, d / "open_clip_pytorch_model.bin")
    else:
        save_file(tensors, d / "open_clip_model.safetensors", metadata={"format": "pt"})
    del tensors
    for p in model.parameters():
        p.data = p.data.float()


CLIP_LEVELS = dict(mean=list(open_clip.OPENAI_DATASET_MEAN), std=list(open_clip.OPENAI_DATASET_STD))
TINY_TEXT = dict(context_length=24, vocab_size=tiny_tokenizer.VOCAB, width=16, heads=2, layers=2)
TINY_OPEN_CLIP = {
    "tiny-openclip-native": (dict(
        embed_dim=24, vision_cfg=dict(image_size=16, layers=2, width=40, head_width=8, mlp_ratio=2.2, patch_size=4),
        text_cfg=TINY_TEXT), CLIP_LEVELS | dict(interpolation="bicubic", resize_mode="shortest")),
    "tiny-openclip-native-bin": (dict(
        embed_dim=20, quick_gelu=True, custom_text=True,
        vision_cfg=dict(image_size=16, layers=1, width=32, head_width=16, patch_size=8),
        text_cfg=dict(TINY_TEXT, layers=1, norm_kwargs=dict(eps=1e-6))),
        CLIP_LEVELS | dict(size=[16, 16], mode="RGB", interpolation="bilinear", resize_mode="squash", fill_color=0)),
}


def siglip_levels(size):
    """preprocess_cfg, as SigLIP's repositories have it."""
    return dict(size=[size, size], mode="RGB", mean=[0.5] * 3, std=[0.5] * 3, interpolation="bicubic", resize_mode="squash",
                fill_color=0)


def pe_levels(size):
    """preprocess_cfg of PE-Core's repositories."""
    return siglip_levels(size) | dict(interpolation="bilinear")


def eva_in_open_clip(tower, pool):
    """As open_clip's PE-Core-* and EVA0* are configured."""
    return dict(embed_dim=24, custom_text=True, text_cfg=TINY_TEXT,
                vision_cfg=dict(image_size=20, timm_model_name=tower, timm_model_pretrained=False, timm_pool=pool, timm_proj=None))


def siglip_in_open_clip(tower, vocab, width, heads, **text):
    """As open_clip's ViT-*-SigLIP* are configured."""
    return dict(
        embed_dim=24, init_logit_bias=-10, custom_text=True,
        vision_cfg=dict(image_size=20, timm_model_name=tower, timm_model_pretrained=False, timm_pool="map", timm_proj="none"),
        text_cfg=dict(
            context_length=siglip_tokenizers.CONTEXT, vocab_size=vocab, hf_tokenizer_name="timm/ViT-B-16-SigLIP",
            tokenizer_kwargs=dict(clean="canonicalize"), width=width, heads=heads, layers=2, mlp_ratio=3.7362,
            no_causal_mask=True, proj_bias=True, pool_type="last", norm_kwargs=dict(eps=1e-6), **text))


TINY_TIMM = {
    "tiny-siglip-timm": (siglip_in_open_clip("vit_golden_patch6_siglip_20", siglip_tokenizers.UNIGRAM_VOCAB, 32, 4),
                         siglip_tokenizers.write_siglip),
    "tiny-siglip2-timm-bin": (siglip_in_open_clip("vit_golden_patch5_siglip_20", siglip_tokenizers.GEMMA_VOCAB, 16, 2,
                                                  act_kwargs=dict(approximate="tanh")), siglip_tokenizers.write_siglip2),
}


TINY_EVA = {
    "tiny-pe-core": (eva_in_open_clip("vit_pe_core_golden_patch5_20", "map"), pe_levels(20)),
    "tiny-pe-core-g-bin": (eva_in_open_clip("vit_pe_core_golden_patch4_20", "map"), pe_levels(20)),
    "tiny-eva01-bin": (eva_in_open_clip("eva_golden_patch5_20", "token"), CLIP_LEVELS),
    "tiny-eva02": (eva_in_open_clip("eva02_golden_patch5_20", "token"), CLIP_LEVELS),
    "tiny-eva02-e": (eva_in_open_clip("eva02_golden_enormous_patch4_20", "token"), CLIP_LEVELS),
}


def make_tiny(root):
    def directory(name):
        d = root / name
        shutil.rmtree(d, ignore_errors=True)
        d.mkdir(parents=True)
        return d

    context = siglip_tokenizers.CONTEXT
    text = tower(32, 2, 4, 72, max_position_embeddings=context)
    vision = tower(40, 2, 5, 72, patch_size=4, image_size=16)
    d = directory("tiny-siglip")
    siglip_tokenizers.write_siglip(d)
    vocab = siglip_tokenizers.UNIGRAM_VOCAB
    save_siglip(siglip(text | dict(vocab_size=vocab, projection_size=40), vision), d, 3, SEED + 2)

    d = directory("tiny-siglip2")
    siglip_tokenizers.write_siglip2(d)
    text = tower(24, 1, 2, 48, vocab_size=siglip_tokenizers.GEMMA_VOCAB, max_position_embeddings=context)
    save_siglip(siglip(text, tower(24, 1, 3, 48, patch_size=8, image_size=20)), d, 2, SEED + 3)

    d = directory("tiny-siglip2-naflex")
    siglip_tokenizers.write_siglip2(d)
    text = tower(24, 1, 2, 48, vocab_size=siglip_tokenizers.GEMMA_VOCAB, max_position_embeddings=context, projection_size=40)
    save_naflex(naflex(text, tower(40, 2, 5, 72, patch_size=4, num_patches=16)), d, 20, SEED + 12)

    for i, (name, (cfg, preprocess)) in enumerate(TINY_OPEN_CLIP.items()):
        d = directory(name)
        tiny_tokenizer.write(d, 24)
        model, cfg = open_clip_model(cfg, SEED + 4 + i, 4.2)
        save_open_clip(model, cfg, preprocess, d, torch_file=name.endswith("-bin"))
    vision = dict(image_size=16, layers=1, width=32, head_width=16, patch_size=8)
    kinds = {"tiny-openclip-roberta": dict(hf_pooler_type="mean_pooler", hf_proj_type="mlp"),
             "tiny-openclip-roberta-cls": dict(hf_pooler_type="cls_last_hidden_state_pooler", hf_proj_type="linear")}
    for i, (name, kind) in enumerate(kinds.items()):
        d = directory(name)
        roberta_tokenizer.write(d, 24)
        config = roberta_config(128, 2 - i, 96, 34, roberta_tokenizer.size())
        text = dict(hf_model_name="xlm-roberta-tiny", hf_tokenizer_name="xlm-roberta-tiny", hf_model_pretrained=False,
                    context_length=24)
        save_open_clip_encoder(d, text | kind, SEED + 6 + i, 24, config, vision)
    text = dict(hf_model_name="nllb-tiny", hf_tokenizer_name="nllb-tiny", hf_model_pretrained=False, context_length=24,
                hf_pooler_type="cls_pooler", hf_proj_type="linear")
    timm = dict(image_size=20, timm_model_name="vit_golden_patch6_siglip_20", timm_model_pretrained=False, timm_pool="map", timm_proj="none")
    for i, (name, bias, vision) in enumerate((("tiny-openclip-nllb", None, vision), ("tiny-openclip-nllb-siglip", -12.9, timm))):
        d = directory(name)
        nllb_tokenizer.write(d)
        config = nllb_config(128 // (i + 1), 2 - i, 96, nllb_tokenizer.size() + 2)
        save_open_clip_encoder(d, text, SEED + 10 + i, 24, config, vision, bias)

    d = directory("tiny-metaclip2")
    roberta_tokenizer.write(d, 24)
    text = tower(32, 2, 4, 96, vocab_size=roberta_tokenizer.size(), max_position_embeddings=24, hidden_act="gelu",
                 eos_token_id=2, bos_token_id=0, pad_token_id=1, projection_dim=24)
    vision = tower(48, 2, 4, 112, patch_size=8, image_size=32, hidden_act="gelu", projection_dim=24)
    model = randomised(MetaClip2Model(MetaClip2Config(text_config=text, vision_config=vision, projection_dim=24)).eval(),
                       SEED + 8, 4.1)
    model.save_pretrained(d)
    preprocessor(d, 32)
    d = directory("tiny-metaclip2-mt5")
    (d / "tokenizer.json").write_text(siglip_tokenizers.siglip().json + "\n", encoding="utf-8")
    text = tower(16, 1, 2, 40, vocab_size=siglip_tokenizers.UNIGRAM_VOCAB, max_position_embeddings=24, hidden_act="gelu",
                 eos_token_id=1, pad_token_id=0, projection_dim=24)
    vision = tower(32, 1, 2, 48, patch_size=8, image_size=16, hidden_act="gelu", projection_dim=24)
    model = randomised(MetaClip2Model(MetaClip2Config(text_config=text, vision_config=vision, projection_dim=24)).eval(),
                       SEED + 13, 4.2)
    model.save_pretrained(d)
    preprocessor(d, 16)
    d = directory("tiny-chinese-clip")
    pieces = bert_tokenizer.wordpieces()
    (d / "vocab.txt").write_text("\n".join(pieces) + "\n", encoding="utf-8")
    text = tower(48, 2, 4, 80, vocab_size=len(pieces), max_position_embeddings=32, type_vocab_size=2)
    vision = tower(48, 2, 4, 112, patch_size=8, image_size=32, projection_dim=24)
    model = randomised(ChineseCLIPModel(ChineseCLIPConfig(text_config=text, vision_config=vision, projection_dim=24)).eval(),
                       SEED + 9, 4.4)
    with torch.no_grad():
        model.text_model.embeddings.token_type_embeddings.weight.mul_(2)
    model.save_pretrained(d)
    write_json(d / "preprocessor_config.json", dict(
        crop_size=32, do_center_crop=False, do_normalize=True, do_resize=True, feature_extractor_type="ChineseCLIPFeatureExtractor",
        image_mean=MEAN, image_std=STD, resample=3, size=dict(height=32, width=32)))
    for i, (name, (cfg, write_tokenizer)) in enumerate(TINY_TIMM.items()):
        d = directory(name)
        write_tokenizer(d)
        model, cfg = open_clip_model(cfg, SEED + 6 + i, 4.7, bias=-12.9)
        save_open_clip(model, cfg, siglip_levels(20), d, torch_file=name.endswith("-bin"))
    for i, (name, (cfg, preprocess)) in enumerate(TINY_EVA.items()):
        d = directory(name)
        tiny_tokenizer.write(d, 24)
        model, cfg = open_clip_model(cfg, SEED + 20 + i, 4.4)
        save_open_clip(model, cfg, preprocess, d, torch_file=name.endswith("-bin"))
    make_mobile(directory)
    make_jina(directory)
    for name in [*NAMES, *timm_mobile.tiny(TINY_TEXT)]:
        files = sorted((root / name).iterdir())
        print(f"{name}: {sum(f.stat().st_size for f in files)} bytes: {' '.join(f.name for f in files)}")


def make_mobile(directory):
    for i, (name, cfg) in enumerate(timm_mobile.tiny(TINY_TEXT).items()):
        d = directory(name)
        tiny_tokenizer.write(d, 24)
        model, cfg = open_clip_model(cfg, SEED + 20 + i, 4.6)
        model = timm_mobile.randomise_norms(model, SEED + 20 + i)
        save_open_clip(model, cfg, timm_mobile.levels(name), d)
        if name == "tiny-mobileclip2-s0":
            tensors = timm_mobile.reparameterized(model).state_dict()
            save_file({k: v.contiguous() for k, v in tensors.items()}, HERE / "reparameterized.safetensors")


def make_jina(directory):
    pieces = bert_tokenizer.wordpieces()
    text = dict(hidden_size=48, num_hidden_layers=2, num_attention_heads=3, intermediate_size=72)
    vision = dict(image_size=20, patch_size=5, width=48, layers=2)
    d = directory("tiny-jina-clip-v1")
    bert_tokenizer.write(d)
    config = jina_clip.config(jina_clip.BERT, vision | dict(head_width=12), 48, vocab_size=len(pieces), **text)
    jina_clip.save(config, jina_clip.random_tensors(config, SEED + 30, 4.3), d, half=True)
    d = directory("tiny-jina-clip-v2")
    roberta_tokenizer.write(d, jina_clip.CONTEXT)
    tasks = dict(lora_adaptations=["retrieval.passage", jina_clip.TASK], lora_alpha=2)
    config = jina_clip.config(jina_clip.XLM, vision | dict(head_width=16), 48, vocab_size=roberta_tokenizer.size(), **text, **tasks)
    jina_clip.save(config, jina_clip.random_tensors(config, SEED + 31, 4.4), d, half=True)


def make_full(name, out, layers):
    """Returns the model that it has written."""
    d = out / name
    d.mkdir(parents=True, exist_ok=True)
    if name in jina_clip.FULL:
        encoder, vision, dimensions = jina_clip.FULL[name]
        config = jina_clip.config(encoder, vision, dimensions)
        if layers:
            config["vision_config"]["layers"] = config["text_config"]["hf_model_config_kwargs"]["num_hidden_layers"] = layers
        tensors = jina_clip.random_tensors(config, SEED, 4.6052, text_outliers=1 if encoder == jina_clip.BERT else 6)
        jina_clip.save(config, tensors, d, half=encoder == jina_clip.XLM)
        # any tokenizer within the vocabulary: texts are compared by their ids
        bert_tokenizer.write(d) if encoder == jina_clip.BERT else roberta_tokenizer.write(d, jina_clip.CONTEXT)
        print(f"{name}: {sum(t.numel() for t in tensors.values())} parameters")
        return
    if name in FULL_SIGLIP:
        config = FULL_SIGLIP[name]()
        if layers:
            config.text_config.num_hidden_layers = config.vision_config.num_hidden_layers = layers
        model = save_siglip(config, d, 3, SEED)
        # any tokenizer within the vocabulary: texts are compared by their ids
        siglip_tokenizers.write_siglip(d)
    elif name in FULL_NAFLEX:
        width, depth, heads, inter = FULL_NAFLEX[name]
        same = tower(width, layers or depth, heads, inter)
        config = naflex(same | dict(vocab_size=256000, max_position_embeddings=64), same | dict(patch_size=16, num_patches=256))
        model = save_naflex(config, d, 256, SEED)
        siglip_tokenizers.write_siglip2(d)
    elif "hf_model_name" in open_clip.get_model_config(name)["text_cfg"]:
        model = make_full_encoder(name, d)
    else:
        cfg = open_clip.get_model_config(name)
        siglip = "SigLIP" in name
        levels = levels_of(name, cfg["vision_cfg"]["image_size"])
        model, cfg = open_clip_model(cfg, SEED, 4.6052, layers, bias=-12.9 if siglip else None)
        if "Mobile" in name:
            levels = timm_mobile.levels(name)
            timm_mobile.randomise_norms(model, SEED, gain=1.0, scale=0.1)
        timm_towers.calm_norms(model)
        save_open_clip(model, cfg, levels, d, half=parameters(model) > LARGE)
        write_tokenizer(name, d)
    print(f"{name}: {parameters(model)} parameters")
    return model


# from so many parameters on a file holds halves, as the machine is to hold it beside the model
LARGE = 700e6


def parameters(model):
    return sum(p.numel() for p in model.parameters())


def make_full_encoder(name, d):
    cfg = open_clip.get_model_config(name)
    text = cfg["text_cfg"] | dict(hf_model_pretrained=False, context_length=77)
    # any tokenizer within the vocabulary: texts are compared by their ids
    if "nllb" in name:
        config = nllb_config(1024, *NLLB[text["hf_model_name"]], 256206)
        nllb_tokenizer.write(d)
        return save_open_clip_encoder(d, text, SEED, cfg["embed_dim"], config, cfg["vision_cfg"], -12.9 if "siglip" in name else None)
    width, depth = {"xlm-roberta-base": (768, 12), "xlm-roberta-large": (1024, 24)}[text["hf_model_name"]]
    roberta_tokenizer.write(d, 77)
    return save_open_clip_encoder(d, text, SEED, cfg["embed_dim"], roberta_config(width, depth, 4 * width, 514, 250002), cfg["vision_cfg"])


def levels_of(name, size):
    """preprocess_cfg of open_clip's model of that name."""
    if "siglip" in name.lower():
        return siglip_levels(size)
    return pe_levels(size) if name.startswith("PE-Core") else CLIP_LEVELS


def write_tokenizer(name, d):
    """Any within the vocabulary, for SigLIP: texts are compared by their ids."""
    if "SigLIP" in name:
        siglip_tokenizers.write_siglip(d)
    else:
        shutil.copy(HERE / "tokenizers/clip/tokenizer.json", d)


def make_shapes(out):
    """Names and shapes of all tensors, for the importer to find its way: no file takes room."""
    kinds = ("-SigLIP", "PE-Core", "EVA0", "nllb")
    for name in sorted(n for n in open_clip.list_models() if any(kind in n for kind in kinds)):
        cfg = open_clip.get_model_config(name)
        nllb = name.startswith("nllb")
        d = out / name
        d.mkdir(parents=True, exist_ok=True)
        if nllb:
            cfg["text_cfg"]["hf_model_pretrained"] = False
            nllb_config(1024, *NLLB[cfg["text_cfg"]["hf_model_name"]], 256206).save_pretrained(d / cfg["text_cfg"]["hf_model_name"])
        with torch.device("meta"), contextlib.chdir(d):
            model = open_clip.CustomTextCLIP(**{k: v for k, v in cfg.items() if k != "custom_text"})
        header, end = {}, 0
        for key, tensor in model.state_dict().items():
            header[key] = dict(dtype="F16", shape=list(tensor.shape), data_offsets=[end, end + 2 * tensor.numel()])
            end += 2 * tensor.numel()
        levels = levels_of(name, cfg["vision_cfg"]["image_size"])
        write_json(d / "open_clip_config.json", dict(model_cfg=cfg, preprocess_cfg=levels))
        nllb_tokenizer.write(d) if nllb else write_tokenizer(name, d)
        with open(d / "open_clip_model.safetensors", "wb") as file:
            text = json.dumps(header).encode()
            file.write(len(text).to_bytes(8, "little") + text)
            file.truncate(8 + len(text) + end)
        print(f"{name}: {sum(p.numel() for p in model.parameters())} parameters")


def main():
    args = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    args.add_argument("--full", nargs=2, metavar=("NAME", "OUT_DIR"),
                      help=f"one of {', '.join([*FULL_SIGLIP, *FULL_NAFLEX, *jina_clip.FULL])}, or open_clip's name of a model, as ViT-H-14")
    args.add_argument("--layers", type=int, help="only so many layers of it")
    args.add_argument("--shapes", type=Path, metavar="OUT_DIR")
    args = args.parse_args()
    if args.full:
        make_full(args.full[0], Path(args.full[1]), args.layers)
    elif args.shapes:
        make_shapes(args.shapes)
    else:
        make_tiny(HERE / "models")
        record("make_family_models.py", "open_clip_torch", "sentencepiece", "timm")


if __name__ == "__main__":
    main()
