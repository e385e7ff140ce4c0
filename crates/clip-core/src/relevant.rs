//! What of a text a tokenizer has to see, piece by piece: a text may be a gigabyte of blanks.
//!
//! A piece ends where white space separates tokens, or where it has become as long as no ordinary text is. Runs of characters
//! that make no token are shortened on the way: their beginning and end stay, so that neither a special token nor what lies
//! on both sides of a run can tell the difference.

use crate::cleaning::{is_case_ignorable_punctuation, is_space};
use crate::error::Result;

/// Bytes beside white space beyond which more of a piece cannot matter: the longest token of CLIP's vocabulary has a few
/// dozen bytes, so that a context of 77 tokens ends long before. A word that is longer is cut here.
pub const MAX_BYTES: usize = 16 << 10;
/// Bytes of a whole piece, runs of characters that make no token included.
pub const MAX_PIECE: usize = 64 << 10;
/// Bytes between two looks at whether the caller wants to stop: some 0.2 ms.
const LOOK: usize = 64 << 10;

/// Says whether to go on, by an error if not.
pub type Check<'a> = &'a dyn Fn() -> Result<()>;

/// What a tokenizer makes of white space and punctuation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blanks {
    /// A run of white space separates, whatever its length.
    Separate,
    /// A run of white space separates, whatever its length, and ASCII punctuation is deleted.
    Canonical,
    /// A run of ASCII white space separates, whatever its length, and what is done to a text is done line by line.
    Lines,
    /// They may be tokens: nothing is left out.
    Tokens,
}

/// What may be left out of a text before a tokenizer sees it.
#[derive(Clone, Copy)]
pub struct Rules {
    /// What it makes of white space and punctuation.
    pub blanks: Blanks,
    /// Characters of the longest special token: so much stays of each end of a run.
    pub longest_special: usize,
}

impl Rules {
    /// Characters that are kept at each end of a run.
    ///
    /// A special token that lies within a run or across its shortened part would have to hold all of one end.
    fn end(&self) -> usize {
        self.longest_special.max(8)
    }

    /// Does the character separate words?
    pub fn is_blank(&self, c: char) -> bool {
        match self.blanks {
            Blanks::Canonical => is_space(c),
            Blanks::Lines => matches!(c, ' ' | '\t' | '\n' | '\r'),
            Blanks::Separate | Blanks::Tokens => c.is_whitespace(),
        }
    }

    /// Can the character make no token, wherever it stands?
    pub fn is_skipped(&self, c: char) -> bool {
        match self.blanks {
            Blanks::Separate => c.is_whitespace(),
            Blanks::Canonical => is_space(c) || c.is_ascii_punctuation(),
            Blanks::Lines => self.is_blank(c),
            Blanks::Tokens => false,
        }
    }
}

/// A piece in the making.
pub struct Piece {
    rules: Rules,
    max_words: usize,
    out: String,
    words: usize,
    /// Of words that are complete, and of blanks that count.
    bytes: usize,
    word: usize,
    run: Run,
    ended: bool,
}

/// The end of a run of skipped characters, whose beginning is in the piece already.
#[derive(Default)]
struct Run {
    length: usize,
    /// The last characters, in a ring.
    last: Vec<char>,
    blank: bool,
    line_break: bool,
    /// A character that a final sigma does not look past.
    opaque: bool,
}

impl Piece {
    /// A piece that ends after `max_words` words.
    pub fn new(rules: Rules, max_words: usize) -> Self {
        let (out, run) = (String::new(), Run::default());
        Self { rules, max_words, out, words: 0, bytes: 0, word: 0, run, ended: false }
    }

    /// Is the piece complete, whatever follows?
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// Takes of `text`, which follows on what it was given before, what belongs to the piece, and gives its bytes.
    ///
    /// `check` is asked every 64 KiB, and its error ends the work.
    pub fn push(&mut self, text: &str, check: Check) -> Result<usize> {
        let (mut at, mut next_look) = (0, LOOK);
        while let Some(c) = text[at..].chars().next() {
            if at >= next_look {
                check()?;
                next_look = at + LOOK;
            }
            if self.ends_before(c) {
                self.ended = true;
                return Ok(at);
            }
            at += if !self.rules.is_skipped(c) {
                self.end_run();
                self.out.push(c);
                let of_word = self.rules.blanks != Blanks::Tokens || !c.is_whitespace();
                *(if of_word { &mut self.word } else { &mut self.bytes }) += c.len_utf8();
                c.len_utf8()
            } else if self.run.length <= 2 * self.rules.end() {
                self.skip(c);
                c.len_utf8()
            } else {
                self.skip_many(&text[at..])
            };
        }
        Ok(text.len())
    }

    /// Is the piece complete before this character? Counts the word that a blank ends.
    fn ends_before(&mut self, c: char) -> bool {
        if self.rules.is_blank(c) {
            if self.word > 0 {
                self.words += 1;
                self.bytes += self.word;
                self.word = 0;
                return self.words >= self.max_words || self.bytes >= MAX_BYTES;
            }
            // Of tokens that are blanks there may be too many, too.
            return self.bytes >= MAX_BYTES;
        }
        let too_long = self.word >= MAX_BYTES || self.out.len() >= MAX_PIECE;
        too_long && !self.rules.is_skipped(c)
    }

    /// Takes one character of a run: its beginning goes into the piece, what follows into the ring.
    fn skip(&mut self, c: char) {
        let (run, end) = (&mut self.run, self.rules.end());
        if run.length < end {
            self.out.push(c);
        } else {
            if run.last.len() < end {
                run.last.resize(end, ' ');
            }
            run.last[run.length % end] = c;
            run.blank |= self.rules.is_blank(c);
            run.line_break |= c == '\n';
            run.opaque |= !is_case_ignorable_punctuation(c);
        }
        run.length += 1;
    }

    /// Takes all that `text` begins with and that may be left out, up to the next look, and gives its bytes.
    ///
    /// The ring gets the last characters alone, which is what makes a gigabyte of blanks cheap.
    fn skip_many(&mut self, text: &str) -> usize {
        let rules = self.rules;
        let ends_word = self.word > 0;
        let goes_on = |c: char| rules.is_skipped(c) && !(ends_word && rules.is_blank(c));
        let mut span = &text[..text.floor_char_boundary(LOOK)];
        span = &span[..span.find(|c| !goes_on(c)).unwrap_or(span.len())];
        let end = rules.end();
        let last = span.char_indices().nth_back(end - 1).map_or(0, |(at, _)| at);
        let (middle, last) = span.split_at(last);
        self.run.blank = self.run.blank || middle.chars().any(|c| rules.is_blank(c));
        self.run.line_break = self.run.line_break || middle.contains('\n');
        self.run.opaque = self.run.opaque || middle.chars().any(|c| !is_case_ignorable_punctuation(c));
        for c in last.chars() {
            self.skip(c);
        }
        span.len()
    }

    /// Writes the end of a run. In the place of what was left out stands a character that separates as that did.
    fn end_run(&mut self) {
        let end = self.rules.end();
        let run = &mut self.run;
        if run.length > end {
            if run.length > 2 * end {
                self.out.push(if run.line_break && self.rules.blanks == Blanks::Lines {
                    '\n'
                } else if run.blank {
                    ' '
                } else if run.opaque {
                    '!'
                } else {
                    '.'
                });
            }
            let from = run.length.saturating_sub(end).max(end);
            self.out.extend((from..run.length).map(|i| run.last[i % end]));
        }
        *run = Run { last: std::mem::take(&mut run.last), ..Run::default() };
    }

    /// The piece, with all that was given to it.
    pub fn finish(mut self) -> String {
        self.end_run();
        self.out
    }
}

/// A text in parts that follow each other, given out in pieces.
pub struct Reader<'a, I> {
    parts: I,
    rest: &'a str,
}

impl<'a, I: Iterator<Item = &'a str>> Reader<'a, I> {
    /// A text of nothing but `parts`.
    pub fn new(parts: I) -> Self {
        Self { parts, rest: "" }
    }

    /// The next piece, of at most `max_words` words, and `None` after the last one. An error of `check` ends the
    /// work.
    pub fn piece(&mut self, rules: Rules, max_words: usize, check: Check) -> Result<Option<String>> {
        let (mut piece, mut any) = (Piece::new(rules, max_words), false);
        while !piece.has_ended() {
            if self.rest.is_empty() {
                match self.parts.next() {
                    Some(part) => self.rest = part,
                    None => break,
                }
            }
            let read = piece.push(self.rest, check)?;
            any |= read > 0;
            self.rest = &self.rest[read..];
        }
        Ok(any.then(|| piece.finish()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEPARATE: Rules = Rules { blanks: Blanks::Separate, longest_special: 3 };
    const CANONICAL: Rules = Rules { blanks: Blanks::Canonical, longest_special: 3 };
    const TOKENS: Rules = Rules { blanks: Blanks::Tokens, longest_special: 3 };

    fn pieces(rules: Rules, max_words: usize, parts: &[&str]) -> Vec<String> {
        let mut reader = Reader::new(parts.iter().copied());
        std::iter::from_fn(|| reader.piece(rules, max_words, &|| Ok(())).unwrap()).collect()
    }

    #[test]
    fn pieces_end_at_white_space() {
        assert_eq!(pieces(SEPARATE, 2, &["a b  c d", " e"]), ["a b", "  c d", " e"]);
        assert_eq!(pieces(TOKENS, 2, &["a b  c", "d"]), ["a b", "  cd"]);
        assert_eq!(pieces(SEPARATE, 5, &["a", "", " b"]), ["a b"]);
        assert_eq!(pieces(SEPARATE, 1, &["  "]), ["  "]);
        assert!(pieces(SEPARATE, 1, &["", ""]).is_empty());
    }

    #[test]
    fn endless_words_are_cut_at_a_character() {
        let text = "ä".repeat(100_000);
        for rules in [SEPARATE, CANONICAL, TOKENS] {
            let pieces = pieces(rules, 300, &[&text]);
            assert_eq!(pieces.concat(), text);
            assert!(pieces.iter().all(|piece| piece.len() <= MAX_BYTES + 4) && pieces.len() == 13);
        }
    }

    #[test]
    fn long_words_end_at_white_space() {
        let text = format!("{} ", "x".repeat(3000)).repeat(300);
        assert_eq!(pieces(SEPARATE, 300, &[&text])[0], text[..6 * 3001].trim_end());
    }

    #[test]
    fn runs_keep_their_ends() {
        let blanks = " \t\n\u{3000}\u{a0}\u{2003}".repeat(100_000);
        let text = format!("{blanks}a{blanks}b{blanks}");
        let [piece] = &pieces(SEPARATE, 300, &[&text])[..] else { panic!("more than one piece") };
        assert!(piece.len() < 200, "{piece:?}");
        assert_eq!(piece.split_whitespace().collect::<Vec<_>>(), ["a", "b"]);
        // A run in any parts is the same run.
        let parts: Vec<&str> = text.split_inclusive('\t').collect();
        assert_eq!(pieces(SEPARATE, 300, &parts), [piece.as_str()]);
    }

    #[test]
    fn what_is_left_out_separates_as_before() {
        let run = |middle: &str| {
            pieces(CANONICAL, 300, &[&format!("a{}{middle}{}b", ".".repeat(20), ":".repeat(20))]).concat()
        };
        assert_eq!(run(""), format!("a{}.{}b", ".".repeat(8), ":".repeat(8)));
        assert_eq!(run("?"), format!("a{}!{}b", ".".repeat(8), ":".repeat(8)));
        assert_eq!(run("?\u{2581}"), format!("a{} {}b", ".".repeat(8), ":".repeat(8)));
        // Nothing is left out of what is short.
        for length in 0..17 {
            let text = format!("a{}b", "?".repeat(length));
            assert_eq!(pieces(CANONICAL, 300, &[&text]).concat(), text);
        }
    }

    #[test]
    fn lines_stay_lines() {
        let rules = Rules { blanks: Blanks::Lines, longest_special: 3 };
        let run =
            |middle: &str| pieces(rules, 300, &[&format!("a{}{middle}{}b", " ".repeat(20), " ".repeat(20))]).concat();
        assert_eq!(run(""), format!("a{}b", " ".repeat(17)));
        assert_eq!(run("\n"), format!("a{}\n{}b", " ".repeat(8), " ".repeat(8)));
        let long = format!("a{}\n{}b", " ".repeat(400_000), " ".repeat(400_000));
        assert_eq!(pieces(rules, 300, &[&long]), [run("\n")]);
        assert_eq!(
            run("\u{a0}"),
            format!("a{}\u{a0}{}b", " ".repeat(17), " ".repeat(17)),
            "of no matter for lines, a word"
        );
    }

    #[test]
    fn blanks_that_may_be_tokens_are_cut_by_their_bytes() {
        let text = "\u{3000}".repeat(50_000);
        let pieces = pieces(TOKENS, 300, &[&text]);
        assert_eq!(pieces.concat(), text);
        assert!(pieces.iter().all(|piece| piece.len() <= MAX_BYTES + 4));
    }

    #[test]
    fn the_caller_is_asked_on_the_way() {
        for text in [" ".repeat(1 << 20), "!".repeat(1 << 20)] {
            let asked = std::cell::Cell::new(0);
            let check = || {
                asked.set(asked.get() + 1);
                if asked.get() > 5 { Err(crate::Error::internal("stop")) } else { Ok(()) }
            };
            assert!(Reader::new(std::iter::once(text.as_str())).piece(CANONICAL, 300, &check).is_err());
        }
    }
}
