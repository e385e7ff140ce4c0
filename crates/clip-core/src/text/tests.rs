//! What a text is shortened to makes the tokens that all of it makes.

use super::*;
use std::fs;

fn golden(path: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(path)).unwrap()
}

/// Every kind, with a context that texts reach and one that they do not.
fn tokenizers() -> Vec<(&'static str, Tokenizer)> {
    let mut all = Vec::new();
    for context in [16, 2000] {
        for (path, cleaning) in [
            ("tokenizers/clip", TextCleaning::None),
            ("models/tiny-clip", TextCleaning::None),
            ("models/tiny-siglip", TextCleaning::Canonical),
            ("models/tiny-siglip", TextCleaning::None),
            ("models/tiny-siglip2", TextCleaning::Lowercase),
            ("models/tiny-siglip2", TextCleaning::None),
        ] {
            let json = golden(&format!("{path}/tokenizer.json"));
            all.push((path, Tokenizer::with_cleaning(&json, context, cleaning).unwrap()));
        }
    }
    all
}

/// The `tokenizers` crate on the whole text.
fn untouched(tokenizer: &Tokenizer, text: &str) -> Vec<u32> {
    let mut ids = tokenizer.ids(text, true).unwrap();
    if ids.len() > tokenizer.context_length {
        let end = *ids.last().unwrap();
        ids.truncate(tokenizer.context_length - 1);
        ids.push(end);
    }
    ids
}

/// The same numbers everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % n
    }

    fn of<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all[self.below(all.len())]
    }

    /// Words and special tokens between runs of what may make no token, short and long.
    fn text(&mut self) -> String {
        let mut text = String::new();
        for _ in 0..1 + self.below(60) {
            for _ in 0..self.below(3) {
                let what = [
                    "cat",
                    "ΟΔΟΣ",
                    "Σ",
                    "ΑΣ",
                    "a",
                    "é",
                    "語",
                    "1",
                    "<|endoftext|>",
                    "</s>",
                    "<pad>",
                    "<eos>",
                    "\u{301}",
                ];
                text.push_str(self.of(&what));
            }
            let blank = [
                " ", "\t", "\n", "\u{3000}", "\u{a0}", "\u{85}", "\u{2028}", "\u{2581}", "\u{1c}", "\u{200b}",
                "\u{feff}",
            ];
            let mark = ["!", ".", ":", "'", "^", "-", "<", ">", "|", "</", "<|", "\u{1}", "\u{ad}", "\u{308}"];
            for _ in 0..self.below(4) {
                let length = [1, 2, 3, 7, 8, 15, 16, 17, 33, 100, 400][self.below(11)];
                let what = if self.below(2) == 0 { self.of(&blank) } else { self.of(&mark) };
                text.push_str(&what.repeat(length));
                if self.below(3) == 0 {
                    text.extend((0..length).map(|_| if self.below(2) == 0 { self.of(&blank) } else { self.of(&mark) }));
                }
            }
        }
        text
    }
}

#[test]
fn runs_that_are_shortened_change_no_token() {
    let tokenizers = tokenizers();
    let mut random = Random(3);
    let compute = crate::Compute::new(1).unwrap();
    let ctx = Context { compute: &compute, stop: &|| false };
    let mut shortened = 0;
    for _ in 0..if cfg!(debug_assertions) { 10 } else { 60 } {
        let text = random.text();
        for (name, tokenizer) in &tokenizers {
            assert_eq!(tokenizer.encode(&text).unwrap(), untouched(tokenizer, &text), "{name}: {text:?}");
            let relevant = tokenizer.relevant(once(text.as_str()), &ctx).unwrap();
            shortened += usize::from(relevant.len() < text.len());
            assert_eq!(tokenizer.encode(&relevant).unwrap(), untouched(tokenizer, &text), "{name}: {text:?}");
            assert_eq!(
                tokenizer.count(&text, &ctx).unwrap(),
                tokenizer.ids(&text, true).unwrap().len(),
                "{name}: {text:?}"
            );
        }
    }
    assert!(shortened > 100, "{shortened} texts were shortened");
}

#[test]
fn kinds_of_blanks() {
    let kinds: Vec<_> = tokenizers().iter().take(6).map(|(_, tokenizer)| tokenizer.rules.blanks).collect();
    use Blanks::*;
    assert_eq!(kinds, [Separate, Separate, Canonical, Tokens, Tokens, Tokens]);
}

/// What makes no token is no reason not to see what follows.
#[test]
fn a_word_after_much_that_makes_no_token() {
    for (name, tokenizer) in tokenizers() {
        for (run, separates) in [(" ", true), ("\u{3000}", true), ("\n\t", true), ("!", false), ("\u{1}", false)] {
            let text = format!("{}a cat", run.repeat(40_000));
            if untouched(&tokenizer, &text).len() < 16 {
                assert_eq!(
                    tokenizer.encode(&text).unwrap(),
                    untouched(&tokenizer, &text),
                    "{name} {run:?} {separates}"
                );
            }
        }
    }
}

#[test]
fn the_end_token_follows_all_pieces() {
    // 0x01 makes no token for SigLIP, so that the text comes in several pieces.
    let json = golden("models/tiny-siglip/tokenizer.json");
    let tokenizer = Tokenizer::with_cleaning(&json, 16, TextCleaning::Canonical).unwrap();
    let nothing = "\u{1}".repeat(50_000);
    let text = format!("cat {nothing} dog {nothing} cat");
    assert_eq!(tokenizer.encode(&text).unwrap(), untouched(&tokenizer, &text));
    assert_eq!(tokenizer.encode(&text).unwrap().last(), tokenizer.encode("").unwrap().last());
}

#[test]
fn utf8_in_pieces() {
    let go_on = || Ok(());
    let check = |bytes: &[u8]| utf8(bytes, &go_on).unwrap().map(str::to_owned);
    for shift in 0..4 {
        let text = format!("{}{}", "x".repeat(shift), "é語🐈".repeat(CHECKED_AT_ONCE / 8));
        assert_eq!(check(text.as_bytes()).as_deref(), Some(text.as_str()));
        for at in [0, CHECKED_AT_ONCE - 1, CHECKED_AT_ONCE, text.len() - 1] {
            let mut bytes = text.clone().into_bytes();
            bytes[at] = 0xff;
            assert_eq!(check(&bytes), None);
        }
        assert_eq!(check(&text.as_bytes()[..text.len() - 1]), None);
    }
    let stops = || Err(Error::internal("stop"));
    assert!(utf8(&vec![b'x'; 2 * CHECKED_AT_ONCE], &stops).is_err());
    assert_eq!(utf8(b"", &stops).unwrap(), Some(""));
}

/// Whatever the text is, a megabyte or so goes to the tokenizer at most.
#[test]
#[ignore = "timings"]
fn timings() {
    let texts = [
        ("blanks", " ".repeat(64 << 20)),
        ("wide blanks", "\u{3000}".repeat(20 << 20)),
        ("punctuation", "!?.,".repeat(16 << 20)),
        ("marks", "\u{301}".repeat(16 << 20)),
        ("marks in reverse", "a\u{301}\u{323}".repeat(8 << 20)),
        ("controls", "\u{1}".repeat(64 << 20)),
        ("a word", "x".repeat(64 << 20)),
        ("words", "cat ".repeat(16 << 20)),
        ("cats", "🐈".repeat(16 << 20)),
        ("letters and marks", "a!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!".repeat(1 << 20)),
        ("x blanks", format!("x{}", " ".repeat(200)).repeat(1 << 18)),
        ("zwsp", "\u{200b}".repeat(16 << 20)),
        ("specials", "<|endoftext|>".repeat(4 << 20)),
        ("hangul", "각".repeat(16 << 20)),
        ("jamo", "\u{1100}\u{1161}\u{11a8}".repeat(8 << 20)),
    ];
    for (name, tokenizer) in tokenizers() {
        for (what, text) in &texts {
            let (start, last, worst) = (
                std::time::Instant::now(),
                std::cell::Cell::new(std::time::Instant::now()),
                std::cell::Cell::new(0.0f64),
            );
            let check = || {
                worst.set(worst.get().max(last.get().elapsed().as_secs_f64()));
                last.set(std::time::Instant::now());
                Ok(())
            };
            let ids = tokenizer.gather(once(text.as_str()), None, &check).unwrap();
            check().unwrap();
            println!(
                "{name} {} {what}: {} ids, {:.0} ms, longest {:.1} ms",
                tokenizer.context_length,
                ids.len(),
                start.elapsed().as_secs_f64() * 1e3,
                worst.get() * 1e3
            );
        }
    }
}
