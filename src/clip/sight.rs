//! How persons, objects and the whole frame become embeddings: cut out and encoded one by one, or read off one pass.

use super::{ClipError, Embeddings, ImageTower, RegionTower, TwoSizes};
use crate::config::{Crop, Regions};
use crate::engine::{Engine, Options};
use crate::frame::{Picture, Rect};
use crate::pack::Pack;

/// One of the ways.
pub enum Sight {
    /// An encoding for each box and one for the frame.
    Crops(ImageTower),
    /// The same, small boxes in smaller pictures.
    TwoSizes(Box<TwoSizes>),
    /// One encoding of the frame, whatever is in it.
    OnePass(OnePass),
}

/// A tower and the boxes that wait for it.
pub struct OnePass {
    tower: RegionTower,
    boxes: Vec<Rect>,
}

impl From<ImageTower> for Sight {
    fn from(tower: ImageTower) -> Self {
        Self::Crops(tower)
    }
}

impl From<TwoSizes> for Sight {
    fn from(towers: TwoSizes) -> Self {
        Self::TwoSizes(Box::new(towers))
    }
}

impl From<RegionTower> for Sight {
    fn from(tower: RegionTower) -> Self {
        Self::OnePass(OnePass { tower, boxes: Vec::new() })
    }
}

impl Sight {
    /// Loads the image tower of `pack` as `regions` wants it; for crops that are no larger than `small`, another that reads
    /// pictures of that size.
    pub fn open(
        regions: Regions,
        small: Option<usize>,
        pack: &Pack,
        engine: &dyn Engine,
        options: Options,
    ) -> Result<Self, ClipError> {
        if regions == Regions::OnePass {
            return Ok(RegionTower::open(pack, engine, options)?.into());
        }
        let tower = ImageTower::open(pack, engine, options)?;
        let Some(side) = small else { return Ok(tower.into()) };
        let small = ImageTower::open(&pack.clone().with_input(Some(side)), engine, options)?;
        Ok(TwoSizes::new(tower, small, side).into())
    }

    /// Elements of an embedding.
    pub fn width(&self) -> usize {
        match self {
            Self::Crops(tower) => tower.width(),
            Self::TwoSizes(towers) => towers.width(),
            Self::OnePass(one) => one.tower.width(),
        }
    }

    /// Takes up what is to be encoded: `boxes`, in pixels of `picture`.
    pub fn prepare(&mut self, picture: &Picture, crop: Crop, boxes: impl Iterator<Item = Rect>) {
        match self {
            Self::Crops(tower) => {
                tower.clear();
                boxes.for_each(|rect| tower.push(picture, rect, crop));
            }
            Self::TwoSizes(towers) => towers.prepare(picture, crop, boxes),
            Self::OnePass(one) => {
                one.boxes.clear();
                one.boxes.extend(boxes);
                one.tower.prepare(picture, crop);
            }
        }
    }

    /// Encodes it. The first `n` boxes go to the first `(n, rows)` of `groups`, and so on; the rows that were there
    /// before are overwritten.
    pub fn encode(&mut self, groups: &mut [(usize, &mut Embeddings)]) -> Result<(), ClipError> {
        match self {
            Self::Crops(tower) => tower.encode(groups),
            Self::TwoSizes(towers) => towers.encode(groups),
            Self::OnePass(one) => {
                let OnePass { tower, boxes } = one;
                tower.encode()?;
                let mut boxes = boxes.iter();
                for (count, rows) in groups {
                    rows.reset(tower.width());
                    boxes.by_ref().take(*count).try_for_each(|rect| tower.region(*rect, rows))?;
                }
                Ok(())
            }
        }
    }
}
