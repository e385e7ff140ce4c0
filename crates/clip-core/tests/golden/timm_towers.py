"""Tiny vision towers of SigLIP's kind, known to timm by names of their own: open_clip asks timm for a tower by its name alone.

clip-core knows the same names (src/import/timm.rs).
"""
from timm.models import register_model
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
