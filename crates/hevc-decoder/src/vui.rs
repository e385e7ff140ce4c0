//! Video usability information (annex E): here, what the levels mean.

use crate::bits::Bits;
use crate::error::Result;

/// What the levels mean.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Signal {
    /// `None` where nothing is said, which means no.
    pub full_range: Option<bool>,
    /// Primaries, transfer and matrix, by the numbers of ISO/IEC 23091-2.
    pub colours: Option<[u8; 3]>,
}

/// Reads vui_parameters (annex E.2.1), of which the signal is kept. `sub_layers`: temporal ones beside the first.
pub fn read(bits: &mut Bits, sub_layers: u32) -> Result<Signal> {
    let mut signal = Signal::default();
    if bits.flag()? && bits.bits(8)? == 255 {
        bits.skip(32)?;
    }
    if bits.flag()? {
        bits.skip(1)?;
    }
    if bits.flag()? {
        bits.skip(3)?;
        signal.full_range = Some(bits.flag()?);
        if bits.flag()? {
            signal.colours = Some([bits.bits(8)? as u8, bits.bits(8)? as u8, bits.bits(8)? as u8]);
        }
    }
    // Where chroma samples lie.
    if bits.flag()? {
        bits.ue()?;
        bits.ue()?;
    }
    bits.skip(3)?;
    // A window for displays.
    if bits.flag()? {
        for _ in 0..4 {
            bits.ue()?;
        }
    }
    // Timing.
    if bits.flag()? {
        bits.skip(64)?;
        if bits.flag()? {
            bits.ue()?;
        }
        if bits.flag()? {
            reference_decoder(bits, sub_layers)?;
        }
    }
    // Restrictions.
    if bits.flag()? {
        bits.skip(3)?;
        for _ in 0..5 {
            bits.ue()?;
        }
    }
    Ok(signal)
}

/// Parameters of a hypothetical reference decoder (annex E.2.2).
fn reference_decoder(bits: &mut Bits, sub_layers: u32) -> Result<()> {
    let (nal, vcl) = (bits.flag()?, bits.flag()?);
    let mut sub_pictures = false;
    if nal || vcl {
        sub_pictures = bits.flag()?;
        bits.skip(if sub_pictures { 19 } else { 0 })?;
        bits.skip(8)?;
        bits.skip(if sub_pictures { 4 } else { 0 })?;
        bits.skip(15)?;
    }
    for _ in 0..=sub_layers {
        let fixed = bits.flag()? || bits.flag()?;
        let low_delay = if fixed {
            bits.ue()?;
            false
        } else {
            bits.flag()?
        };
        let count = if low_delay { 1 } else { bits.ue_to(31)? + 1 };
        for _ in 0..count * (u32::from(nal) + u32::from(vcl)) {
            for _ in 0..if sub_pictures { 4 } else { 2 } {
                bits.ue()?;
            }
            bits.skip(1)?;
        }
    }
    Ok(())
}
