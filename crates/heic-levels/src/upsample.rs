//! As many chroma samples as there are luma samples, as libheif makes them before it turns a picture in which they would not lie
//! over each other any more.

/// A plane of chroma samples, and the size of the luma plane.
#[derive(Clone, Copy)]
pub struct Plane<'p> {
    pub samples: &'p [u16],
    /// Of a row.
    pub columns: usize,
    pub width: usize,
    pub height: usize,
    /// Half the height, too.
    pub halved: bool,
}

impl Plane<'_> {
    fn at(&self, column: usize, row: usize) -> u32 {
        self.samples.get(row * self.columns + column).copied().unwrap_or(0).into()
    }

    /// A row of samples, one for each luma sample.
    pub fn row(&self, y: usize, out: &mut [u16]) {
        let (width, height) = (self.width, self.height);
        let last = width % 2 == 0 && width > 1;
        // Which rows, and the weight of the second one in quarters.
        let (k, weight) = if !self.halved || y == 0 {
            (y, 0)
        } else if y + 1 == height && height % 2 == 0 {
            (height / 2 - 1, 0)
        } else {
            ((y - 1) / 2, if y % 2 == 1 { 1 } else { 3 })
        };
        let end = if last { width - 1 } else { width };
        for (x, out) in out.iter_mut().enumerate().take(end).skip(1) {
            let c = (x - 1) / 2;
            let near = if x % 2 == 1 { 3 } else { 1 };
            let across = |row| near * self.at(c, row) + (4 - near) * self.at(c + 1, row);
            *out = if weight == 0 {
                (across(k) + 2) / 4
            } else {
                ((4 - weight) * across(k) + weight * across(k + 1) + 8) / 16
            } as u16;
        }
        let side = |column| {
            if weight == 0 {
                self.at(column, k)
            } else {
                ((4 - weight) * self.at(column, k) + weight * self.at(column, k + 1) + 2) / 4
            }
        };
        if let Some(out) = out.first_mut() {
            *out = side(0) as u16;
        }
        if last && let Some(out) = out.get_mut(width - 1) {
            *out = side(width / 2 - 1) as u16;
        }
    }
}
