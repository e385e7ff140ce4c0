//! `tokenizer.json`: texts have at most the context's tokens, and the compact form gives the same ones.

#![no_main]

use std::sync::OnceLock;

use clip_core::spec::TextCleaning;
use clip_core::text::Tokenizer;
use libfuzzer_sys::fuzz_target;
use pg_clip_fuzz::{folder, library};
use tempfile::TempDir;

const CONTEXT: usize = 8;
const TEXTS: [&str; 8] = [
    "",
    " ",
    "a photo of 1 cat",
    "It’s A CAT!",
    "e\u{301}\u{323}\u{1f408}",
    "<s></s> [UNK]",
    "aaaaaaaaaaaaaaaaaaaaaaaa",
    "\0\u{a0}\u{200d}\t\n한국어",
];

fuzz_target!(|input: &[u8]| {
    library::may_panic();
    let Some((cleaning, json)) = input.split_first() else { return };
    let cleaning = [TextCleaning::None, TextCleaning::Lowercase, TextCleaning::Canonical][usize::from(cleaning % 3)];
    let Ok(whole) = Tokenizer::with_cleaning(json, CONTEXT, cleaning) else { return };
    let ids = |tokenizer: &Tokenizer| {
        TEXTS.map(|text| {
            let ids = tokenizer.encode(text).ok();
            // A tokenizer may put more tokens around nothing than there is room for.
            assert!(ids.as_ref().is_none_or(|ids| ids.len() <= CONTEXT), "{ids:?}");
            ids
        })
    };
    let expected = ids(&whole);
    static FOLDER: OnceLock<TempDir> = OnceLock::new();
    let path = FOLDER.get_or_init(folder::new).path().join("tokenizer.safetensors");
    if cleaning == TextCleaning::None && Tokenizer::write_compact(&path, json).is_ok_and(|written| written.is_some()) {
        let compact = Tokenizer::open_compact(&path, CONTEXT, TextCleaning::None).expect("a compact form that was written opens");
        assert_eq!(ids(&compact), expected);
    }
});
