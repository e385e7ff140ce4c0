//! Files, written bit by bit.

/// Bits, the lowest of a byte first.
#[derive(Clone, Default)]
pub struct Bits(pub Vec<bool>);

impl Bits {
    pub fn put(&mut self, count: u32, value: u64) -> &mut Self {
        self.0.extend((0..count).map(|i| value >> i & 1 == 1));
        self
    }

    pub fn bytes(&self) -> Vec<u8> {
        self.0.chunks(8).map(|byte| byte.iter().rev().fold(0, |all, bit| all << 1 | u8::from(*bit))).collect()
    }

    /// Contexts whose numbers are always the same: without bits. `large`: some that are not 0.
    pub fn constants(&mut self, contexts: u32, large: Option<(&[u32], u64)>) -> &mut Self {
        // No repetitions; each context's cluster in one bit; prefix codes; no bits behind a symbol.
        self.put(1, 0);
        if contexts > 1 {
            self.put(1, 1).put(2, 1);
            for context in 0..contexts {
                self.put(1, u64::from(large.is_some_and(|(others, _)| others.contains(&context))));
            }
        }
        self.put(1, 1).put(4, 15);
        match large {
            None => self.put(1, 0),
            // Another alphabet, of nearly 2^15, and of a single symbol.
            Some((_, value)) => {
                self.put(4, 15).put(1, 0).put(1, 1).put(4, 14).put(14, 16382).put(2, 1).put(2, 0).put(15, value)
            }
        }
    }

    /// A frame's end: no crop, in the place of what was there, the last one, no name, the usual filters.
    fn end(&mut self) -> &Self {
        self.put(1, 0).put(2, 0).put(1, 1).put(2, 0).put(1, 1).put(2, 0)
    }

    /// A modular image of zeros.
    pub fn zeros(&mut self) -> &mut Self {
        // Quantizers of the average, no tree for all groups.
        self.put(1, 1).put(1, 0).group_of_zeros()
    }

    /// What a group has of one.
    pub fn group_of_zeros(&mut self) -> &mut Self {
        self.transformed_zeros(&[])
    }

    /// The same, behind transforms.
    pub fn transformed_zeros(&mut self, transforms: &[Bits]) -> &mut Self {
        // A tree of its own, the usual predictor.
        self.put(1, 0).put(1, 1);
        match transforms.len() as u64 {
            0 => self.put(2, 0),
            1 => self.put(2, 1),
            len @ 2..18 => self.put(2, 2).put(4, len - 2),
            len => self.put(2, 3).put(8, len - 18),
        };
        self.0.extend(transforms.iter().flat_map(|transform| &transform.0));
        self.constants(6, None).constants(1, None)
    }

    /// Of so many contexts, tables as large as they can be: codes of 15 bits for 32,767 symbols.
    pub fn large_tables(&mut self, tables: u64) -> &mut Self {
        // No repetitions. The last of the lists that were there, again and again: so each comes once, and without bits.
        self.put(1, 0).put(1, 0).put(1, 1);
        self.put(1, 0).put(1, 1).put(4, 15).put(1, 1).put(4, 7).put(7, 127);
        self.put(2, 1).put(2, 0).put(8, tables - 1);
        // Prefix codes, no bits behind a symbol.
        self.put(1, 1);
        for _ in 0..tables {
            self.put(4, 15);
        }
        for _ in 0..tables {
            self.put(1, 1).put(4, 14).put(14, (1 << 14) - 2);
        }
        for _ in 0..tables {
            // Of lengths, what repeats one is there in one bit, and 14 and 15 in two.
            self.put(2, 0);
            for place in 0..18 {
                match place {
                    8 => self.put(2, 3).put(1, 1).put(1, 0),
                    16 | 17 => self.put(2, 3).put(1, 0),
                    _ => self.put(2, 0),
                };
            }
            // One of 14, one of 15 and 32,765 more: from one repetition to the next, four times as many.
            self.put(2, 0b01).put(2, 0b11);
            for more in [0, 2, 2, 2, 2, 2, 1, 2] {
                self.put(1, 0).put(2, more);
            }
        }
        self
    }
}

/// A picture of 256 x 256, with all that is usual.
pub fn header() -> Vec<u8> {
    Bits::default().put(16, 0x0aff).put(1, 1).put(5, 31).put(3, 1).put(1, 1).put(1, 1).bytes()
}

/// As large in both directions.
pub fn large_header(side: u64) -> Vec<u8> {
    Bits::default().put(16, 0x0aff).put(1, 0).put(2, 1).put(13, side - 1).put(3, 1).put(1, 1).put(1, 1).bytes()
}

/// Flags of a frame.
pub const NOISE: u64 = 1;
pub const PATCHES: u64 = 2;
pub const SPLINES: u64 = 16;

/// The one that is shown.
pub fn last_frame(flags: u64, section: &Bits) -> Vec<u8> {
    sections_frame(flags, 1024, std::slice::from_ref(section))
}

/// The same, in groups.
pub fn sections_frame(flags: u64, group: u64, sections: &[Bits]) -> Vec<u8> {
    let mut bits = Bits::default();
    // Modular, in one pass.
    bits.put(1, 0).put(2, 0).put(1, 1).put(2, 1).put(4, flags - 1).put(2, 0);
    bits.put(2, (group / 128).ilog2().into()).put(2, 0);
    with_sections(bits.end(), sections)
}

/// One of cosines, with one pass, or 4 to 11.
pub fn passes_frame(passes: u64, sections: &[Bits]) -> Vec<u8> {
    let mut bits = Bits::default();
    bits.put(1, 0).put(2, 0).put(1, 0).put(2, 1).put(4, NOISE - 1).put(2, 0).put(3, 3).put(3, 2);
    if passes == 1 {
        bits.put(2, 0);
    } else {
        // None for smaller pictures, and no shifts.
        bits.put(2, 3).put(3, passes - 4).put(2, 0);
        bits.0.extend(vec![false; 2 * (passes as usize - 1)]);
    }
    with_sections(bits.end(), sections)
}

/// One for others, in a slot from 0 to 3.
pub fn kept_frame(side: u64, slot: u64) -> Vec<u8> {
    let mut bits = Bits::default();
    bits.put(1, 0).put(2, 2).put(1, 1).put(2, 0).put(2, 0).put(2, 3);
    // A crop.
    bits.put(1, 1);
    for _ in 0..2 {
        bits.put(2, 1).put(11, side - 256);
    }
    bits.put(2, slot).put(1, 1).put(2, 0).put(1, 1).put(2, 0);
    let mut section = Bits::default();
    with_sections(&bits, &[section.zeros().clone()])
}

/// A file in boxes.
pub fn in_boxes(boxes: &[(&[u8; 4], &[u8])]) -> Vec<u8> {
    let mut file = Vec::new();
    for (kind, bytes) in [(b"JXL ", &b"\r\n\x87\n"[..]), (b"ftyp", b"jxl \0\0\0\0jxl ")].iter().chain(boxes) {
        file.extend((bytes.len() as u32 + 8).to_be_bytes());
        file.extend_from_slice(*kind);
        file.extend_from_slice(bytes);
    }
    file
}

fn with_sections(frame: &Bits, sections: &[Bits]) -> Vec<u8> {
    let mut bytes = frame.clone().put(1, 0).bytes();
    let sections: Vec<_> = sections.iter().map(Bits::bytes).collect();
    let mut sizes = Bits::default();
    for section in &sections {
        match section.len() as u64 {
            len @ ..1024 => sizes.put(2, 0).put(10, len),
            len @ 1024..17408 => sizes.put(2, 1).put(14, len - 1024),
            len @ 17408..4211712 => sizes.put(2, 2).put(22, len - 17408),
            len => sizes.put(2, 3).put(30, len - 4211712),
        };
    }
    bytes.extend(sizes.bytes());
    bytes.extend(sections.concat());
    bytes
}
