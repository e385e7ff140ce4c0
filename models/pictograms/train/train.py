"""Trains the small CLIP on render.py's output, for a given time, and exports it as a Hugging Face directory.

    train.py --data DIR --out DIR --minutes 85 [--init MODEL] [--resume] [--evalset DIR]

The learning rate falls to zero with the time, so any --minutes ends well. A checkpoint is written every few minutes; --resume goes on
from it (the time already spent counts). --evalset prints the scores on the validation style now and then; nothing is chosen by them here."""
import argparse
import json
import math
import os
import random
import time
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")      # before torch: threads that spin while they wait cost most of a shared machine
import torch
import torch.nn.functional as F
from transformers import CLIPConfig, CLIPModel, CLIPTokenizerFast

from augment import augment
from data import Pictures, validation
from evaluate import score
from export import export
from lexicon import draw
from losses import contrastive, pool, prototypes, words
from texts import Sampler
from towers import cast, encode_images, encode_texts

HERE = Path(__file__).resolve().parent


def arguments():
    p = argparse.ArgumentParser()
    p.add_argument("--data", type=Path, required=True)
    p.add_argument("--out", type=Path, required=True)
    p.add_argument("--minutes", type=float, default=85)
    p.add_argument("--model", type=Path, default=HERE.parent, help="whose config, tokenizer and preprocessor to take")
    p.add_argument("--init", type=Path, help="weights to start from, instead of random ones")
    p.add_argument("--resume", action="store_true")
    p.add_argument("--evalset", type=Path)
    p.add_argument("--eval-minutes", type=float, default=10)
    p.add_argument("--batch", type=int, default=128)
    p.add_argument("--texts", type=int, default=2, help="texts a picture")
    p.add_argument("--icons", type=float, default=0.08, help="share of the concepts that are no emoji")
    p.add_argument("--keep", type=float, default=0.5, help="share of the patches seen, but for the last tenth of the time")
    p.add_argument("--pool", type=float, default=0.5, help="weight of the mixed-pool loss")
    p.add_argument("--words", type=int, default=48, help="WordNet pairs a step, for the text tower alone")
    p.add_argument("--words-weight", type=float, default=0.3)
    p.add_argument("--aug", type=float, default=1.0)
    p.add_argument("--lr", type=float, default=1e-3, help="AdamW: embeddings, projections, norms, biases")
    p.add_argument("--muon", type=float, default=2e-3, help="Muon: the matrices of the layers")
    p.add_argument("--decay", type=float, default=0.1)
    p.add_argument("--scale", type=float, default=20.0, help="the scores' scale at the start")
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--threads", type=int, default=2)
    return p.parse_args()


def optimisers(model, vectors, a):
    muon, decayed, rest = [], [], [vectors]
    for name, x in model.named_parameters():
        (muon if x.ndim == 2 and ".layers." in name else decayed if x.ndim > 1 and "embedding" not in name else rest).append(x)
    adam = torch.optim.AdamW([dict(params=decayed, weight_decay=a.decay), dict(params=rest, weight_decay=0)], lr=a.lr, betas=(.9, .98), eps=1e-6)
    return [adam, torch.optim.Muon(muon, lr=a.muon, weight_decay=a.decay, momentum=0.95, adjust_lr_fn="match_rms_adamw")]


@torch.no_grad()
def report(model, tokenize, evalset, pixels, dev):
    p = cast(model, torch.float32)
    images = torch.cat([F.normalize(encode_images(model.config, p, x.to(dev)), dim=-1) for x in pixels.split(128)]).cpu()
    figures = score(evalset, images, lambda texts: F.normalize(encode_texts(model.config, p, tokenize(texts), dev), dim=-1).cpu())
    for what in ("text->image, English names", "held-out keyword -> its picture", "text->image, de names", "mixed pool, names", "centred: mixed pool, names"):
        print("   ", what, figures.get(what, "-"), flush=True)


def main():
    a = arguments()
    dev = "cuda" if torch.cuda.is_available() else "cpu"
    torch.set_num_threads(a.threads)
    torch.manual_seed(a.seed)
    rng, g = random.Random(a.seed), torch.Generator().manual_seed(a.seed)
    pics = Pictures(a.data, a.icons)
    sampler, entries = Sampler(pics.concepts), json.loads((a.data / "lexicon.json").read_text())
    tokenizer = CLIPTokenizerFast.from_pretrained(a.model)
    config = CLIPConfig.from_pretrained(a.model)
    context = config.text_config.max_position_embeddings
    tokenize = lambda texts: tokenizer(texts, truncation=True, max_length=context)["input_ids"]
    model = CLIPModel(config).float()
    model.logit_scale.data.fill_(math.log(a.scale))
    if a.init:
        model = CLIPModel.from_pretrained(a.init, dtype=torch.float32)
    model = model.to(dev)
    with torch.no_grad():                                    # every concept's vector starts where its name is
        p = cast(model, torch.float32)
        vectors = F.normalize(encode_texts(config, p, tokenize([c["label"] for c in pics.concepts]), dev), dim=-1)
    vectors = torch.nn.Parameter(vectors if a.init else torch.randn(vectors.shape).to(dev) * 0.1)
    opts = optimisers(model, vectors, a)
    rates = [[group["lr"] for group in o.param_groups] for o in opts]
    evalset, pixels = validation(a.evalset) if a.evalset else (None, None)
    a.out.mkdir(parents=True, exist_ok=True)
    saved, step, spent, loss_mean = a.out / "checkpoint.pt", 0, 0.0, None
    if a.resume and saved.exists():
        c = torch.load(saved, map_location=dev, weights_only=False)
        model.load_state_dict(c["model"])
        vectors.data.copy_(c["vectors"])
        for o, s in zip(opts, c["opts"]):
            o.load_state_dict(s)
        step, spent, loss_mean = c["step"], c["spent"], c["loss"]
        rng.setstate(c["rng"]), g.set_state(c["g"].cpu())
    print(f"{sum(x.numel() for x in model.parameters()) / 1e6:.2f} M parameters, {len(sampler.where)} texts, {pics.counts()}, {vars(a)}", flush=True)
    start = time.time() - spent
    told = kept = seen = time.time()
    while (done := (time.time() - start) / 60 / a.minutes) < 1:
        for o, base in zip(opts, rates):
            for group, lr in zip(o.param_groups, base):
                group["lr"] = lr * min(1, (step + 1) / 60) * (0.5 + 0.5 * math.cos(math.pi * done))
        concepts, rgba, mirror = pics.draw(a.batch, rng)
        x = augment(rgba.to(dev), config.vision_config.image_size, mirror.to(dev), g, a.aug)
        drawn = [sampler.draw(c, rng) for c in concepts for _ in range(a.texts)]
        of = torch.zeros(len(drawn), len(pics.concepts))
        for row, (_, weights) in enumerate(drawn):
            of[row, list(weights)] = torch.tensor(list(weights.values()))
        of, concepts = of.to(dev), torch.tensor(concepts, device=dev)
        p = cast(model, torch.bfloat16)
        images = F.normalize(encode_images(config, p, x, a.keep if done < 0.9 else 1.0), dim=-1)
        left, right = draw(entries, a.words, rng)
        texts = F.normalize(encode_texts(config, p, tokenize([t for t, _ in drawn] + left + right), dev), dim=-1)
        texts, left, right = texts.split([len(drawn), len(left), len(right)])
        scale = model.logit_scale.exp()
        proto, image_loss = prototypes(texts, images, vectors, scale, of, concepts)
        loss = contrastive(texts, images, scale, of, concepts) + proto + a.pool * pool(texts, images, scale, of, concepts)
        if a.words:
            loss = loss + a.words_weight * words(left, right, scale)
        for o in opts:
            o.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for o in opts:
            o.step()
        with torch.no_grad():
            model.logit_scale.clamp_(0, math.log(100))
        loss_mean = loss.item() if loss_mean is None else 0.98 * loss_mean + 0.02 * loss.item()
        step, now = step + 1, time.time()
        if step == 1 or now - told > 60:
            print(f"{(now - start) / 60:.1f} min step {step} loss {loss_mean:.3f} images {image_loss.item():.2f} scale {scale.item():.1f} "
                  f"{step * a.batch / (now - start):.0f} pictures/s", flush=True)
            told = now
        if now - kept > 300:
            torch.save(dict(model=model.state_dict(), vectors=vectors.data, opts=[o.state_dict() for o in opts], step=step, spent=now - start,
                            loss=loss_mean, rng=rng.getstate(), g=g.get_state()), saved.with_suffix(".part"))
            saved.with_suffix(".part").rename(saved)
            kept = now
        if evalset and now - seen > 60 * a.eval_minutes:
            report(model, tokenize, evalset, pixels, dev)
            seen = time.time()
    print(f"{step} steps, {step * a.batch} pictures", flush=True)
    if evalset:
        report(model, tokenize, evalset, pixels, dev)
    export(model.cpu(), a.model, a.out)


if __name__ == "__main__":
    main()
