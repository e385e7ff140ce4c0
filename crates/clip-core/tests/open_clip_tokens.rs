//! Token ids of open_clip's tokenizers: its own, and those of SigLIP in its layout.

mod common;

use std::path::Path;

use clip_core::spec::TextCleaning;
use clip_core::text::Tokenizer;
use clip_core::{Compute, Context};
use common::*;

/// What the sets of goldens are named, whose `tokenizer.json` they are of, and how texts are cleaned.
const KINDS: [(&str, &str, TextCleaning); 5] = [
    ("open-clip", "tokenizers/clip", TextCleaning::OpenClipLower),
    ("open-clip-siglip", "models/tiny-siglip-timm", TextCleaning::OpenClipCanonical),
    ("open-clip-siglip2", "models/tiny-siglip2-timm-bin", TextCleaning::OpenClipCanonical),
    ("siglip", "models/tiny-siglip", TextCleaning::Canonical),
    ("siglip2", "models/tiny-siglip2", TextCleaning::Lowercase),
];

fn tokenizer(directory: &str, context: usize, cleaning: TextCleaning) -> Tokenizer {
    let bytes = std::fs::read(golden_dir().join(directory).join("tokenizer.json")).unwrap();
    Tokenizer::with_cleaning(&bytes, context, cleaning).unwrap()
}

/// Cases whose ids differ from the reference's; each is told.
fn differences(golden: &GoldenTokens, tokenizer: &Tokenizer) -> usize {
    let different = golden.cases.iter().filter(|case| {
        let ours = tokenizer.encode(&case.text).unwrap();
        if ours != case.ids {
            println!("{:?}\n  ours {ours:?}\ntheirs {:?}", case.text, case.ids);
        }
        ours != case.ids
    });
    different.count()
}

#[test]
fn open_clips_token_ids_are_the_references() {
    for (name, directory, cleaning) in KINDS.into_iter().filter(|kind| kind.2.is_open_clip()) {
        let golden = golden_tokens(name);
        assert!(golden.cases.len() > 600);
        assert_eq!(differences(&golden, &tokenizer(directory, golden.max_length, cleaning)), 0, "{name}");
        let uncleaned = tokenizer(directory, golden.max_length, TextCleaning::None);
        let changed = golden.cases.iter().filter(|case| uncleaned.encode(&case.text).unwrap() != case.ids).count();
        assert!(changed > 150, "{name}: the cleaning matters for {changed} texts");
    }
}

#[test]
fn a_mapped_vocabulary_cleans_texts_too() {
    let golden = golden_tokens("open-clip");
    let dir = tempfile::TempDir::new().unwrap();
    let path = dir.path().join("compact");
    let json = std::fs::read(tokenizer_dir("clip").join("tokenizer.json")).unwrap();
    Tokenizer::write_compact(&path, &json).unwrap().unwrap();
    let compact = Tokenizer::open_compact(&path, golden.max_length, TextCleaning::OpenClipLower).unwrap();
    assert_eq!(differences(&golden, &compact), 0);
    assert!(Tokenizer::open_compact(&path, golden.max_length, TextCleaning::Canonical).is_err());
}

#[test]
fn long_texts_are_cleaned_piece_by_piece() {
    let compute = Compute::new(1).unwrap();
    let ctx = Context { compute: &compute, stop: &|| false };
    for (_, directory, cleaning) in KINDS.into_iter().filter(|kind| kind.2.is_open_clip()) {
        let tokenizer = tokenizer(directory, 12, cleaning);
        let encode = |text: &str| tokenizer.encode(text).unwrap();
        let cat = encode("it's a cat");
        let blanks = |text: &str| text.replace('|', &" \t\r\n".repeat(50_000));
        assert_eq!(encode(&blanks("|it\u{2019}s|A CAT|")), cat, "{directory}");
        assert_eq!(encode(&blanks("<|&lt;")), encode("< &lt;"), "{directory}: a line is HTML, and those after it");
        assert_eq!(encode(&format!("caf\u{c3}\u{a9} &{}amp;", "amp;".repeat(60))), encode("café &"), "{directory}");
        // what a text is shortened to gives the same tokens
        let text = blanks("It\u{2019}s|caf\u{c3}\u{a9}|&hellip;|<b>|&lt;|a cat");
        let relevant = tokenizer.relevant([&text[..300], &text[300..]].into_iter(), &ctx).unwrap();
        assert!(relevant.len() < 1000, "{} bytes", relevant.len());
        assert_eq!(encode(&relevant), encode(&text), "{directory}");
        let count = |text: &str| tokenizer.count(text, &ctx).unwrap();
        assert_eq!(count(&"d\u{2019}oh ".repeat(5000)), 5000 * (count("d'oh d'oh") - count("d'oh")) + count(""));
    }
}

/// Kinds that the sweep knows beside those.
const OTHER_KINDS: [(&str, &str, TextCleaning); 4] = [
    ("clip", "tokenizers/clip", TextCleaning::None),
    ("xlm-roberta", "models/tiny-xlm-roberta", TextCleaning::None),
    ("bert", "models/tiny-chinese-clip", TextCleaning::None),
    ("nllb", "models/tiny-openclip-nllb", TextCleaning::OpenClipWhitespace),
];

/// `golden/make_tokens.py --sweep KIND N FILE` or `golden/make_language_tokens.py`, then with `TOKEN_SWEEP=KIND:FILE` this test
/// and `--nocapture`. `KIND:FILE:DIRECTORY` takes `tokenizer.json` from there, if it is there.
#[test]
fn sweep() {
    let Ok(sweep) = std::env::var("TOKEN_SWEEP") else {
        eprintln!("not run: TOKEN_SWEEP names no kind and file");
        return;
    };
    let mut words = sweep.split(':');
    let (name, path) = (words.next().unwrap(), words.next().expect("KIND:FILE"));
    let (_, kept, cleaning) = KINDS.into_iter().chain(OTHER_KINDS).find(|kind| kind.0 == name).expect("a kind");
    let golden = read_tokens(Path::new(path));
    let theirs = words.next().map(|dir| Path::new(dir).join("tokenizer.json")).filter(|file| file.exists());
    let json = std::fs::read(theirs.unwrap_or_else(|| golden_dir().join(kept).join("tokenizer.json"))).unwrap();
    let different = differences(&golden, &Tokenizer::with_cleaning(&json, golden.max_length, cleaning).unwrap());
    println!("{name}: {different} of {} texts differ", golden.cases.len());
    assert_eq!(different, 0);
}
