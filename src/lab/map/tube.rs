//! A region in each of a run of frames.

use super::region::{Region, RegionError};

/// Consecutive frames, at least one.
#[derive(Debug, Clone, PartialEq)]
pub struct Tube {
    first: i64,
    regions: Vec<Region>,
}

/// Why rows are no tube.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum TubeError {
    #[error("no boxes: a tube has one at least")]
    Empty,
    #[error(
        "box {at} is of frame {found}, after frame {before}: a tube has one box for each frame in order; \
         interpolate what is missing, or make two tubes of it"
    )]
    Gap { at: usize, before: i64, found: i64 },
    #[error("box {at}: frame {frame} is not a whole number")]
    Frame { at: usize, frame: f64 },
    #[error("box {at}: {source}")]
    Region { at: usize, source: RegionError },
}

impl Tube {
    /// From rows of frame, x1, y1, x2, y2.
    pub fn of_rows(rows: impl IntoIterator<Item = [f64; 5]>) -> Result<Self, TubeError> {
        let (mut first, mut regions) = (0, Vec::new());
        for (at, [frame, x1, y1, x2, y2]) in rows.into_iter().enumerate() {
            let frame = whole(frame).ok_or(TubeError::Frame { at, frame })?;
            if at == 0 {
                first = frame;
            } else if frame != first + at as i64 {
                return Err(TubeError::Gap { at, before: first + at as i64 - 1, found: frame });
            }
            let region = Region::new([x1, y1, x2, y2]);
            regions.push(region.map_err(|source| TubeError::Region { at, source })?);
        }
        if regions.is_empty() { Err(TubeError::Empty) } else { Ok(Self { first, regions }) }
    }

    fn last(&self) -> i64 {
        self.first + self.regions.len() as i64 - 1
    }

    /// Each frame and its region.
    pub fn frames(&self) -> impl Iterator<Item = (i64, &Region)> {
        (self.first..).zip(&self.regions)
    }

    /// Mean IoU over the shared frames times the IoU in time, which counts the steps between frames (last − first), as
    /// the papers' script does: tubes that share one frame of several have no time in common.
    pub fn iou(&self, other: &Self) -> f64 {
        let (first, last) = (self.first.max(other.first), self.last().min(other.last()));
        if last < first {
            return 0.0;
        }
        let union = self.last().max(other.last()) - self.first.min(other.first);
        let temporal = if union > 0 { (last - first) as f64 / union as f64 } else { 1.0 };
        let from = |tube: &Self| usize::try_from(first - tube.first).unwrap_or_default();
        let shared = usize::try_from(last - first).unwrap_or_default() + 1;
        let pairs = self.regions.iter().skip(from(self)).zip(other.regions.iter().skip(from(other)));
        let sum: f64 = pairs.take(shared).map(|(a, b)| a.iou(b)).sum();
        sum / shared as f64 * temporal
    }
}

/// The number of a frame, if it is one: whole, and small enough for a double to hold it exactly.
pub fn whole(frame: f64) -> Option<i64> {
    (frame.fract() == 0.0 && frame.abs() < 9e15).then_some(frame as i64)
}
