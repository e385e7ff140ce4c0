//! Which of a directory's or a repository's files an import reads: one order of preference for all who ask.

use serde_json::Value;

/// The configuration in transformers' layout.
pub const CONFIG: &str = "config.json";
/// The configuration in open_clip's layout.
pub const OPEN_CLIP_CONFIG: &str = "open_clip_config.json";
/// How images are preprocessed; newer versions of transformers write the second.
pub const PREPROCESSORS: [&str; 2] = ["preprocessor_config.json", "processor_config.json"];
/// The tokenizer as the library tokenizers writes it.
pub const TOKENIZER: &str = "tokenizer.json";
/// What CLIP's tokenizer is made of where the file above is missing.
pub const VOCABULARY: [&str; 2] = ["vocab.json", "merges.txt"];
/// What BERT's tokenizer is made of where `tokenizer.json` is missing.
pub const WORDPIECES: &str = "vocab.txt";
/// Where sentence-transformers keeps what others have at the top.
pub const NESTED: &str = "0_CLIPModel/";

/// Weights with the configuration that describes them; the first that is there is taken. Many repositories hold the same
/// weights several times. Pickled ones come last: they are slower to read, and a format of programs.
pub const WEIGHTS: [(&str, &str); 6] = [
    ("model.safetensors", CONFIG),
    ("model.safetensors.index.json", CONFIG),
    ("open_clip_model.safetensors", OPEN_CLIP_CONFIG),
    ("open_clip_model.safetensors.index.json", OPEN_CLIP_CONFIG),
    ("pytorch_model.bin", CONFIG),
    ("open_clip_pytorch_model.bin", OPEN_CLIP_CONFIG),
];

/// The weights and the configuration to read; a layout that lacks its preprocessor is taken where no other is there.
pub fn weights(has: impl Fn(&str) -> bool) -> Option<(&'static str, &'static str)> {
    let there = |(weights, config): &(&str, &str)| has(weights) && has(config);
    let whole = |(_, config): &(&str, &str)| *config != CONFIG || PREPROCESSORS.iter().any(|file| has(file));
    WEIGHTS.into_iter().find(|layout| there(layout) && whole(layout)).or_else(|| WEIGHTS.into_iter().find(there))
}

/// The parts of an encoder of sentence-transformers.
pub const MODULES: &str = "modules.json";
/// How many tokens such an encoder takes.
pub const SENTENCE: &str = "sentence_bert_config.json";

/// The files of an encoder of texts alone, small ones first: sentence-transformers' where it has modules, else M-CLIP's.
/// `None`: there is no such encoder.
pub fn encoder(has: impl Fn(&str) -> bool) -> Option<Vec<&'static str>> {
    const WEIGHTS: [&str; 2] = ["model.safetensors", "pytorch_model.bin"];
    const DENSE: [&str; 2] = ["2_Dense/model.safetensors", "2_Dense/pytorch_model.bin"];
    let first = |names: [&'static str; 2]| names.into_iter().find(|name| has(name));
    let mut files = vec![CONFIG, TOKENIZER];
    let mut weights = vec![first(WEIGHTS)?];
    if has(MODULES) {
        files.extend([MODULES, "1_Pooling/config.json", "2_Dense/config.json"]);
        weights.push(first(DENSE)?);
    }
    if !files.iter().all(|name| has(name)) {
        return None;
    }
    files.extend([SENTENCE].into_iter().filter(|name| has(name)));
    files.extend(weights);
    Some(files)
}

/// What stands before the names of files: nothing, or [`NESTED`].
pub fn prefix(has: impl Fn(&str) -> bool) -> &'static str {
    let nested = !has(CONFIG) && !has(OPEN_CLIP_CONFIG) && has(&format!("{NESTED}{CONFIG}"));
    if nested { NESTED } else { "" }
}

/// The files of the tokenizer.
pub fn tokenizer(has: impl Fn(&str) -> bool) -> Option<&'static [&'static str]> {
    const KINDS: [&[&str]; 3] = [&[TOKENIZER], &VOCABULARY, &[WORDPIECES]];
    KINDS.into_iter().find(|files| files.iter().all(|file| has(file)))
}

/// Whether the two configurations have to be told apart: beside open_clip's, `config.json` may be timm's, which
/// describes the vision tower alone.
pub fn is_ambiguous(has: impl Fn(&str) -> bool) -> bool {
    has(CONFIG) && has(OPEN_CLIP_CONFIG)
}

/// A `config.json` of transformers names the type of the model.
pub fn is_of_transformers(config: &[u8]) -> bool {
    serde_json::from_slice::<Value>(config).is_ok_and(|config| config["model_type"].is_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_order_of_preference() {
        let taken = |there: &[&str]| weights(|name| there.contains(&name)).map(|(weights, _)| weights);
        let both = [CONFIG, OPEN_CLIP_CONFIG, "pytorch_model.bin", "open_clip_pytorch_model.bin"];
        assert_eq!(taken(&[&both[..], &["preprocessor_config.json"]].concat()), Some("pytorch_model.bin"));
        assert_eq!(taken(&both), Some("open_clip_pytorch_model.bin"), "transformers' layout lacks its preprocessor");
        assert_eq!(taken(&[&both[..], &["open_clip_model.safetensors"]].concat()), Some("open_clip_model.safetensors"));
        assert_eq!(taken(&[CONFIG, "model.safetensors"]), Some("model.safetensors"), "what it lacks is told later");
        assert_eq!(taken(&["model.safetensors"]), None);
    }

    #[test]
    fn an_encoder_of_texts() {
        let of = |there: &[&str]| encoder(|name| there.contains(&name));
        let m_clip = ["config.json", "tokenizer.json", "pytorch_model.bin"];
        assert_eq!(of(&m_clip).unwrap(), m_clip);
        assert_eq!(of(&m_clip[..2]), None);
        assert_eq!(of(&[MODULES, "config.json", "tokenizer.json", "model.safetensors"]), None);
        let all = encoder(|name| name != "2_Dense/model.safetensors").unwrap();
        let expected =
            ["config.json", "tokenizer.json", MODULES, "1_Pooling/config.json", "2_Dense/config.json", SENTENCE];
        assert_eq!(all[..6], expected);
        assert_eq!(all[6..], ["model.safetensors", "2_Dense/pytorch_model.bin"]);
    }

    #[test]
    fn where_and_which_tokenizer() {
        let nested = ["modules.json", "0_CLIPModel/config.json"];
        assert_eq!(prefix(|name| nested.contains(&name)), NESTED);
        assert_eq!(prefix(|name| name == CONFIG || nested.contains(&name)), "");
        assert_eq!(prefix(|_| false), "");
        assert_eq!(tokenizer(|_| true), Some(&[TOKENIZER][..]));
        assert_eq!(tokenizer(|name| name != TOKENIZER), Some(&VOCABULARY[..]));
        assert_eq!(tokenizer(|name| name == "vocab.json"), None);
        assert_eq!(tokenizer(|name| name == "vocab.txt"), Some(&[WORDPIECES][..]));
    }
}
