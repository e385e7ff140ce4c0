//! Rows that loop restoration filters at once.

/// Rows and columns around a stripe that are looked at.
pub const AROUND: usize = 3;

/// A stripe of a plane, with what is around it.
pub struct Stripe {
    pub data: Vec<u16>,
    pub stride: usize,
}

impl Stripe {
    /// From the third row above on.
    pub fn row(&self, y: usize, x: usize) -> &[u16] {
        let start = y * self.stride;
        self.data.get(start + x..start + self.stride).unwrap_or_default()
    }

    pub fn load(&mut self, y: usize, from: &[u16]) {
        let start = y * self.stride;
        let Some(to) = self.data.get_mut(start..start + self.stride) else { return };
        let (before, rest) = to.split_at_mut(AROUND);
        let (middle, after) = rest.split_at_mut(from.len().min(rest.len()));
        middle.copy_from_slice(&from[..middle.len()]);
        if let (Some(first), Some(last)) = (from.first(), from.last()) {
            before.fill(*first);
            after.fill(*last);
        }
    }
}

/// Of a unit's part in a stripe.
#[derive(Clone, Copy)]
pub struct Place {
    pub left: usize,
    pub wide: usize,
    pub top: usize,
    pub high: usize,
}
