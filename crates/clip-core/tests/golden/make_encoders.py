#!/usr/bin/env python3
"""Make encoders of texts alone, with seeded random weights, and what their own libraries make of a few texts.

    make_encoders.py    into encoders/

    tiny-sentence   sentence-transformers' parts: DistilBERT, mean, a dense layer without bias, as
                    clip-ViT-B-32-multilingual-v1 has them
    tiny-m-clip     M-CLIP's: XLM-RoBERTa, mean, a linear layer
Both make vectors of 24 dimensions, for the images of models/tiny-clip. encoders/NAME.safetensors holds for each text its ids
(i64, -1 behind the end) and its vector of length one (f32), and the texts as metadata.
"""
import contextlib
import json
import shutil

import torch
from multilingual_clip.Config_MCLIP import MCLIPConfig
from multilingual_clip.pt_multilingual_clip import MultilingualCLIP
from safetensors.torch import save_file
from sentence_transformers import SentenceTransformer, models
from tokenizers.implementations import BertWordPieceTokenizer
from transformers import AutoTokenizer, DistilBertConfig, DistilBertModel, PreTrainedTokenizerFast, XLMRobertaModel

import roberta_tokenizer
import tiny_tokenizer
from make_family_models import roberta_config
from make_tiny_models import SEED, write_json
from versions import HERE, record

DIMENSIONS = 24
TEXTS = ["", "a photo of a cat", "собака у дома", "猫の写真", "two dogs in the park, at night", "für die Straße",
         "a drawing of the red bicycle " * 9]


def randomise(model, seed):
    g = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if "norm" in name.lower():
                p.copy_((1 if name.endswith("weight") else 0) + 0.2 * torch.randn(p.shape, generator=g))
            elif name.endswith("bias"):
                p.copy_(0.1 * torch.randn(p.shape, generator=g))
            else:
                p.copy_(torch.randn(p.shape, generator=g) / p.shape[-1] ** 0.5)
            p.copy_(p.half().float())
    return model.eval()


def halved(directory, name):
    """The same values in a file of half the size."""
    from safetensors.torch import load_file
    save_file({k: v.half() for k, v in load_file(directory / name).items()}, directory / name, metadata={"format": "pt"})


def write(name, ids, vectors):
    longest = max(map(len, ids))
    save_file({"ids": torch.tensor([i + [-1] * (longest - len(i)) for i in ids]), "text_embeds": vectors.contiguous()},
              HERE / f"encoders/{name}.safetensors", metadata={"texts": json.dumps(TEXTS)})


def fresh(name):
    directory = HERE / "encoders" / name
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    return directory


def save_sentence(directory, tokenizer, config, context, dimensions):
    """In the layout of sentence-transformers; returns its model."""
    randomise(DistilBertModel(config), SEED + 20).save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    transformer = models.Transformer(str(directory), max_seq_length=context)
    dense = models.Dense(config.dim, dimensions, bias=False, activation_function=torch.nn.Identity())
    randomise(dense, SEED + 21)
    model = SentenceTransformer(modules=[transformer, models.Pooling(config.dim, "mean"), dense], device="cpu")
    model.save(str(directory), create_model_card=False)
    for extra in ("vocab.txt", "special_tokens_map.json", "config_sentence_transformers.json"):
        (directory / extra).unlink(missing_ok=True)
    return model


def save_m_clip(directory, config, context, dimensions):
    """In M-CLIP's layout; returns its model."""
    base = HERE / "encoders/xlm-roberta-tiny"
    XLMRobertaModel(config).save_pretrained(base)
    with contextlib.chdir(base.parent):
        model = MultilingualCLIP(MCLIPConfig(modelBase="xlm-roberta-tiny", transformerDimSize=config.hidden_size, imageDimSize=dimensions))
    shutil.rmtree(base)
    randomise(model, SEED + 22)
    roberta_tokenizer.write(directory, context)
    torch.save({k: v.half() for k, v in model.state_dict().items()}, directory / "pytorch_model.bin")
    write_json(directory / "config.json", dict(model_type="M-CLIP", modelBase="FacebookAI/xlm-roberta-tiny",
                                               numDims=dimensions, transformerDimensions=config.hidden_size))
    return model


def wordpieces():
    """A tokenizer of BERT's kind."""
    lines = [t.format(x) for t in tiny_tokenizer.TEMPLATES for x in tiny_tokenizer.THINGS] + tiny_tokenizer.FOREIGN
    letters = sorted(set("".join(lines)) - {" "})
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{c}" for c in letters), "cat", "photo", "##ing"]
    wordpiece = BertWordPieceTokenizer({t: i for i, t in enumerate(pieces)}, lowercase=False)
    return PreTrainedTokenizerFast(tokenizer_object=wordpiece._tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]",
                                   sep_token="[SEP]", mask_token="[MASK]", model_max_length=30)


def sentence():
    directory, tokenizer = fresh("tiny-sentence"), wordpieces()
    config = DistilBertConfig(vocab_size=len(tokenizer), dim=48, n_layers=2, n_heads=4, hidden_dim=80,
                              max_position_embeddings=30)
    model = save_sentence(directory, tokenizer, config, 24, DIMENSIONS)
    vectors = model.encode(TEXTS, normalize_embeddings=True, convert_to_tensor=True)
    ids = [tokenizer(text, truncation=True, max_length=24)["input_ids"] for text in TEXTS]
    halved(directory, "model.safetensors")
    write("tiny-sentence", ids, vectors)


def m_clip():
    directory = fresh("tiny-m-clip")
    model = save_m_clip(directory, roberta_config(128, 1, 96, 34, roberta_tokenizer.size()), 32, DIMENSIONS)
    tokenizer = AutoTokenizer.from_pretrained(directory)
    ids = [tokenizer(t, truncation=True, max_length=32)["input_ids"] for t in TEXTS]
    with torch.no_grad():
        def cut(texts, **options):
            return tokenizer(texts, **options, truncation=True, max_length=32)
        vectors = torch.nn.functional.normalize(model(TEXTS, cut), dim=-1)
    write("tiny-m-clip", ids, vectors)


if __name__ == "__main__":
    sentence()
    m_clip()
    record("make_encoders.py", "sentence-transformers", "multilingual-clip")
