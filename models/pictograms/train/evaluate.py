"""Scores an exported model on eval_set.py's output, through transformers' own CLIPModel and CLIPImageProcessor.

    evaluate.py MODEL EVALSET [--clean-only] [--dtype bfloat16] [--queries] [--json FILE]

--clean-only leaves out the held-out keywords that eval_set.py calls leaked (for weights older than the stripping of those)."""
import argparse
import json
import re
from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image


def ranks(scores, good):
    """Rank (0: the best) of the first right answer of every row; ties count against the model."""
    best = scores.masked_fill(~good, -9).amax(1, keepdim=True)
    return ((scores >= best) & ~good).sum(1)


def recall(scores, good):
    r = ranks(scores, good)
    return {f"R@{k}": round(100 * (r < k).float().mean().item(), 1) for k in (1, 5, 10)} | {"n": len(r)}


def share(query_text, query_image, own=None, top=10):
    """Share of pictures in the top 10 of a pool of as many names as pictures; the query's own name is not in the pool."""
    s = query_text.clone()
    if own is not None:
        s[torch.arange(len(s)), own] = -9
    best = torch.cat([s, query_image], 1).topk(top, 1).indices
    pictures = round(100 * (best >= s.shape[1]).float().mean().item(), 1)
    if own is None:
        return {"pictures %": pictures}
    return {"pictures %": pictures, "own picture found %": round(100 * (best == own[:, None] + s.shape[1]).any(1).float().mean().item(), 1)}


def centred(v, mean):
    return F.normalize(v - mean, dim=-1)


def score(evalset, images, encode, clean_only=False):
    """`images`: vectors of the pictures; `encode`: texts to vectors."""
    pictures, held = evalset["pictures"], [h for h in evalset["held_out"] if not (clean_only and h["leaked"])]
    eye, plain = torch.eye(len(pictures), dtype=torch.bool), torch.tensor([not p["flag"] for p in pictures])
    names = encode([p["en"] for p in pictures])
    s = names @ images.T
    out = {"text->image, English names": recall(s, eye), "  without flags": recall(s[plain][:, plain], eye[plain][:, plain]),
           "image->text": recall(s.T, eye)}
    fold = [re.sub(r"\b(wo)?m[ae]n\b|\b(person|people|girl|boy)s?\b|[: ]", "", p["en"]) or p["en"] for p in pictures]
    out["  text->image, man = woman = person"] = recall(s, torch.tensor([[x == y for y in fold] for x in fold]))
    if held:
        out["held-out keyword -> its picture"] = recall(encode([h["text"] for h in held]) @ images.T, eye[[h["picture"] for h in held]])
    for lang in ("de", "fr", "es"):
        rows = [i for i, p in enumerate(pictures) if p[lang]]
        out[f"text->image, {lang} names"] = recall(encode([pictures[i][lang] for i in rows]) @ images.T, eye[rows])
    own, q = torch.arange(len(pictures)), encode([x["text"] for x in evalset["queries"]])
    out["mixed pool, names"] = share(names @ names.T, s, own)
    out["mixed pool, free-form"] = share(q @ names.T, q @ images.T)
    mt, mi = names.mean(0), images.mean(0)
    t, i, q = centred(names, mt), centred(images, mi), centred(q, mt)
    out["centred: text->image, English names"] = recall(t @ i.T, eye)
    out["centred: mixed pool, names"] = share(t @ t.T, t @ i.T, own)
    out["centred: mixed pool, free-form"] = share(q @ t.T, q @ i.T)
    out["cosines"] = {"matched": round(s[eye].mean().item(), 3), "unmatched": round(s[~eye].mean().item(), 3), "distance of means": round((mt - mi).norm().item(), 3)}
    return out


def main():
    from transformers import CLIPImageProcessor, CLIPModel, CLIPTokenizerFast
    p = argparse.ArgumentParser()
    p.add_argument("model")
    p.add_argument("evalset", type=Path)
    p.add_argument("--dtype", default="float32")
    p.add_argument("--clean-only", action="store_true")
    p.add_argument("--queries", action="store_true", help="also print the free-form queries' five first pictures")
    p.add_argument("--json")
    a = p.parse_args()
    torch.set_num_threads(2)
    model = CLIPModel.from_pretrained(a.model, dtype=getattr(torch, a.dtype)).eval()
    tokenizer, processor = CLIPTokenizerFast.from_pretrained(a.model), CLIPImageProcessor.from_pretrained(a.model)
    unit = lambda o: F.normalize((o if torch.is_tensor(o) else o.pooler_output).float(), dim=-1)

    @torch.inference_mode()
    def encode(texts):
        return torch.cat([unit(model.get_text_features(**tokenizer(texts[i:i + 64], padding=True, truncation=True, return_tensors="pt")))
                          for i in range(0, len(texts), 64)])

    @torch.inference_mode()
    def see(paths):
        return torch.cat([unit(model.get_image_features(pixel_values=processor([Image.open(f) for f in paths[i:i + 64]],
                                                        return_tensors="pt")["pixel_values"].to(model.dtype))) for i in range(0, len(paths), 64)])
    evalset = json.loads((a.evalset / "evalset.json").read_text())
    images = see([a.evalset / p["file"] for p in evalset["pictures"]])
    result = score(evalset, images, encode, a.clean_only)
    print(a.model, a.dtype, evalset["style"], len(images), "pictures")
    for what, figures in result.items():
        print(f"{what:36}", figures)
    if a.queries:
        s = encode([q["text"] for q in evalset["queries"]]) @ images.T
        for q, row in zip(evalset["queries"], s.topk(5, 1).indices):
            print(f"  {q['text']}: " + " | ".join(evalset["pictures"][i]["en"] for i in row))
    if a.json:
        Path(a.json).write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
