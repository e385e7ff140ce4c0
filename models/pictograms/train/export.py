"""Writes a trained model in Hugging Face's CLIP layout, weights as bf16; tokenizer and preprocessor are copied as they are."""
import shutil

import torch


def export(model, like, out):
    out.mkdir(parents=True, exist_ok=True)
    model.to(torch.bfloat16).save_pretrained(out)
    (out / "model.safetensors").chmod(0o644)
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json", "preprocessor_config.json"):
        shutil.copyfile(like / name, out / name)
    size = (out / "model.safetensors").stat().st_size
    print(out / "model.safetensors", size, "bytes", flush=True)
    assert size <= 16 << 20
