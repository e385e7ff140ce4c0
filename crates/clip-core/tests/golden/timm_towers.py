"""Tiny vision towers, known to timm by names of their own: open_clip asks timm for a tower by its name alone.

clip-core knows the same names (src/import/timm.rs and eva.rs).
"""
from functools import partial

from timm.layers import LayerNorm
from timm.models import register_model
from timm.models.eva import EvaBlockPostNorm, _create_eva
from timm.models.vision_transformer import _create_vision_transformer

import timm_mobile  # noqa: F401, names towers

# the widths of an MLP are cut to whole numbers, and no patch divides the image, as in ViT-SO400M-14-SigLIP-384
SIZE = dict(img_size=20, embed_dim=24, depth=2, num_heads=3, mlp_ratio=3.7362, class_token=False, global_pool="map")


@register_model
def vit_golden_patch6_siglip_20(pretrained=False, **kwargs):
    """With the exact GELU, as the towers of the first SigLIP."""
    return _create_vision_transformer("vit_golden_patch6_siglip_20", pretrained=pretrained, **SIZE | dict(patch_size=6) | kwargs)


@register_model
def vit_golden_patch5_siglip_20(pretrained=False, **kwargs):
    """With the approximation, as those that came with SigLIP 2."""
    args = SIZE | dict(patch_size=5, act_layer="gelu_tanh") | kwargs
    return _create_vision_transformer("vit_golden_patch5_siglip_20", pretrained=pretrained, **args)


# as timm's vit_pe_core_*: positions are counted for the tower's own images
PE_CORE = dict(img_size=20, depth=2, global_pool="map", attn_type="rope", use_pre_transformer_norm=True, use_rot_pos_emb=True,
               rope_grid_indexing="xy", attn_pool_num_heads=8, attn_pool_mlp_ratio=4., norm_layer=partial(LayerNorm, eps=1e-5))


@register_model
def vit_pe_core_golden_patch5_20(pretrained=False, **kwargs):
    """As those of PE-Core T to L."""
    args = PE_CORE | dict(patch_size=5, embed_dim=48, num_heads=3, mlp_ratio=2., ref_feat_shape=(4, 4), rope_grid_offset=1.)
    return _create_eva("vit_pe_core_golden_patch5_20", pretrained=pretrained, **args | kwargs)


@register_model
def vit_pe_core_golden_patch4_20(pretrained=False, **kwargs):
    """As that of PE-Core G: no class token, and positions from 0 on."""
    args = PE_CORE | dict(patch_size=4, embed_dim=40, num_heads=2, mlp_ratio=1.8, ref_feat_shape=(5, 5), class_token=False)
    return _create_eva("vit_pe_core_golden_patch4_20", pretrained=pretrained, **args | kwargs)


# as timm's eva_giant_* and eva02_*_clip_*
EVA = dict(img_size=20, depth=2, global_pool="token")


@register_model
def eva_golden_patch5_20(pretrained=False, **kwargs):
    """As that of EVA-01: absolute positions alone, and no bias of keys."""
    args = EVA | dict(patch_size=5, embed_dim=40, num_heads=2, mlp_ratio=2.2)
    return _create_eva("eva_golden_patch5_20", pretrained=pretrained, **args | kwargs)


@register_model
def eva02_golden_patch5_20(pretrained=False, **kwargs):
    """As EVA-02's base and large."""
    args = EVA | dict(patch_size=5, embed_dim=48, num_heads=3, mlp_ratio=4 * 2 / 3, qkv_fused=False, swiglu_mlp=True,
                      scale_mlp=True, scale_attn_inner=True, use_rot_pos_emb=True, ref_feat_shape=(16, 16))
    return _create_eva("eva02_golden_patch5_20", pretrained=pretrained, **args | kwargs)


@register_model
def eva02_golden_enormous_patch4_20(pretrained=False, **kwargs):
    """As EVA-02 enormous: norms after attention and MLP."""
    args = EVA | dict(patch_size=4, embed_dim=40, num_heads=2, mlp_ratio=2.1, use_post_norm=True)
    return _create_eva("eva02_golden_enormous_patch4_20", pretrained=pretrained, **args | kwargs)


def calm_norms(model):
    """Norms after attention and MLP say how much each adds. At random sizes 64 layers would make 0.02 of a difference of 1e-7."""
    layers = [layer for layer in model.modules() if isinstance(layer, EvaBlockPostNorm)]
    for layer in layers:
        for p in (*layer.norm1.parameters(), *layer.norm2.parameters()):
            p.data *= (2 * len(layers)) ** -0.5
