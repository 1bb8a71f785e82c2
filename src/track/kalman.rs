//! How a box moves: a Kalman filter for each of centre x, centre y, width and height (after Bewley et al. 2016, "SORT",
//! and Zhang et al. 2022, "ByteTrack", in continuous time, because frames do not come at a fixed rate).
//!
//! The centre has a constant velocity that is disturbed by white noise; width and height have none, they drift: a size
//! carried on by a velocity turns a half-hidden person into a speck or a giant within a second. The four coordinates are
//! independent, so each covariance is 2 × 2 and no matrix is needed. All noise is in units of the box's size (mean of
//! width and height), so that near and far, standing and lying persons behave alike.

use crate::frame::Rect;

/// Standard deviation of a detected coordinate, sizes.
const MEASUREMENT: f32 = 0.07;
/// Standard deviation of the velocity of a person just found, sizes a second: a quick walk.
const VELOCITY: f32 = 1.5;
/// Density of the acceleration's noise, sizes² / s³: from standing to walking in a second.
const ACCELERATION: f32 = 2.0;
/// Density of the drift of width and height, sizes² / s: a fifth in a second.
const DRIFT: f32 = 0.04;

/// One coordinate: position and velocity, and their covariance.
#[derive(Debug, Clone, Copy)]
struct Axis {
    position: f32,
    velocity: f32,
    /// Of position, of position and velocity, of velocity.
    pp: f32,
    pv: f32,
    vv: f32,
}

impl Axis {
    fn new(position: f32, variance: f32, velocity_variance: f32) -> Self {
        Self { position, velocity: 0.0, pp: variance, pv: 0.0, vv: velocity_variance }
    }

    /// Lets `dt` seconds pass, with process noise of the densities `drift` and `acceleration`.
    fn predict(&mut self, dt: f32, drift: f32, acceleration: f32) {
        self.position += self.velocity * dt;
        self.pp += dt * (2.0 * self.pv + dt * (self.vv + acceleration * dt / 3.0) + drift);
        self.pv += dt * (self.vv + acceleration * dt / 2.0);
        self.vv += dt * acceleration;
    }

    /// Takes a measurement of the position into account.
    fn correct(&mut self, measured: f32, variance: f32) {
        let (gain, rate) = (self.pp / (self.pp + variance), self.pv / (self.pp + variance));
        let innovation = measured - self.position;
        self.position += gain * innovation;
        self.velocity += rate * innovation;
        self.vv -= rate * self.pv;
        self.pv *= 1.0 - gain;
        self.pp *= 1.0 - gain;
    }
}

/// Where a person is believed to be, and how sure that is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Motion {
    x: Axis,
    y: Axis,
    width: Axis,
    height: Axis,
}

impl Motion {
    /// A person first seen at `rect`, whose area is not zero.
    pub fn new(rect: &Rect) -> Self {
        let (x, y) = rect.centre();
        let (width, height) = (rect.width(), rect.height());
        let size = (width + height) / 2.0;
        let measured = (MEASUREMENT * size).powi(2);
        let velocity = (VELOCITY * size).powi(2);
        Self {
            x: Axis::new(x, measured, velocity),
            y: Axis::new(y, measured, velocity),
            width: Axis::new(width, measured, 0.0),
            height: Axis::new(height, measured, 0.0),
        }
    }

    /// Lets `dt` seconds pass.
    pub fn predict(&mut self, dt: f32) {
        let unit = self.size().powi(2);
        self.x.predict(dt, 0.0, ACCELERATION * unit);
        self.y.predict(dt, 0.0, ACCELERATION * unit);
        self.width.predict(dt, DRIFT * unit, 0.0);
        self.height.predict(dt, DRIFT * unit, 0.0);
    }

    /// Takes a detection into account.
    pub fn correct(&mut self, rect: &Rect) {
        let variance = (MEASUREMENT * self.size()).powi(2);
        self.correct_centre(rect.centre());
        self.width.correct(rect.width(), variance);
        self.height.correct(rect.height(), variance);
    }

    /// Takes into account where the centre was seen, of a box whose size was not.
    pub fn correct_centre(&mut self, (x, y): (f32, f32)) {
        let variance = (MEASUREMENT * self.size()).powi(2);
        self.x.correct(x, variance);
        self.y.correct(y, variance);
    }

    /// The believed box.
    pub fn rect(&self) -> Rect {
        let (x, y) = (self.x.position, self.y.position);
        let (w, h) = (self.width.position / 2.0, self.height.position / 2.0);
        Rect::new(x - w, y - h, x + w, y + h)
    }

    /// Mean of width and height, pixels. It stays positive: both are means of what was measured.
    fn size(&self) -> f32 {
        (self.width.position + self.height.position) / 2.0
    }

    /// How far the centre may be off, pixels: the larger standard deviation, at most a third of the size.
    pub fn uncertainty(&self) -> f32 {
        self.x.pp.max(self.y.pp).max(0.0).sqrt().min(self.size() / 3.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Two steps of prediction are one of their sum: nothing depends on the frame rate.
        #[test]
        fn prediction_composes(a in 0.0f32..2.0, b in 0.0f32..2.0, v in -100.0f32..100.0) {
            let start = Axis { position: 5.0, velocity: v, pp: 3.0, pv: 1.0, vv: 40.0 };
            let (mut twice, mut once) = (start, start);
            twice.predict(a, 2.0, 7.0);
            twice.predict(b, 2.0, 7.0);
            once.predict(a + b, 2.0, 7.0);
            for (x, y) in [
                (twice.position, once.position), (twice.pp, once.pp), (twice.pv, once.pv), (twice.vv, once.vv),
            ] {
                prop_assert!((x - y).abs() <= 1e-4 * x.abs().max(10.0), "{twice:?} {once:?}");
            }
        }

        /// Whatever comes, the covariance stays one, and the box finite with a positive size.
        #[test]
        fn stays_sane(steps in prop::collection::vec((0.0f32..3.0, -50.0f32..500.0, -50.0f32..500.0, 1.0f32..300.0, 1.0f32..300.0), 1..100)) {
            let mut motion = Motion::new(&Rect::new(0.0, 0.0, 30.0, 80.0));
            for (dt, x, y, w, h) in steps {
                motion.predict(dt);
                motion.correct(&Rect::new(x, y, x + w, y + h));
                for axis in [motion.x, motion.y, motion.width, motion.height] {
                    prop_assert!(axis.pp > 0.0 && axis.vv >= 0.0, "{axis:?}");
                    prop_assert!(axis.pp * axis.vv >= axis.pv * axis.pv * 0.999, "{axis:?}");
                }
                let rect = motion.rect();
                prop_assert!(rect.area() > 0.0 && rect.area().is_finite(), "{rect:?}");
            }
        }
    }

    #[test]
    fn learns_a_velocity() {
        let at = |t: f32| Rect::new(40.0 * t, 10.0, 40.0 * t + 30.0, 90.0);
        let mut motion = Motion::new(&at(0.0));
        for i in 1..=20 {
            motion.predict(0.1);
            motion.correct(&at(0.1 * i as f32));
        }
        motion.predict(1.0);
        assert!(motion.rect().iou(&at(3.0)) > 0.8, "{:?}", motion.rect());
    }
}
