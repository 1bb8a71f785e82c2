//! Crops in two sizes: those that would have to be enlarged for the image tower go to one that reads smaller pictures.

use super::{ClipError, Embeddings, ImageTower};
use crate::config::Crop;
use crate::frame::{Picture, Rect};

/// Two towers of one space. Once its buffers have grown, nothing here allocates.
pub struct TwoSizes {
    large: ImageTower,
    small: ImageTower,
    /// Boxes whose longer side has at most so many pixels go to the small one.
    side: usize,
    /// For each box that waits, in order: whether it went there.
    went_small: Vec<bool>,
    of_large: Embeddings,
    of_small: Embeddings,
}

impl TwoSizes {
    /// `small` reads pictures whose sides have `side` pixels.
    pub fn new(large: ImageTower, small: ImageTower, side: usize) -> Self {
        let rows = || Embeddings::new(large.width());
        let (of_large, of_small) = (rows(), rows());
        Self { large, small, side, went_small: Vec::new(), of_large, of_small }
    }

    /// Elements of an embedding.
    pub fn width(&self) -> usize {
        self.large.width()
    }

    /// Takes up what is to be encoded: `boxes`, in pixels of `picture`.
    pub fn prepare(&mut self, picture: &Picture, crop: Crop, boxes: impl Iterator<Item = Rect>) {
        self.large.clear();
        self.small.clear();
        self.went_small.clear();
        for rect in boxes {
            let small = rect.width().max(rect.height()) <= self.side as f32;
            let tower = if small { &mut self.small } else { &mut self.large };
            tower.push(picture, rect, crop);
            self.went_small.push(small);
        }
    }

    /// Encodes it; see [`ImageTower::encode`].
    pub fn encode(&mut self, groups: &mut [(usize, &mut Embeddings)]) -> Result<(), ClipError> {
        self.large.encode(&mut [(self.large.len(), &mut self.of_large)])?;
        self.small.encode(&mut [(self.small.len(), &mut self.of_small)])?;
        let (mut large, mut small) = (self.of_large.rows(), self.of_small.rows());
        let mut rows =
            self.went_small.iter().filter_map(|went| if *went { small.next() } else { large.next() });
        for (count, to) in groups {
            to.reset(self.large.width());
            for row in rows.by_ref().take(*count) {
                // What a tower gave was checked as it came.
                let _ = to.push(row);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::image::tests::{LAYOUT, share, stripe, stripes, tower_of};
    use super::*;
    use crate::frame::Layout;

    fn towers(side: usize) -> TwoSizes {
        let small = tower_of(Layout { width: 2, height: 2, ..LAYOUT });
        TwoSizes::new(tower_of(LAYOUT).0, small.0, side)
    }

    #[test]
    fn each_goes_to_its_tower_and_comes_back_in_its_place() {
        let large = tower_of(LAYOUT);
        let small = tower_of(Layout { width: 2, height: 2, ..LAYOUT });
        let mut towers = TwoSizes::new(large.0, small.0, 16);
        let picture = stripes(64);
        let narrow = |index: usize| {
            let x = (index * 64 + 24) as f32;
            Rect::new(x, 24.0, x + 16.0, 40.0)
        };
        let (mut persons, mut context) = (Embeddings::default(), Embeddings::default());
        for _ in 0..2 {
            let boxes = [narrow(2), stripe(0, 64), narrow(1), stripe(1, 64), narrow(0)];
            towers.prepare(&picture, Crop::Stretch, boxes.into_iter());
            towers.encode(&mut [(4, &mut persons), (1, &mut context)]).unwrap();
            let colour = |row: &[f32]| (0..3).find(|index| share(row, *index) > 0.99);
            let seen: Vec<_> = persons.rows().chain(context.rows()).map(colour).collect();
            assert_eq!(seen, [2, 0, 1, 1, 0].map(Some));
            assert_eq!((persons.len(), context.len()), (4, 1));
        }
        assert_eq!((&*large.1.lock().unwrap(), &*small.1.lock().unwrap()), (&vec![2, 2], &vec![3, 3]));
    }

    #[test]
    fn nobody_and_only_small_ones_are_no_fault() {
        let mut towers = towers(64);
        let mut rows = Embeddings::default();
        towers.prepare(&stripes(16), Crop::Pad, std::iter::empty());
        towers.encode(&mut [(0, &mut rows)]).unwrap();
        assert!(rows.is_empty());
        towers.prepare(&stripes(16), Crop::Pad, [stripe(1, 16)].into_iter());
        towers.encode(&mut [(1, &mut rows)]).unwrap();
        assert_eq!((rows.len(), rows.width(), towers.width()), (1, 3, 3));
    }
}
