//! Pictures as towers see them, where the patches of a batch of them lie, and which positions those of pictures of any aspect have.

/// What the tower sees of an image.
pub struct Picture<'a> {
    /// `[3, height, width]`
    pub values: &'a [f32],
    /// Pixels of a row.
    pub width: usize,
    /// Rows of pixels.
    pub height: usize,
}

/// The pictures of a batch, their patches and their rows one after the other.
pub struct Places {
    places: Vec<Place>,
    /// Rows of a picture before those of its patches.
    before: usize,
}

/// One picture.
struct Place {
    /// Patches of the pictures before it.
    first: usize,
    columns: usize,
    patches: usize,
    /// Of columns and rows, where the table of positions is resized.
    axes: Option<[Vec<Taps>; 2]>,
}

/// What of one axis of the table makes a position of a resized one.
struct Taps {
    first: usize,
    weights: Vec<f32>,
}

impl Places {
    /// Of pictures of so many columns and rows of patches. `grid`: the side of the table, where that is resized for each.
    pub fn new(sizes: impl Iterator<Item = (usize, usize)>, before: usize, grid: Option<usize>) -> Self {
        let mut first = 0;
        let place = |(columns, rows): (usize, usize)| {
            let axes = grid.map(|grid| [taps(columns, grid), taps(rows, grid)]);
            let place = Place { first, columns, patches: columns * rows, axes };
            first += columns * rows;
            place
        };
        Self { places: sizes.map(place).collect(), before }
    }

    /// Patches of all pictures.
    pub fn patches(&self) -> usize {
        self.places.last().map_or(0, |last| last.first + last.patches)
    }

    /// Rows of each picture.
    pub fn lengths(&self) -> Vec<usize> {
        self.places.iter().map(|place| place.patches + self.before).collect()
    }

    /// The picture of a patch, and its column and row there.
    pub fn patch(&self, i: usize) -> (usize, usize, usize) {
        let at = self.places.partition_point(|place| place.first <= i) - 1;
        let Place { first, columns, .. } = self.places[at];
        (at, (i - first) % columns, (i - first) / columns)
    }

    /// A row of the tower's input: its place within its picture, and the patch that it is of, if it is of one.
    pub fn row(&self, i: usize) -> (usize, Option<usize>) {
        let rows_before = |at: usize, place: &Place| place.first + at * self.before;
        // As many rows as patches, and some more: the picture is one that could begin so far on.
        let (mut low, mut high) = (0, self.places.len());
        while high - low > 1 {
            let middle = low.midpoint(high);
            if rows_before(middle, &self.places[middle]) <= i { low = middle } else { high = middle }
        }
        let place = &self.places[low];
        let within = i - rows_before(low, place);
        (within, within.checked_sub(self.before).map(|patch| place.first + patch))
    }

    /// Adds to `out` the position of a patch, out of a table of `[grid * grid, width]` that is resized to the picture's size.
    /// `false` where the table is not resized.
    ///
    /// Bilinear and antialiased, as transformers' `resize_positional_embeddings` has it (`modeling_siglip2.py`).
    pub fn add_resized(&self, patch: usize, positions: &[f32], grid: usize, out: &mut [f32]) -> bool {
        let (at, column, row) = self.patch(patch);
        let Some([columns, rows]) = &self.places[at].axes else { return false };
        let (columns, rows) = (&columns[column], &rows[row]);
        for (y, down) in (rows.first..).zip(&rows.weights) {
            for (x, across) in (columns.first..).zip(&columns.weights) {
                let (weight, position) = (down * across, &positions[(y * grid + x) * out.len()..][..out.len()]);
                out.iter_mut().zip(position).for_each(|(out, value)| *out += weight * value);
            }
        }
        true
    }
}

/// For each of `count` places of an axis the weights of the `grid` that there are, as far as they are not zero. In f32, as there.
fn taps(count: usize, grid: usize) -> Vec<Taps> {
    let scale = grid as f32 / count as f32;
    let support = scale.max(1.0);
    let of = |i: usize| {
        let centre = (i as f32 + 0.5) * scale - 0.5;
        let weight = |source: usize| (1.0 - (source as f32 - centre).abs() / support).max(0.0);
        let first = (0..grid).find(|source| weight(*source) > 0.0).unwrap_or(0);
        let mut weights: Vec<f32> = (first..grid).map(weight).take_while(|weight| *weight > 0.0).collect();
        let sum: f32 = weights.iter().sum();
        weights.iter_mut().for_each(|weight| *weight /= sum);
        Taps { first, weights }
    };
    (0..count).map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patches_and_rows_by_picture() {
        for before in [0, 1] {
            let places = Places::new([(2, 3), (1, 1), (4, 1)].into_iter(), before, None);
            assert_eq!((places.patches(), places.lengths()), (11, vec![6 + before, 1 + before, 4 + before]));
            assert_eq!(
                [0, 3, 5, 6, 7, 10].map(|i| places.patch(i)),
                [(0, 0, 0), (0, 1, 1), (0, 1, 2), (1, 0, 0), (2, 0, 0), (2, 3, 0)]
            );
            let mut patches = Vec::new();
            for (i, length) in places.lengths().into_iter().enumerate() {
                let start: usize = places.lengths()[..i].iter().sum();
                for within in 0..length {
                    let (place, patch) = places.row(start + within);
                    assert_eq!((place, patch.is_none()), (within, within < before));
                    patches.extend(patch);
                }
            }
            assert_eq!(patches, (0..11).collect::<Vec<_>>());
            assert!(!places.add_resized(0, &[], 0, &mut []));
        }
    }

    #[test]
    fn weights_are_those_of_an_antialiased_triangle() {
        let weights = |count, grid, i: usize| {
            let taps = &taps(count, grid)[i];
            (taps.first, taps.weights.clone())
        };
        for i in 0..16 {
            assert_eq!(weights(16, 16, i), (i, vec![1.0]), "the same size: as it is");
        }
        assert_eq!(weights(8, 4, 0), (0, vec![1.0]), "the edge");
        assert_eq!(weights(8, 4, 1), (0, vec![0.75, 0.25]));
        assert_eq!(weights(2, 4, 0), (0, vec![3.0 / 7.0, 3.0 / 7.0, 1.0 / 7.0]));
        for count in 1..40 {
            let all = taps(count, 7);
            assert!(all.iter().all(|taps| (taps.weights.iter().sum::<f32>() - 1.0).abs() < 1e-6), "{count}");
            assert!(all.iter().all(|taps| taps.first + taps.weights.len() <= 7 && !taps.weights.is_empty()));
        }
    }
}
