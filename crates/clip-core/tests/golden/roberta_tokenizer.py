"""A tiny tokenizer built as XLM-RoBERTa's is: a SentencePiece unigram model behind four special tokens, a begin and an end.

transformers' converter makes tokenizer.json of XLM-RoBERTa's SentencePiece model with the same steps as of T5's; the
special tokens and their places are those of its XLMRobertaConverter.
"""
import json
from pathlib import Path

from versions import HERE

BEGIN, PAD, END, UNKNOWN = "<s>", "<pad>", "</s>", "<unk>"


def tiny_siglip():
    return json.loads((HERE / "models/tiny-siglip/tokenizer.json").read_text(encoding="utf-8"))


def pieces(spec):
    own = [piece for piece in spec["model"]["vocab"] if piece[0] not in (BEGIN, PAD, END, UNKNOWN)]
    return [[token, 0.0] for token in (BEGIN, PAD, END, UNKNOWN)] + own + [["<mask>", 0.0]]


def size():
    return len(pieces(tiny_siglip()))


def of(spec):
    """Of a tokenizer.json with a SentencePiece model: the same pieces as XLM-RoBERTa's file has them."""
    vocabulary = pieces(spec)
    special = dict(single_word=False, lstrip=False, rstrip=False, normalized=False, special=True)
    added = [dict(id=i, content=t) | special for i, t in enumerate((BEGIN, PAD, END, UNKNOWN))]
    added.append(dict(id=len(vocabulary) - 1, content="<mask>") | special | dict(lstrip=True))
    post_processor = dict(
        type="TemplateProcessing",
        single=[dict(SpecialToken=dict(id=BEGIN, type_id=0)), dict(Sequence=dict(id="A", type_id=0)),
                dict(SpecialToken=dict(id=END, type_id=0))],
        pair=[dict(SpecialToken=dict(id=BEGIN, type_id=0)), dict(Sequence=dict(id="A", type_id=0)),
              dict(SpecialToken=dict(id=END, type_id=0)), dict(SpecialToken=dict(id=END, type_id=0)),
              dict(Sequence=dict(id="B", type_id=0)), dict(SpecialToken=dict(id=END, type_id=0))],
        special_tokens={t: dict(id=t, ids=[i], tokens=[t]) for t, i in ((BEGIN, 0), (END, 2))})
    return spec | dict(model=spec["model"] | dict(vocab=vocabulary, unk_id=3), added_tokens=added, post_processor=post_processor)


def write(directory: Path, context: int):
    (directory / "tokenizer.json").write_text(json.dumps(of(tiny_siglip()), ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    config = dict(bos_token=BEGIN, cls_token=BEGIN, eos_token=END, sep_token=END, pad_token=PAD, unk_token=UNKNOWN,
                  mask_token="<mask>", model_max_length=context, tokenizer_class="PreTrainedTokenizerFast")
    (directory / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n")
