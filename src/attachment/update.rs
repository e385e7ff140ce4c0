//! What an UPDATE means for a row's vector, by its source before and after. Knows nothing of PostgreSQL.

use clip_core::Modality;

/// A row's source, as far as the rule has to know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Nothing says what the row is.
    None,
    /// What it is, without a value: cleared once it was embedded, or never there.
    Absent(Modality),
    Present(Modality),
}

/// What becomes of the vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vector {
    Keep,
    /// It is of something else, and nothing is there to make another of.
    Remove,
    /// It is to be made of the source that is there now.
    Make,
}

#[derive(Clone, Copy, Debug)]
pub struct Change {
    pub old: Source,
    pub new: Source,
    /// Both are present, of the same modality, and the same.
    pub is_same: bool,
    /// Images are cleared once they are embedded: one that is gone is no sign that the vector is of something else.
    pub clears_images: bool,
    /// The row has a vector after the statement,
    pub has_vector: bool,
    /// which the statement itself has put there.
    pub is_brought: bool,
}

impl Change {
    pub fn vector(self) -> Vector {
        match (self.old, self.new) {
            (_, Source::Present(_)) if self.is_same && self.has_vector => Vector::Keep,
            (_, Source::Present(_)) => Vector::Make,
            (Source::Present(Modality::Image), Source::Absent(Modality::Image)) if self.clears_images => Vector::Keep,
            (old, new) if old == new || self.is_brought => Vector::Keep,
            _ => Vector::Remove,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Modality::{Image, Text};
    use Source::{Absent, Present};

    const PLAIN: Change = Change {
        old: Source::None,
        new: Source::None,
        is_same: false,
        clears_images: false,
        has_vector: true,
        is_brought: false,
    };

    #[test]
    fn a_source_that_is_there_is_embedded_unless_it_is_the_same() {
        let same = Change { old: Present(Text), new: Present(Text), is_same: true, ..PLAIN };
        assert_eq!(same.vector(), Vector::Keep);
        assert_eq!(Change { has_vector: false, ..same }.vector(), Vector::Make);
        for old in [Source::None, Absent(Image), Absent(Text), Present(Image), Present(Text)] {
            assert_eq!(Change { old, new: Present(Text), ..PLAIN }.vector(), Vector::Make, "{old:?}");
            assert_eq!(Change { old, new: Present(Text), is_brought: true, ..PLAIN }.vector(), Vector::Make, "{old:?}");
        }
    }

    #[test]
    fn a_source_that_is_taken_away_takes_the_vector_along() {
        for (old, new) in [
            (Present(Text), Absent(Text)),
            (Present(Image), Absent(Image)),
            (Present(Text), Absent(Image)),
            (Absent(Image), Absent(Text)),
            (Present(Image), Source::None),
            (Absent(Image), Source::None),
        ] {
            assert_eq!(Change { old, new, ..PLAIN }.vector(), Vector::Remove, "{old:?} {new:?}");
            assert_eq!(Change { old, new, is_brought: true, ..PLAIN }.vector(), Vector::Keep, "{old:?} {new:?}");
        }
    }

    #[test]
    fn an_image_that_was_cleared_keeps_its_vector_but_not_under_another_name() {
        let cleared = Change { old: Present(Image), new: Absent(Image), clears_images: true, ..PLAIN };
        assert_eq!(cleared.vector(), Vector::Keep);
        assert_eq!(Change { old: Absent(Image), ..cleared }.vector(), Vector::Keep);
        assert_eq!(Change { old: Present(Text), ..cleared }.vector(), Vector::Remove);
        assert_eq!(Change { old: Absent(Text), ..cleared }.vector(), Vector::Remove);
        assert_eq!(Change { old: Absent(Image), new: Absent(Text), ..cleared }.vector(), Vector::Remove);
    }
}
