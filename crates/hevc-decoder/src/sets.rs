//! The parameter sets that pictures name.

use crate::error::{Error, Result};
use crate::nal::{PPS, SPS, Unit};
use crate::pps::Pps;
use crate::sps::Sps;

/// Parameter sets by their numbers: 16 of sequences and 64 of pictures may be there.
#[derive(Clone, Debug, Default)]
pub struct Sets {
    sps: [Option<Box<Sps>>; 16],
    pps: Vec<Option<Box<Pps>>>,
}

impl Sets {
    /// Adds a unit that comes before a picture's data, without its length. Units of other kinds do not matter.
    ///
    /// [`Error::Unsupported`] or [`Error::Damaged`] where it is a parameter set that is not read.
    pub fn add(&mut self, unit: &[u8]) -> Result<()> {
        self.add_unit(&Unit::read(unit)?)
    }

    /// Adds a parameter set of the base layer, in the place of one of its number.
    pub(crate) fn add_unit(&mut self, unit: &Unit) -> Result<()> {
        if unit.layer > 0 {
            return Ok(());
        }
        match unit.kind {
            SPS => {
                let (id, sps) = Sps::read(&unit.payload()?)?;
                if let Some(place) = self.sps.get_mut(id) {
                    *place = Some(Box::new(sps));
                }
            }
            PPS => {
                let (id, pps) = Pps::read(&unit.payload()?)?;
                self.pps.resize_with(64, || None);
                if let Some(place) = self.pps.get_mut(id) {
                    *place = Some(Box::new(pps));
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// A picture parameter set and the sequence's that it names. Both have to be there, and to fit each other.
    pub(crate) fn of(&self, pps: usize) -> Result<(&Sps, &Pps)> {
        let pps = self.pps.get(pps).and_then(Option::as_deref);
        let pps = pps.ok_or(Error::Damaged("a picture parameter set is missing"))?;
        let sps = self.sps.get(pps.sps).and_then(Option::as_deref);
        let sps = sps.ok_or(Error::Damaged("a sequence parameter set is missing"))?;
        // What the two say of each other.
        if pps.qp_delta_depth.is_some_and(|depth| depth > sps.ctb_log2 - sps.min_cb_log2) {
            return Err(Error::Damaged("quantisers change within the smallest blocks"));
        }
        Ok((sps, pps))
    }
}
