//! Loop restoration (section 7.17), of stripes of 64 luma rows that begin 8 rows above those of superblocks.

use lanes::within;

use crate::error::{Error, Result, filled};
use crate::frame::{Frame, Plane};
use crate::self_guided::{self, SelfGuided};
use crate::setup::Setup;
use crate::stripe::{AROUND, Place, Stripe};
use crate::unit::Unit;

const STRIPE: usize = 64;
const ABOVE: usize = 8;

/// Rows around the stripes' borders as they were before the filter along directions: four of each.
pub struct Borders {
    rows: Vec<u16>,
    width: usize,
}

impl Borders {
    /// `None` where the plane is not restored.
    pub fn of(setup: &Setup<'_>, frame: &Frame, plane: usize) -> Result<Option<Self>> {
        if !setup.restores(plane) {
            return Ok(None);
        }
        let (_, y) = setup.subsampling(plane);
        let plane = &frame.planes[plane];
        let (step, first) = (STRIPE >> y, (STRIPE - ABOVE) >> y);
        let many = plane.height.saturating_sub(first).div_ceil(step);
        let mut rows = filled(many * 4 * plane.width, 0)?;
        for (i, to) in rows.chunks_exact_mut(plane.width.max(1)).enumerate() {
            let from = first + i / 4 * step + i % 4 - 2;
            // Those beyond the end are not looked at.
            to.copy_from_slice(&plane.row(from.min(plane.height - 1), 0)[..plane.width]);
        }
        Ok(Some(Self { rows, width: plane.width }))
    }

    /// A row by its distance from a border: -2 to 1.
    fn row(&self, border: usize, distance: isize) -> &[u16] {
        let at = (border * 4).wrapping_add_signed(distance + 2) * self.width;
        self.rows.get(at..at + self.width).unwrap_or_default()
    }
}

pub fn restore(
    setup: &Setup<'_>,
    frame: &mut Frame,
    borders: &[Option<Borders>],
    go_on: &dyn Fn() -> bool,
) -> Result<()> {
    for (plane, borders) in borders.iter().enumerate() {
        if let Some(borders) = borders {
            let units = std::mem::take(&mut frame.units[plane]);
            restore_plane(setup, &mut frame.planes[plane], plane, &units, borders, go_on)?;
        }
    }
    Ok(())
}

fn restore_plane(
    setup: &Setup<'_>,
    target: &mut Plane,
    plane: usize,
    units: &[Unit],
    borders: &Borders,
    go_on: &dyn Fn() -> bool,
) -> Result<()> {
    let (_, y) = setup.subsampling(plane);
    let (size, across, down) = setup.restoration_units(plane);
    let (width, height) = (target.width, target.height);
    let stride = width + 2 * AROUND + 8;
    let mut stripe = Stripe { data: filled(stride * ((STRIPE >> y) + 2 * AROUND), 0)?, stride };
    let mut self_guided = SelfGuided::new(size * 2)?;
    let mut middle = filled((STRIPE + 2 * AROUND) * (size * 2), 0i32)?;
    let mut top = 0;
    for number in 0.. {
        let end = (((number + 1) * STRIPE - ABOVE) >> y).min(height);
        if top >= end {
            break;
        }
        if !go_on() {
            return Err(Error::Stopped);
        }
        let high = end - top;
        for i in 0..high + 2 * AROUND {
            // A third row is a copy of the second.
            let row = if i < AROUND && number > 0 {
                borders.row(number - 1, (i as isize - AROUND as isize).max(-2))
            } else if i >= high + AROUND && end < height {
                borders.row(number, ((i - high - AROUND) as isize).min(1).min((height - end - 1) as isize))
            } else {
                let row = (top + i).saturating_sub(AROUND).clamp(top, end - 1);
                &target.row(row, 0)[..width]
            };
            stripe.load(i, row);
        }
        let unit_row = (((number * STRIPE) >> y) / size).min(down - 1);
        for col in 0..across {
            let left = col * size;
            let right = if col + 1 == across { width } else { left + size };
            let Some(unit) = units.get(unit_row * across + col) else { continue };
            let place = Place { left, wide: right.saturating_sub(left), top, high };
            match unit {
                Unit::None => {}
                Unit::Wiener(taps) => {
                    wiener(&stripe, target, place, taps, &mut middle, setup.depth);
                }
                Unit::SelfGuided(set, weights) => {
                    self_guided::filter(&mut self_guided, &stripe, target, place, (*set, *weights), setup.depth);
                }
            }
        }
        top = end;
    }
    Ok(())
}

fn whole(half: &[i32; 3]) -> [i32; 7] {
    let [a, b, c] = *half;
    [a, b, c, 128 - 2 * (a + b + c), c, b, a]
}

#[pulp::with_simd(wiener = pulp::Arch::new())]
#[inline(always)]
fn wiener_with<S: pulp::Simd>(
    _: S,
    stripe: &Stripe,
    target: &mut Plane,
    place: Place,
    taps: &[[i32; 3]; 2],
    middle: &mut [i32],
    depth: u32,
) {
    let (down, across) = (whole(&taps[0]), whole(&taps[1]));
    let (first, second) = if depth == 12 { (5, 9) } else { (3, 11) };
    let offset = 1 << (depth + 7 - first - 1);
    let limit = (1 << (depth + 1 + 7 - first)) - 1;
    let wide = place.wide;
    for (y, to) in middle.chunks_exact_mut(wide.max(1)).enumerate().take(place.high + 2 * AROUND) {
        let from = stripe.row(y, place.left);
        let Some(from) = from.get(..wide + 2 * AROUND) else { return };
        for (x, to) in to.iter_mut().enumerate() {
            let mut sum = 0;
            for (i, tap) in across.iter().enumerate() {
                sum += tap * i32::from(from[x + i]);
            }
            *to = within((sum + (1 << (first - 1))) >> first, -offset, limit - offset);
        }
    }
    let most = (1 << depth) - 1;
    for y in 0..place.high {
        let to = target.row_mut(place.top + y, place.left);
        let Some(rows) = middle.get(y * wide..(y + 7) * wide) else { return };
        for (x, to) in to.iter_mut().enumerate().take(wide) {
            let mut sum = 0;
            for (i, tap) in down.iter().enumerate() {
                sum += tap * rows[i * wide + x];
            }
            *to = within((sum + (1 << (second - 1))) >> second, 0, most) as u16;
        }
    }
}
