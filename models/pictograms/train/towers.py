"""The two towers of a Hugging Face CLIPModel, computed in few and large operations so that two CPU cores get far.

The parameters stay where they are, in the CLIPModel, in f32; `cast` makes the bf16 copies of one step. The result is that of
CLIPModel.get_image_features / get_text_features before normalisation (evaluate.py goes through CLIPModel and would tell)."""
import torch
import torch.nn.functional as F


def cast(model, dtype):
    """Parameters by name in the type to compute in; q, k and v of a layer joined, so that one product makes all three."""
    p = {n: x.to(dtype) for n, x in model.named_parameters()}
    for n in [n for n in p if n.endswith("q_proj.weight") or n.endswith("q_proj.bias")]:
        p[n.replace("q_proj", "qkv")] = torch.cat([p[n.replace("q_proj", c)] for c in ("q_proj", "k_proj", "v_proj")])
    return p


def norm(x, p, name):
    return F.layer_norm(x, x.shape[-1:], p[name + ".weight"], p[name + ".bias"], 1e-5)


def linear(x, p, name):
    return F.linear(x, p[name + ".weight"], p[name + ".bias"])


def attention(q, k, v, causal):
    """Plainly: with rows this short it takes a fifth of the time of scaled_dot_product_attention and its backward pass on a CPU."""
    scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2)
    if causal:
        scores = scores + torch.full(scores.shape[-2:], float("-inf"), dtype=scores.dtype, device=scores.device).triu(1)
    return scores.softmax(-1) @ v


def layers(x, p, tower, count, heads, causal):
    b, n, d = x.shape
    for i in range(count):
        at = f"{tower}.encoder.layers.{i}."
        q, k, v = linear(norm(x, p, at + "layer_norm1"), p, at + "self_attn.qkv").view(b, n, 3, heads, d // heads).permute(2, 0, 3, 1, 4)
        y = attention(q, k, v, causal).transpose(1, 2).reshape(b, n, d)
        x = x + linear(y, p, at + "self_attn.out_proj")
        x = x + linear(F.gelu(linear(norm(x, p, at + "layer_norm2"), p, at + "mlp.fc1")), p, at + "mlp.fc2")
    return x


def encode_images(config, p, pixels, keep=1.0, generator=None):
    """`keep` < 1: every picture shows only a random share of its patches (FLIP), which is faster and regularises."""
    c, at = config.vision_config, "vision_model.embeddings."
    b, side = len(pixels), c.image_size // c.patch_size
    patches = pixels.to(p[at + "class_embedding"].dtype).view(b, 3, side, c.patch_size, side, c.patch_size)
    patches = patches.permute(0, 2, 4, 1, 3, 5).reshape(b, side * side, -1)
    where = p[at + "position_embedding.weight"]
    grid = where[1:].expand(b, -1, -1)
    if keep < 1:
        pick = torch.rand(b, side * side, generator=generator, device=pixels.device).argsort(1)[:, :round(side * side * keep), None]
        patches, grid = patches.gather(1, pick.expand(-1, -1, patches.shape[2])), grid.gather(1, pick.expand(-1, -1, grid.shape[2]))
    x = F.linear(patches, p[at + "patch_embedding.weight"].flatten(1)) + grid
    x = torch.cat([(p[at + "class_embedding"] + where[0]).expand(b, 1, -1), x], 1)
    x = layers(norm(x, p, "vision_model.pre_layrnorm"), p, "vision_model", c.num_hidden_layers, c.num_attention_heads, False)
    return F.linear(norm(x[:, 0], p, "vision_model.post_layernorm"), p["visual_projection.weight"]).float()


def encode_texts(config, p, rows, device="cpu", chunk=128):
    """`rows`: lists of token ids. Rows of like length go together, so that little is computed on padding."""
    c, at = config.text_config, "text_model.embeddings."
    order = sorted(range(len(rows)), key=lambda r: len(rows[r]))
    out = []
    for k in range(0, len(order), chunk):
        part = [rows[r] for r in order[k:k + chunk]]
        n = max(map(len, part))
        ids = torch.tensor([r + [c.eos_token_id] * (n - len(r)) for r in part], device=device)
        x = F.embedding(ids, p[at + "token_embedding.weight"]) + p[at + "position_embedding.weight"][:n]
        x = layers(x, p, "text_model", c.num_hidden_layers, c.num_attention_heads, True)   # causal, so padding on the right is unseen
        last = torch.tensor([len(r) - 1 for r in part], device=device)
        x = norm(x[torch.arange(len(part), device=device), last], p, "text_model.final_layer_norm")
        out.append(F.linear(x, p["text_projection.weight"]).float())
    back = torch.empty(len(order), dtype=torch.long, device=device)
    back[torch.tensor(order, device=device)] = torch.arange(len(order), device=device)
    return torch.cat(out)[back]
