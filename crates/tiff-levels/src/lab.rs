//! L* a* b* to sRGB as Little CMS makes it for Pillow: the exact colours at the nodes of a grid, tetrahedra between them.

use std::cmp::Reverse;

use crate::Env;
use crate::error::{Result, look, zeroed};

/// Nodes along an axis.
const NODES: usize = 33;
/// XYZ of the white D50, and the matrix from XYZ to linear sRGB, adapted to it by Bradford's method.
const WHITE: [f64; 3] = [0.9642, 1.0, 0.8249];
const MATRIX: [[f64; 3]; 3] = [
    [3.134186364237, -1.617208958998, -0.490694064006],
    [-0.978748504191, 1.916130096774, 0.033433399160],
    [0.071963927802, -0.228993873453, 1.405753732896],
];

/// What 1 stands for in a profile's XYZ.
const ENCODED: f64 = 1.0 + 32767.0 / 32768.0;

/// The colours at the nodes, 16 bits each, low byte first.
pub struct Lab {
    nodes: Vec<u8>,
}

impl Lab {
    /// Makes the colours at all nodes of the table, once for a picture.
    pub fn new(env: &Env<'_>) -> Result<Self> {
        let mut nodes = zeroed(6 * NODES.pow(3), env)?;
        // A node is a number of 16 bits.
        let axis = |i: usize| ((i as f64 * 65535.0 / (NODES - 1) as f64 + 0.5).floor() / 65535.0) as f32;
        for (i, out) in nodes.as_chunks_mut::<6>().0.iter_mut().enumerate() {
            if i.is_multiple_of(NODES * NODES) {
                look(env)?;
            }
            let [l, a, b] = [i / (NODES * NODES), i / NODES % NODES, i % NODES].map(axis);
            for (out, level) in out.as_chunks_mut::<2>().0.iter_mut().zip(srgb([l, a, b])) {
                *out = ((f64::from(level) * 65535.0 + 0.5).floor().clamp(0.0, 65535.0) as u16).to_le_bytes();
            }
        }
        Ok(Self { nodes })
    }

    /// a* and b* are signed, as in the file.
    pub fn rgb(&self, [l, a, b]: [u8; 3]) -> [u8; 3] {
        // 8 bits are of version 2 of the profile format, whose unit is 65280 in 16 bits; 65535 is version 4's.
        let axes = [(l, NODES * NODES), (a ^ 128, NODES), (b ^ 128, 1)].map(|(level, step)| {
            let place = u32::from(level) * 257;
            let place = (((place << 8) | place) >> 8).min(0xffff) * (NODES as u32 - 1);
            let place = place + (place + 0x7fff) / 0xffff;
            // The node below, the rest of the way to the next one, and how far that is away.
            ((place >> 16) as usize * step, (place & 0xffff) as i64, step)
        });
        let mut node: usize = axes.iter().map(|axis| axis.0).sum();
        let mut order = axes;
        order.sort_by_key(|axis| Reverse(axis.1));
        let first = self.node(node);
        let (mut before, mut rest) = (first, [0x8001; 3]);
        for (_, way, step) in order.into_iter().filter(|axis| axis.1 > 0) {
            node += step;
            let next = self.node(node);
            for i in 0..3 {
                rest[i] += (next[i] - before[i]) * way;
            }
            before = next;
        }
        std::array::from_fn(|i| {
            let level = first[i] + ((rest[i] + (rest[i] >> 16)) >> 16);
            ((level.clamp(0, 0xffff) * 65281 + 8_388_608) >> 24) as u8
        })
    }

    fn node(&self, index: usize) -> [i64; 3] {
        let node = self.nodes.as_chunks::<6>().0.get(index).copied().unwrap_or_default();
        std::array::from_fn(|i| u16::from_le_bytes([node[2 * i], node[2 * i + 1]]).into())
    }
}

/// From Lab as numbers from 0 to 1. Rounded to f32 where Little CMS goes from one stage to the next.
fn srgb(lab: [f32; 3]) -> [f32; 3] {
    let [l, a, b] = lab.map(f64::from);
    let y = (l * 100.0 + 16.0) / 116.0;
    let (x, z) = (y + 0.002 * (a * 255.0 - 128.0), y - 0.005 * (b * 255.0 - 128.0));
    let cubed = |t: f64| if t <= 24.0 / 116.0 { (108.0 / 841.0) * (t - 16.0 / 116.0) } else { t * t * t };
    let xyz = [cubed(x) * WHITE[0], cubed(y) * WHITE[1], cubed(z) * WHITE[2]].map(|x| (x / ENCODED) as f32);
    MATRIX.map(|row| {
        let linear: f64 = row.iter().zip(xyz).map(|(factor, x)| factor * ENCODED * f64::from(x)).sum();
        let linear = f64::from(linear as f32);
        // The curve of sRGB, backwards.
        let (a, b) = (1.0 / 1.055, 0.055f64 / 1.055);
        let level =
            if linear >= (a * 0.04045 + b).powf(2.4) { (linear.powf(1.0 / 2.4) - b) / a } else { linear * 12.92 };
        level as f32
    })
}
