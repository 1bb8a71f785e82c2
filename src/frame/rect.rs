//! Axis-aligned rectangles in pixels.

/// A box `[x1, y1, x2, y2]` in pixels of the frame it belongs to; x2 and y2 are exclusive edges.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Rect {
    pub x1: f32,
    pub y1: f32,
    pub x2: f32,
    pub y2: f32,
}

impl Rect {
    /// A rectangle from its edges.
    pub const fn new(x1: f32, y1: f32, x2: f32, y2: f32) -> Self {
        Self { x1, y1, x2, y2 }
    }

    /// Pixels; 0 for an inverted rectangle.
    pub fn width(&self) -> f32 {
        (self.x2 - self.x1).max(0.0)
    }

    /// Pixels; 0 for an inverted rectangle.
    pub fn height(&self) -> f32 {
        (self.y2 - self.y1).max(0.0)
    }

    /// Square pixels.
    pub fn area(&self) -> f32 {
        self.width() * self.height()
    }

    /// The middle, in pixels.
    pub fn centre(&self) -> (f32, f32) {
        ((self.x1 + self.x2) / 2.0, (self.y1 + self.y2) / 2.0)
    }

    /// The part that both cover; empty (zero area) if none.
    pub fn intersection(&self, other: &Self) -> Self {
        Self {
            x1: self.x1.max(other.x1),
            y1: self.y1.max(other.y1),
            x2: self.x2.min(other.x2),
            y2: self.y2.min(other.y2),
        }
    }

    /// Intersection over union, 0..=1; 0 if either is empty.
    pub fn iou(&self, other: &Self) -> f32 {
        let both = self.intersection(other).area();
        let union = self.area() + other.area() - both;
        if union > 0.0 { both / union } else { 0.0 }
    }

    /// Intersection over union once their centres are put on each other, 0..=1: how alike they are, wherever they are.
    pub fn shape_iou(&self, other: &Self) -> f32 {
        let both = self.width().min(other.width()) * self.height().min(other.height());
        let union = self.area() + other.area() - both;
        if union > 0.0 { both / union } else { 0.0 }
    }

    /// The part inside a `width` × `height` frame.
    pub fn clamped(&self, width: f32, height: f32) -> Self {
        Self {
            x1: self.x1.clamp(0.0, width),
            y1: self.y1.clamp(0.0, height),
            x2: self.x2.clamp(0.0, width),
            y2: self.y2.clamp(0.0, height),
        }
    }

    /// Wider by `share` of its width on both sides, and higher by `share` of its height.
    pub fn enlarged(&self, share: f32) -> Self {
        let (dx, dy) = (share * self.width(), share * self.height());
        Self { x1: self.x1 - dx, y1: self.y1 - dy, x2: self.x2 + dx, y2: self.y2 + dy }
    }

    /// As fractions of a `width` × `height` frame: `[x1, y1, x2, y2]`, 0..=1 for a box inside it.
    pub fn normalised(&self, width: f32, height: f32) -> [f32; 4] {
        [self.x1 / width, self.y1 / height, self.x2 / width, self.y2 / height]
    }
}
