"""A tiny vocabulary of BERT's kind, and its tokenizer as transformers writes it."""
import shutil
import tempfile
from pathlib import Path

from transformers import BertTokenizerFast

import tiny_tokenizer


def wordpieces():
    """Characters, and a few pieces of words."""
    lines = [t.format(x) for t in tiny_tokenizer.TEMPLATES for x in tiny_tokenizer.THINGS] + tiny_tokenizer.FOREIGN
    letters = sorted(set("".join(lines).lower()) - {" "})
    return ["[PAD]", "[unused1]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{c}" for c in letters), "cat", "photo",
            "##ing", "a", "一", "张", "的", "照", "片"]


def write(directory: Path):
    with tempfile.TemporaryDirectory() as t:
        (Path(t) / "vocab.txt").write_text("\n".join(wordpieces()) + "\n", encoding="utf-8")
        made = Path(t) / "made"
        BertTokenizerFast.from_pretrained(t, do_lower_case=True, model_max_length=8192).save_pretrained(made)
        for file in ("tokenizer.json", "tokenizer_config.json"):
            shutil.copy(made / file, directory / file)
