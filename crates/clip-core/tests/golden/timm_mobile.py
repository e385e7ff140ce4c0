"""Tiny vision towers of MobileCLIP's kind, known to timm by names of their own (see timm_towers.py), and their models.

clip-core knows the same names (src/import/timm.rs).
"""
from functools import partial

import torch
from timm.layers import LayerNorm2d
from timm.models import register_model
from timm.models.fastvit import RepConditionalPosEnc, _create_fastvit
from timm.models.vision_transformer import _create_vision_transformer
from timm.models.vision_transformer_hybrid import ConvStem, _create_vision_transformer_hybrid


@register_model
def vit_golden_mci_48(pretrained=False, **kwargs):
    """As vit_base_mci_224."""
    backbone = ConvStem(channels=(8, 8, 32), stride=(4, 2, 2), kernel_size=(4, 2, 2), padding=0, act_layer=torch.nn.GELU)
    args = dict(img_size=48, embed_dim=32, depth=2, num_heads=4, no_embed_class=True) | kwargs
    return _create_vision_transformer_hybrid("vit_golden_mci_48", backbone=backbone, embed_args=dict(proj=False),
                                             pretrained=pretrained, **args)


@register_model
def vit_golden_patch5_clip_20(pretrained=False, **kwargs):
    """As vit_large_patch14_clip_224."""
    args = dict(img_size=20, patch_size=5, embed_dim=24, depth=2, num_heads=3, pre_norm=True,
                norm_layer=lambda *a, **k: torch.nn.LayerNorm(*a, **k | dict(eps=1e-5))) | kwargs
    return _create_vision_transformer("vit_golden_patch5_clip_20", pretrained=pretrained, **args)


POSITIONS = partial(RepConditionalPosEnc, spatial_shape=(7, 7))


@register_model
def fastvit_golden_four(pretrained=False, **kwargs):
    """As fastvit_mci0, 1 and 2. Its grids, of 12, 6, 3 and 2 pixels a side, are odd once."""
    args = dict(layers=(1, 2, 1, 1), embed_dims=(4, 8, 16, 32), mlp_ratios=(3,) * 4, se_downsamples=(False, False, True, True),
                pos_embs=(None, None, None, POSITIONS), token_mixers=("repmixer",) * 3 + ("attention",), lkc_use_act=True) | kwargs
    return _create_fastvit("fastvit_golden_four", pretrained=pretrained, **args)


@register_model
def fastvit_golden_five(pretrained=False, **kwargs):
    """As fastvit_mci3 and 4."""
    args = dict(layers=(1,) * 5, embed_dims=(4, 8, 16, 32, 64), mlp_ratios=(4,) * 5, se_downsamples=(False,) * 5,
                downsamples=(False,) + (True,) * 4, pos_embs=(None,) * 3 + (POSITIONS,) * 2,
                token_mixers=("repmixer",) * 3 + ("attention",) * 2, lkc_use_act=True, norm_layer=partial(LayerNorm2d, eps=1e-5),
                stem_use_scale_branch=False) | kwargs
    return _create_fastvit("fastvit_golden_five", pretrained=pretrained, **args)


def reparameterized(model):
    """With the branches of the vision tower put together, as Apple's reparameterize_model does."""
    for module in list(model.visual.modules()):
        if hasattr(module, "reparameterize") and getattr(module, "reparam_conv", 1) is None:
            module.reparameterize()
    return model


def levels(name):
    """preprocess_cfg, as open_clip's pretrained.py has it."""
    import open_clip
    clip = any(part in name for part in ("-L-14", "-S3", "-S4", "clip2-l", "clip2-s3"))
    mean, std = (open_clip.OPENAI_DATASET_MEAN, open_clip.OPENAI_DATASET_STD) if clip else ([0.0] * 3, [1.0] * 3)
    return dict(mean=list(mean), std=list(std), interpolation="bicubic" if "-l" in name.lower() else "bilinear",
                resize_mode="shortest")


def randomise_norms(model, seed, gain=1.15, scale=0.2):
    """What batch norms have counted, and what no other tower has: scales of branches, which begin near nothing.

    The more of both, the more a difference grows from layer to layer.
    """
    g = torch.Generator().manual_seed(seed + 11)
    with torch.no_grad():
        for name, b in model.named_buffers():
            if name.endswith("running_mean"):
                b.copy_(0.2 * torch.randn(b.shape, generator=g))
            elif name.endswith("running_var"):
                b.copy_(0.5 + torch.rand(b.shape, generator=g))
        for module in model.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.weight.copy_(gain + 0.2 * torch.randn(module.weight.shape, generator=g))
        for name, p in model.named_parameters():
            if name.endswith("gamma"):
                p.copy_(scale * torch.randn(p.shape, generator=g))
            elif name.endswith("cls_token"):
                p.copy_(0.5 * torch.randn(p.shape, generator=g))
            elif name.endswith(("trunk.head.bias", "backbone.2.conv.bias")):
                p.copy_(0.1 * torch.randn(p.shape, generator=g))
    return model


def tiny(text):
    """Name -> model_cfg, with a text tower like `text`."""
    def cfg(tower, size, pool, **more):
        vision = dict(timm_model_name=tower, timm_model_pretrained=False, timm_pool=pool, timm_proj=None, timm_drop=0.0,
                      timm_drop_path=0.0, image_size=size)
        return dict(embed_dim=24, vision_cfg=vision, text_cfg=text | more, custom_text=True)
    return {
        "tiny-mobileclip-b": cfg("vit_golden_mci_48", 48, "token", no_causal_mask=False),
        "tiny-mobileclip2-l": cfg("vit_golden_patch5_clip_20", 20, "token", no_causal_mask=True),
        "tiny-mobileclip2-s0": cfg("fastvit_golden_four", 48, "avg", no_causal_mask=True),
        "tiny-mobileclip2-s3": cfg("fastvit_golden_five", 64, "avg", no_causal_mask=True),
    }
