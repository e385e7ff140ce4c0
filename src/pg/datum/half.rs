//! Numbers of 16 bits (IEEE 754's binary16), as pgvector's `halfvec` has them. Knows nothing of PostgreSQL.

/// The nearest number of 16 bits, a tie to the even one. Numbers of unit vectors are not too large for it.
pub fn half(x: f32) -> u16 {
    let bits = x.to_bits();
    let (sign, magnitude) = ((bits >> 16) as u16 & 0x8000, bits & 0x7fff_ffff);
    let rounded = if magnitude < 0x3880_0000 {
        // Below 2^-14 the steps are 2^-24 wide. Adding a number whose own last bit is that wide rounds to them.
        (f32::from_bits(magnitude) + 0.5).to_bits() - 0.5f32.to_bits()
    } else {
        // The last 13 bits go; a carry goes into the exponent, whose bias is 112 less.
        let odd = (magnitude >> 13) & 1;
        ((magnitude + 0xfff + odd) >> 13).saturating_sub(112 << 10).min(0x7c00)
    };
    sign | rounded as u16
}

#[cfg(test)]
mod tests {
    use super::half;

    /// What a half stands for.
    fn value(half: u16) -> f64 {
        let (exponent, fraction) = (i32::from(half >> 10 & 0x1f), f64::from(half & 0x3ff) / 1024.0);
        let magnitude =
            if exponent == 0 { fraction * 2f64.powi(-14) } else { (1.0 + fraction) * 2f64.powi(exponent - 15) };
        if half & 0x8000 == 0 { magnitude } else { -magnitude }
    }

    #[test]
    fn every_number_becomes_the_nearest_half_and_of_two_the_even_one() {
        const LARGEST: u16 = 0x7bff;
        for sign in [0, 0x8000] {
            for this in 0..LARGEST {
                let (this, next) = (sign | this, sign | (this + 1));
                assert_eq!(half(value(this) as f32), this, "{}", value(this));
                let middle = ((value(this) + value(next)) / 2.0) as f32;
                assert_eq!(half(middle), if this % 2 == 0 { this } else { next }, "{middle}");
                assert_eq!(half(f32::from_bits(middle.to_bits() - 1)), this, "below {middle}");
                assert_eq!(half(f32::from_bits(middle.to_bits() + 1)), next, "above {middle}");
            }
            assert_eq!(half(value(sign | LARGEST) as f32), sign | LARGEST);
        }
        assert_eq!(half(1e9), 0x7c00);
    }
}
