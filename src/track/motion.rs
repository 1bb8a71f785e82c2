//! Where a box will be: a constant-velocity Kalman filter on its centre and size.
//!
//! The four coordinates are filtered apart, as SORT and ByteTrack do in effect (their matrices couple nothing but a
//! coordinate with its own velocity), so that each needs a 2×2 covariance and no matrix library. Times are real, not
//! frame counts: cameras drop frames. Deviations are in box heights, as in DeepSORT (Wojke et al. 2017).

use crate::frame::Rect;

/// Of a detector's box edges, in heights.
const MEASUREMENT: f32 = 0.05;
/// Of a velocity nobody has measured yet, in heights a second. Somebody running covers about three.
const FIRST_VELOCITY: f32 = 1.5;
/// How far a velocity wanders in a second, in heights a second.
const ACCELERATION: f32 = 1.5;
/// Of the change of size in a second, relative to the above: sizes change slower than places.
const SIZE: f32 = 0.3;

/// The state of a box.
#[derive(Debug, Clone, Copy)]
pub struct Motion {
    /// Centre x, centre y, width, height.
    axes: [Axis; 4],
}

#[derive(Debug, Clone, Copy)]
struct Axis {
    /// Pixels.
    position: f32,
    /// Pixels a second.
    velocity: f32,
    /// Variances of position and velocity, and their covariance.
    covariance: [f32; 3],
}

impl Motion {
    /// A box seen once.
    pub fn new(rect: &Rect) -> Self {
        let height = rect.height().max(1.0);
        let axis = |position, scale: f32| Axis {
            position,
            velocity: 0.0,
            covariance: [(MEASUREMENT * height).powi(2), 0.0, (FIRST_VELOCITY * scale * height).powi(2)],
        };
        let (x, y) = rect.centre();
        Self { axes: [axis(x, 1.0), axis(y, 1.0), axis(rect.width(), SIZE), axis(rect.height(), SIZE)] }
    }

    /// Moves on by `seconds`, at least 0.
    pub fn predict(&mut self, seconds: f32) {
        let height = self.height();
        for (index, axis) in self.axes.iter_mut().enumerate() {
            let scale = if index < 2 { 1.0 } else { SIZE };
            let wander = (ACCELERATION * scale * height).powi(2);
            let [pp, pv, vv] = axis.covariance;
            axis.position += axis.velocity * seconds;
            // White-noise acceleration, Bar-Shalom et al. 2001, section 6.2.2
            axis.covariance = [
                pp + seconds * (2.0 * pv + seconds * vv) + wander * seconds.powi(3) / 3.0,
                pv + seconds * vv + wander * seconds.powi(2) / 2.0,
                vv + wander * seconds,
            ];
        }
    }

    /// Takes in where the box was found.
    pub fn update(&mut self, rect: &Rect) {
        let noise = (MEASUREMENT * self.height()).powi(2);
        let (x, y) = rect.centre();
        for (axis, measured) in self.axes.iter_mut().zip([x, y, rect.width(), rect.height()]) {
            let [pp, pv, vv] = axis.covariance;
            let (gain_p, gain_v) = (pp / (pp + noise), pv / (pp + noise));
            let error = measured - axis.position;
            axis.position += gain_p * error;
            axis.velocity += gain_v * error;
            axis.covariance = [pp * (1.0 - gain_p), pv * (1.0 - gain_p), vv - gain_v * pv];
        }
    }

    /// The box as it is believed to be now, pixels.
    pub fn rect(&self) -> Rect {
        let [x, y, width, height] = self.axes.map(|axis| axis.position);
        let (w, h) = (width.max(1.0) / 2.0, height.max(1.0) / 2.0);
        Rect::new(x - w, y - h, x + w, y + h)
    }

    fn height(&self) -> f32 {
        self.axes[3].position.max(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(x: f32) -> Rect {
        Rect::new(x, 50.0, x + 40.0, 150.0)
    }

    #[test]
    fn steady_motion_is_foreseen_across_a_gap() {
        let mut motion = Motion::new(&at(0.0));
        for step in 1..=10 {
            motion.predict(0.1);
            motion.update(&at(step as f32 * 10.0));
        }
        motion.predict(0.5);
        let (seen, expected) = (motion.rect(), at(150.0));
        assert!(seen.iou(&expected) > 0.8, "{seen:?} {expected:?}");
    }

    #[test]
    fn uncertainty_grows_with_time_and_shrinks_with_measurements() {
        let mut motion = Motion::new(&at(0.0));
        let before = motion.axes[0].covariance[0];
        motion.predict(1.0);
        let grown = motion.axes[0].covariance[0];
        motion.update(&at(0.0));
        assert!(grown > before && motion.axes[0].covariance[0] < grown);
        motion.predict(0.0);
        assert!(motion.axes.iter().all(|axis| axis.covariance[0] > 0.0 && axis.covariance[2] > 0.0));
    }
}
