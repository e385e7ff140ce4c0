"""Jina CLIP of parts that libraries have: timm's `Eva` with the names of its checkpoints, transformers' JinaEmbeddingsV3 (v2's texts),
and JinaBERT (v1's texts) of torch's own layers, with the slopes of transformers' Bloom. Its own implementation is no library.

`config.json` is as published, with sizes in the place of those that the encoder's repository has.
"""
import json

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from timm.models.eva import Eva
from torch import nn
from transformers import JinaEmbeddingsV3Config, JinaEmbeddingsV3Model
from transformers.models.bloom.modeling_bloom import build_alibi_tensor

XLM, BERT = "jinaai/jina-embeddings-v3", "jinaai/jina-bert-flash-implementation"
TASK = "retrieval.query"
CONTEXT = 512    # where `encode_text` cuts
# of the encoders' own repositories
OWN = {
    XLM: dict(vocab_size=250002, hidden_size=1024, num_hidden_layers=24, num_attention_heads=16, intermediate_size=4096,
              layer_norm_eps=1e-5, type_vocab_size=1, rotary_emb_base=20000.0, lora_rank=4, lora_alpha=1),
    BERT: dict(vocab_size=30528, hidden_size=768, num_hidden_layers=12, num_attention_heads=12, intermediate_size=3072,
               layer_norm_eps=1e-12, type_vocab_size=2),
}

# encoder, image, dimensions
FULL = {
    "jina-clip-v1": (BERT, dict(image_size=224, patch_size=16, width=768, layers=12, head_width=64), 768),
    "jina-clip-v2": (XLM, dict(image_size=512, patch_size=14, width=1024, layers=24, head_width=64), 1024),
}


def config(encoder, vision, dimensions, **kwargs):
    """`config.json`. `vision`: image_size, patch_size, width, layers and head_width."""
    lora = dict(load_trained_adapters=False, lora_adaptations=[TASK], lora_dropout_p=0.0, lora_main_params_trainable=False, lora_rank=4,
                task_instructions={TASK: "Represent the query for retrieving evidence documents: "}) if encoder == XLM else {}
    return dict(
        add_projections=False, architectures=["JinaCLIPModel"], initializer_factor=1.0, logit_scale_init_value=2.6592,
        model_type="jina_clip", projection_dim=dimensions, truncate_dim=None, torch_dtype="float32",
        text_config=dict(
            default_instruction_task=None, default_lora_task=TASK if encoder == XLM else None, embed_dim=dimensions,
            hf_model_config_kwargs=dict(use_flash_attn=False) | lora | kwargs, hf_model_name_or_path=encoder,
            model_type="jina_clip_text", pooler_type="mean_pooler", proj_bias=False, proj_type=None),
        vision_config=dict(
            embed_dim=dimensions, fused_layer_norm=False, intp_freq=True, ls_init_value=None, mlp_ratio=2.6667,
            model_type="jina_clip_vision", naive_swiglu=True, patch_dropout=0.1, post_norm=False, proj_type=None, pt_hw_seq_len=16,
            qkv_bias=True, rope_embeddings=True, subln=True, x_attention=False, **vision))


def preprocessor(size):
    """`preprocessor_config.json`"""
    return dict(
        auto_map=dict(AutoImageProcessor="jinaai/jina-clip-implementation--processing_clip.JinaCLIPImageProcessor"),
        fill_color=0, image_processor_type="JinaCLIPImageProcessor", interpolation="bicubic",
        mean=[0.48145466, 0.4578275, 0.40821073], processor_class="JinaCLIPProcessor", resize_mode="shortest", size=size,
        std=[0.26862954, 0.26130258, 0.27577711])


def sizes(config):
    text, vision = config["text_config"], config["vision_config"]
    encoder = text["hf_model_name_or_path"]
    return encoder, OWN[encoder] | text["hf_model_config_kwargs"], vision


def shapes(config):
    """Names and shapes of a checkpoint's tensors."""
    encoder, text, vision = sizes(config)
    width, mlp = vision["width"], int(vision["width"] * vision["mlp_ratio"])
    patch, grid = vision["patch_size"], vision["image_size"] // vision["patch_size"]
    all = dict(logit_scale=[])

    def linear(name, inputs, outputs, bias=True):
        all[f"{name}.weight"] = [outputs, inputs]
        if bias:
            all[f"{name}.bias"] = [outputs]

    def norm(name, width):
        all[f"{name}.weight"] = all[f"{name}.bias"] = [width]

    v = "vision_model"
    all |= {f"{v}.cls_token": [1, 1, width], f"{v}.pos_embed": [1, grid ** 2 + 1, width],
            f"{v}.patch_embed.proj.weight": [width, 3, patch, patch], f"{v}.patch_embed.proj.bias": [width]}
    for i in range(vision["layers"]):
        b = f"{v}.blocks.{i}"
        for name in ("norm1", "norm2", "attn.inner_attn_ln"):
            norm(f"{b}.{name}", width)
        for name in "qkv":
            linear(f"{b}.attn.{name}_proj", width, width, bias=False)
        all[f"{b}.attn.q_bias"] = all[f"{b}.attn.v_bias"] = [width]
        linear(f"{b}.attn.proj", width, width)
        linear(f"{b}.mlp.w1", width, mlp)
        linear(f"{b}.mlp.w2", width, mlp)
        norm(f"{b}.mlp.ffn_ln", mlp)
        linear(f"{b}.mlp.w3", mlp, width)
    norm(f"{v}.norm", width)

    t, hidden, inter = "text_model.transformer", text["hidden_size"], text["intermediate_size"]
    adapted = encoder == XLM
    if adapted:
        t += ".roberta"

    def layer(name, inputs, outputs, bias=True, table=False):
        if not adapted:
            return linear(name, inputs, outputs, bias)
        tasks, rank = len(text["lora_adaptations"]), text["lora_rank"]
        rows, columns = outputs, inputs
        left, right = ("A", "B") if table else ("B", "A")
        weight = f"{name}.parametrizations.weight"
        all[f"{weight}.original"] = [rows, columns]
        all[f"{weight}.0.lora_{left}"], all[f"{weight}.0.lora_{right}"] = [tasks, rows, rank], [tasks, rank, columns]
        if bias:
            all[f"{name}.bias"] = [outputs]

    for name, rows in (("word", text["vocab_size"]), ("token_type", text["type_vocab_size"])):
        layer(f"{t}.embeddings.{name}_embeddings", hidden, rows, bias=False, table=True)
    norm(f"{t}.emb_ln", hidden)
    for i in range(text["num_hidden_layers"]):
        b = f"{t}.encoder.layers.{i}"
        layer(f"{b}.mixer.Wqkv", hidden, 3 * hidden)
        layer(f"{b}.mixer.out_proj", hidden, hidden)
        norm(f"{b}.norm1", hidden)
        if adapted:
            layer(f"{b}.mlp.fc1", hidden, inter)
            layer(f"{b}.mlp.fc2", inter, hidden)
        else:
            layer(f"{b}.mlp.gated_layers", hidden, 2 * inter, bias=False)
            layer(f"{b}.mlp.wo", inter, hidden)
        norm(f"{b}.norm2", hidden)
    return all


def random_tensors(config, seed, scale, text_outliers=6):
    """As the other models' (make_tiny_models.py, `randomise`).

    Norms of the text tower come after the residuals, so that channels of outliers grow in every layer: those of a dozen layers
    leave little of a short text in 16 bits, by PyTorch's own arithmetic, too.
    """
    g = torch.Generator().manual_seed(seed)
    tensors = {}
    for name, shape in shapes(config).items():
        r = torch.randn(shape, generator=g)
        if name == "logit_scale":
            r = torch.tensor(scale)
        elif ("norm" in name or "_ln." in name) and name.endswith("weight"):
            r = 1 + 0.2 * r
            outliers = text_outliers if name.startswith("text_model.") else 6
            r[torch.randint(r.numel(), (max(1, r.numel() // 128),), generator=g)] *= outliers
        elif len(shape) == 1:
            r *= 0.1
        elif "embeddings" in name and "lora" not in name or name.endswith(("cls_token", "pos_embed")):
            r *= 0.5
        elif "lora" in name:
            r *= 0.3 if name.endswith("lora_B") == ("embeddings" not in name) else shape[-1] ** -0.5
        else:
            r /= r[0].numel() ** 0.5
        tensors[name] = r
    return tensors


class JinaBert(nn.Module):
    """Texts of v1: BERT's layers with GEGLU, no positions but ALiBi, both ways."""

    def __init__(self, size):
        super().__init__()
        self.heads, hidden, inter = size["num_attention_heads"], size["hidden_size"], size["intermediate_size"]

        def norm():
            return nn.LayerNorm(hidden, eps=size["layer_norm_eps"])

        self.embeddings = nn.ModuleDict(dict(word_embeddings=nn.Embedding(size["vocab_size"], hidden),
                                             token_type_embeddings=nn.Embedding(size["type_vocab_size"], hidden)))
        self.emb_ln = norm()
        self.encoder = nn.ModuleDict(dict(layers=nn.ModuleList(nn.ModuleDict(dict(
            mixer=nn.ModuleDict(dict(Wqkv=nn.Linear(hidden, 3 * hidden), out_proj=nn.Linear(hidden, hidden))), norm1=norm(),
            mlp=nn.ModuleDict(dict(gated_layers=nn.Linear(hidden, 2 * inter, bias=False), wo=nn.Linear(inter, hidden))),
            norm2=norm())) for _ in range(size["num_hidden_layers"]))))

    def forward(self, ids):
        x = self.embeddings["word_embeddings"](ids) + self.embeddings["token_type_embeddings"].weight[0]
        x = self.emb_ln(x)
        batch, length, hidden = x.shape
        slopes = build_alibi_tensor(torch.ones(1, 2), self.heads, torch.float32)[:, 0, 1]
        places = torch.arange(length)
        bias = -slopes[:, None, None] * (places[:, None] - places).abs()
        for layer in self.encoder["layers"]:
            qkv = layer["mixer"]["Wqkv"](x).view(batch, length, 3, self.heads, hidden // self.heads)
            q, k, v = qkv.permute(2, 0, 3, 1, 4)
            mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=bias[None])
            x = layer["norm1"](x + layer["mixer"]["out_proj"](mixed.transpose(1, 2).reshape(x.shape)))
            gate, up = layer["mlp"]["gated_layers"](x).chunk(2, dim=-1)
            x = layer["norm2"](x + layer["mlp"]["wo"](F.gelu(gate) * up))
        return x


class JinaClip:
    """What a directory's files say."""

    def __init__(self, config, tensors):
        self.logit_scale = tensors["logit_scale"].float()
        encoder, text, vision = sizes(config)
        self.vocab_size = text["vocab_size"]
        self.vision = self.eva(vision, tensors)
        self.encoder = self.xlm(text, tensors, config) if encoder == XLM else self.bert(text, tensors)

    @classmethod
    def load(cls, directory):
        return cls(json.loads((directory / "config.json").read_text()), load_file(directory / "model.safetensors"))

    @staticmethod
    def eva(vision, tensors):
        model = Eva(
            img_size=vision["image_size"], patch_size=vision["patch_size"], num_classes=0, global_pool="token", embed_dim=vision["width"],
            depth=vision["layers"], num_heads=vision["width"] // vision["head_width"], mlp_ratio=vision["mlp_ratio"], qkv_fused=False,
            swiglu_mlp=True, scale_mlp=True, scale_attn_inner=True, use_rot_pos_emb=True, ref_feat_shape=(vision["pt_hw_seq_len"],) * 2)
        names = {"attn.inner_attn_ln.": "attn.norm.", "attn.q_bias": "attn.q_proj.bias", "attn.v_bias": "attn.v_proj.bias",
                 "mlp.w1.": "mlp.fc1_g.", "mlp.w2.": "mlp.fc1_x.", "mlp.w3.": "mlp.fc2.", "mlp.ffn_ln.": "mlp.norm."}
        state = {}
        for name, tensor in tensors.items():
            if name.startswith("vision_model."):
                name = name.removeprefix("vision_model.")
                for old, new in names.items():
                    name = name.replace(old, new)
                state[name] = tensor.float()
        assert all(m.eps == 1e-6 for m in model.modules() if isinstance(m, nn.LayerNorm))
        return strictly(model, state)

    @staticmethod
    def xlm(size, tensors, config):
        """With the adapter of the default task as part of each weight."""
        task = size["lora_adaptations"].index(config["text_config"]["default_lora_task"])
        scale, prefix = size["lora_alpha"] / size["lora_rank"], "text_model.transformer.roberta."
        merged = {}
        for name, tensor in tensors.items():
            if not name.startswith(prefix) or "lora_" in name:
                continue
            short = name.removeprefix(prefix)
            if name.endswith(".original"):
                a, b = (tensors[name.removesuffix("original") + f"0.lora_{x}"][task].float() for x in "AB")
                short = short.replace(".parametrizations.weight.original", ".weight")
                tensor = tensor.float() + scale * (a @ b if "embeddings" in name else b @ a)
            merged[short] = tensor.float()
        model = JinaEmbeddingsV3Model(JinaEmbeddingsV3Config(
            vocab_size=size["vocab_size"], hidden_size=size["hidden_size"], num_hidden_layers=size["num_hidden_layers"],
            num_attention_heads=size["num_attention_heads"], intermediate_size=size["intermediate_size"], hidden_act="gelu",
            layer_norm_eps=size["layer_norm_eps"], type_vocab_size=size["type_vocab_size"],
            rope_parameters=dict(rope_type="default", rope_theta=size["rotary_emb_base"]),
            attn_implementation="eager"), add_pooling_layer=False)
        return strictly(model, JinaClip.renamed(merged, set(model.state_dict())))

    @staticmethod
    def renamed(merged, expected):
        """flash-attn's names to transformers', whose query, key and value lie apart."""
        state = {}
        for name, tensor in merged.items():
            name = name.replace("emb_ln.", "embeddings.LayerNorm.").replace("encoder.layers.", "layers.")
            if ".mixer.Wqkv." in name:
                for which, part in zip("qkv", tensor.chunk(3)):
                    state[name.replace("mixer.Wqkv", f"self_attn.{which}_proj")] = part
                continue
            name = name.replace("mixer.out_proj", "self_attn.o_proj")
            name = name.replace(".norm1.", ".post_attention_layernorm.").replace(".norm2.", ".post_mlp_layernorm.")
            state[name] = tensor
        assert set(state) == expected, sorted(set(state) ^ expected)[:6]
        return state

    @staticmethod
    def bert(size, tensors):
        prefix = "text_model.transformer."
        return strictly(JinaBert(size), {k.removeprefix(prefix): v.float() for k, v in tensors.items() if k.startswith(prefix)})

    def image(self, pixels):
        return self.vision(pixels)

    def text(self, ids):
        """The mean over all tokens of texts without padding."""
        x = self.encoder(ids)
        return (x if torch.is_tensor(x) else x.last_hidden_state).mean(1)


def strictly(model, state):
    model.load_state_dict(state, strict=True)
    return model.eval()


def save(config, tensors, directory, half=False):
    (directory / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    size = config["vision_config"]["image_size"]
    (directory / "preprocessor_config.json").write_text(json.dumps(preprocessor(size), indent=2) + "\n")
    kind = torch.float16 if half else torch.float32
    save_file({k: v.to(kind).contiguous() for k, v in tensors.items()}, directory / "model.safetensors", metadata={"format": "pt"})
