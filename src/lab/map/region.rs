//! A box in a frame.

/// Where something is: x1, y1, x2, y2 in the annotation's unit, of finite numbers, x1 ≤ x2 and y1 ≤ y2.
/// A region without area overlaps nothing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Region([f64; 4]);

/// Why four numbers are no region.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum RegionError {
    #[error("box {0:?} is not of finite numbers")]
    NotFinite([f64; 4]),
    #[error("box {0:?} ends before it begins: boxes are x1, y1, x2, y2; is this x, y, width, height?")]
    InsideOut([f64; 4]),
}

impl Region {
    /// From corners.
    pub fn new(corners: [f64; 4]) -> Result<Self, RegionError> {
        let [x1, y1, x2, y2] = corners;
        if !corners.iter().all(|side| side.is_finite()) {
            Err(RegionError::NotFinite(corners))
        } else if x2 < x1 || y2 < y1 {
            Err(RegionError::InsideOut(corners))
        } else {
            Ok(Self(corners))
        }
    }

    /// x1, y1, x2, y2
    pub fn corners(&self) -> [f64; 4] {
        self.0
    }

    fn area(&self) -> f64 {
        let [x1, y1, x2, y2] = self.0;
        (x2 - x1) * (y2 - y1)
    }

    /// Intersection over union, 0 to 1. Pixels are points here: no `+ 1`.
    pub fn iou(&self, other: &Self) -> f64 {
        let ([ax1, ay1, ax2, ay2], [bx1, by1, bx2, by2]) = (self.0, other.0);
        let width = (ax2.min(bx2) - ax1.max(bx1)).max(0.0);
        let height = (ay2.min(by2) - ay1.max(by1)).max(0.0);
        let overlap = width * height;
        // Regions so large that their area is infinite have no share in anything.
        let iou = overlap / (self.area() + other.area() - overlap);
        if overlap > 0.0 && iou.is_finite() { iou } else { 0.0 }
    }
}
