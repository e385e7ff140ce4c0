//! The orders in which coefficients come (clause 6.5). A place is `y * side + x`.

const fn diagonal<const N: usize>(side: usize) -> [u8; N] {
    let mut scan = [0; N];
    let (mut i, mut x, mut y) = (0, 0usize, 0usize);
    while i < N {
        scan[i] = (y * side + x) as u8;
        i += 1;
        // Up and to the right; from the border down to the next diagonal.
        if y == 0 || x == side - 1 {
            let next = x + y + 1;
            y = if next < side { next } else { side - 1 };
            x = next - y;
        } else {
            y -= 1;
            x += 1;
        }
    }
    scan
}

/// Of four sub-blocks, up to the right.
pub const DIAGONAL_2: [u8; 4] = diagonal(2);
/// Of a block of 4 x 4, or of sixteen sub-blocks, up to the right.
pub const DIAGONAL_4: [u8; 16] = diagonal(4);
/// Of the sub-blocks of a block of 32 x 32, up to the right.
pub const DIAGONAL_8: [u8; 64] = diagonal(8);
/// Of a block of 4 x 4, row by row.
pub const HORIZONTAL_4: [u8; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
/// Of a block of 4 x 4, column by column.
pub const VERTICAL_4: [u8; 16] = [0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15];
/// Of the four sub-blocks of a block of 8 x 8, row by row.
pub const HORIZONTAL_2: [u8; 4] = [0, 1, 2, 3];
/// Of the four sub-blocks of a block of 8 x 8, column by column.
pub const VERTICAL_2: [u8; 4] = [0, 2, 1, 3];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn diagonals() {
        assert_eq!(DIAGONAL_2, [0, 2, 1, 3]);
        assert_eq!(DIAGONAL_4, [0, 4, 1, 8, 5, 2, 12, 9, 6, 3, 13, 10, 7, 14, 11, 15]);
        assert_eq!(DIAGONAL_8[58..], [61, 54, 47, 62, 55, 63]);
    }
}
