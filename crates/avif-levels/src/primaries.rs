//! The weights of red and blue in luma that follow from the primaries (ISO/IEC 23091-2, equations 32 to 37).

/// Chromaticities of red, green, blue and white.
type Chromaticities = [(f32, f32); 4];

const D65: (f32, f32) = (0.3127, 0.329);
const BT709: Chromaticities = [(0.64, 0.33), (0.3, 0.6), (0.15, 0.06), D65];

/// By their number; those of BT.709 where it is of no primaries.
fn chromaticities(number: u16) -> Chromaticities {
    match number {
        4 => [(0.67, 0.33), (0.21, 0.71), (0.14, 0.08), (0.310, 0.316)],
        5 => [(0.64, 0.33), (0.29, 0.60), (0.15, 0.06), D65],
        6 | 7 => [(0.630, 0.340), (0.310, 0.595), (0.155, 0.070), D65],
        8 => [(0.681, 0.319), (0.243, 0.692), (0.145, 0.049), (0.310, 0.316)],
        9 => [(0.708, 0.292), (0.170, 0.797), (0.131, 0.046), D65],
        10 => [(1.0, 0.0), (0.0, 1.0), (0.0, 0.0), (0.3333, 0.3333)],
        11 => [(0.680, 0.320), (0.265, 0.690), (0.150, 0.060), (0.314, 0.351)],
        12 => [(0.680, 0.320), (0.265, 0.690), (0.150, 0.060), D65],
        22 => [(0.630, 0.340), (0.295, 0.605), (0.155, 0.077), D65],
        _ => BT709,
    }
}

pub fn weights(number: u16) -> (f32, f32) {
    let [(rx, ry), (gx, gy), (bx, by), (wx, wy)] = chromaticities(number);
    let rest = |x: f32, y: f32| 1.0 - (x + y);
    let (rz, gz, bz, wz) = (rest(rx, ry), rest(gx, gy), rest(bx, by), rest(wx, wy));
    let whole = wy * (rx * (gy * bz - by * gz) + gx * (by * rz - ry * bz) + bx * (ry * gz - gy * rz));
    let red = ry * (wx * (gy * bz - by * gz) + wy * (bx * gz - gx * bz) + wz * (gx * by - bx * gy));
    let blue = by * (wx * (ry * gz - gy * rz) + wy * (gx * rz - rx * gz) + wz * (rx * gy - gx * ry));
    (red / whole, blue / whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_weights() {
        for (number, red, blue) in [(1, 0.2126, 0.0722), (9, 0.2627, 0.0593)] {
            let (r, b) = weights(number);
            assert!((r - red).abs() < 1e-4 && (b - blue).abs() < 1e-4, "{number}: {r} {b}");
        }
    }
}
