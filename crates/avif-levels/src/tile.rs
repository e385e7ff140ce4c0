//! The data of a picture, or of a part of it, and how they are to be read.

use std::borrow::Cow;

use isobmff::{Associated, Meta, Property};

use crate::error::{Error, Result, Unsupported};

#[derive(Clone, Debug)]
pub struct Tile<'a> {
    pub data: Cow<'a, [u8]>,
    pub width: u32,
    pub height: u32,
    /// `lsel`: the spatial layer to be shown.
    pub layer: Option<u8>,
    /// `a1op`.
    pub operating_point: u8,
}

impl<'a> Tile<'a> {
    /// An item that is coded.
    pub fn of_item(meta: &Meta<'a>, id: u32) -> Result<Self> {
        let item = meta.item(id).ok_or(Error::Damaged("an item is missing"))?;
        if item.protected {
            return Err(Error::Unsupported(Unsupported::Encrypted));
        }
        if item.kind != *b"av01" {
            return Err(Error::Unsupported(Unsupported::Item(item.kind)));
        }
        check_essential(meta, id)?;
        let (mut size, mut layer, mut operating_point, mut configured) = (None, None, 0, false);
        for property in meta.properties(id) {
            match property?.property {
                Property::Size { width, height } => size = size.or(Some((width, height))),
                // All of them.
                Property::Layer(0xffff) => {}
                Property::Layer(number) => layer = Some(u8::try_from(number).map_err(|_| BAD_LAYER)?),
                Property::OperatingPoint(number) => operating_point = number,
                Property::Av1(_) => configured = true,
                _ => {}
            }
        }
        if !configured {
            return Err(Error::Damaged("an item has no AV1 configuration"));
        }
        let (width, height) = size.ok_or(Error::Damaged("an item has no size"))?;
        let data = meta.data(id)?;
        Ok(Self { data, width, height, layer, operating_point })
    }
}

/// Who does not know an essential property must not show the item.
pub fn check_essential(meta: &Meta<'_>, id: u32) -> Result<()> {
    // Known, and of no effect here.
    const KNOWN: [&[u8; 4]; 3] = [b"a1lx", b"clli", b"colr"];
    for associated in meta.properties(id) {
        let Associated { property, essential } = associated?;
        if let Property::Other(atom) = property
            && essential
            && !KNOWN.contains(&&atom.kind)
        {
            return Err(Error::Unsupported(Unsupported::Property(atom.kind)));
        }
    }
    Ok(())
}

const BAD_LAYER: Error = Error::Damaged("a layer is to be shown that AV1 cannot have");
