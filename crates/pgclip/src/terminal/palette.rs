//! The 216 colours of six levels each that terminals with 256 have.

/// Levels of red, green and blue.
pub const LEVELS: [u8; 6] = [0, 95, 135, 175, 215, 255];

/// The number of the nearest colour in the cube, and itself.
pub fn nearest(colour: [u8; 3]) -> (u8, [u8; 3]) {
    let places = colour.map(place);
    let number = places.iter().fold(0, |number, place| 6 * number + place);
    (number as u8, places.map(|place| LEVELS.get(place).copied().unwrap_or_default()))
}

fn place(value: u8) -> usize {
    LEVELS.iter().enumerate().min_by_key(|(_, level)| level.abs_diff(value)).map_or(0, |(place, _)| place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_of_the_cube_are_themselves() {
        assert_eq!(nearest([255, 0, 0]), (180, [255, 0, 0]));
        assert_eq!(nearest([100, 100, 100]), (43, [95, 95, 95]));
        assert_eq!(nearest([255; 3]).0, 215);
    }
}
