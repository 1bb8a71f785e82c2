//! Which zones a person stands in.

use crate::config;

/// A camera's zones.
#[derive(Debug)]
pub(super) struct Zones(Vec<config::Zone>);

impl Zones {
    pub fn new(zones: &[config::Zone]) -> Self {
        Self(zones.to_vec())
    }

    /// The index of the zone called `name`.
    pub fn index(&self, name: &str) -> Option<usize> {
        self.0.iter().position(|zone| zone.name == name)
    }

    /// Puts one truth value for each zone into `inside`: whether a person with the box `rect`
    /// (`[x1, y1, x2, y2]`, fractions of the frame) stands in it. Feet decide: the middle of the box's lower
    /// edge, which for a person cut off by the frame is the frame's edge.
    pub fn locate(&self, [x1, _, x2, y2]: [f32; 4], inside: &mut Vec<bool>) {
        let feet = [((x1 + x2) / 2.0).clamp(0.0, 1.0), y2.clamp(0.0, 1.0)];
        inside.clear();
        inside.extend(self.0.iter().map(|zone| contains(&zone.polygon, feet)));
    }

    /// The names of the zones that `inside` says yes to.
    pub fn names(&self, inside: &[bool]) -> Vec<String> {
        self.0.iter().zip(inside).filter(|(_, inside)| **inside).map(|(zone, _)| zone.name.clone()).collect()
    }
}

/// Whether `point` lies in the polygon or on its edge: the even-odd rule, where a ray to the right crosses the
/// edges (Shimrat, Algorithm 112, CACM 1962). The edge belongs to the zone, or nobody cut off by the frame's
/// lower edge would stand in a zone that is drawn down to it.
fn contains(polygon: &[[f32; 2]], [x, y]: [f32; 2]) -> bool {
    let ends = polygon.iter().skip(1).chain(polygon.first());
    let mut inside = false;
    for (&[ax, ay], &[bx, by]) in polygon.iter().zip(ends) {
        let side = (bx - ax) * (y - ay) - (by - ay) * (x - ax);
        let beside = x >= ax.min(bx) && x <= ax.max(bx) && y >= ay.min(by) && y <= ay.max(by);
        if side == 0.0 && beside {
            return true;
        }
        // Half-open in y, so that a ray through a corner counts it once.
        if (ay > y) != (by > y) && (side > 0.0) == (by > ay) {
            inside = !inside;
        }
    }
    inside
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const L: [[f32; 2]; 6] = [[0.0, 0.0], [1.0, 0.0], [1.0, 0.5], [0.5, 0.5], [0.5, 1.0], [0.0, 1.0]];

    #[test]
    fn knows_inside_outside_and_edge_of_a_concave_shape() {
        for (point, expected) in [
            ([0.25, 0.25], true),
            ([0.75, 0.25], true),
            ([0.25, 0.75], true),
            ([0.75, 0.75], false),
            ([0.0, 0.0], true),
            ([0.3, 1.0], true),
            ([1.0, 0.2], true),
            ([0.7, 0.5], true),
            ([0.7, 1.0], false),
            // Level with a corner.
            ([0.2, 0.5], true),
        ] {
            assert_eq!(contains(&L, point), expected, "{point:?}");
            let reversed: Vec<_> = L.iter().rev().copied().collect();
            assert_eq!(contains(&reversed, point), expected, "{point:?}, the other way round");
        }
    }

    #[test]
    fn feet_decide_and_a_person_cut_off_stands_on_the_frames_edge() {
        let zone = config::Zone {
            name: "floor".into(),
            polygon: vec![[0.0, 0.8], [1.0, 0.8], [1.0, 1.0], [0.0, 1.0]],
        };
        let zones = Zones::new(&[zone]);
        let mut inside = Vec::new();
        zones.locate([0.1, 0.0, 0.2, 0.79], &mut inside);
        assert_eq!(inside, [false]);
        zones.locate([0.1, 0.0, 0.2, 0.81], &mut inside);
        assert_eq!(zones.names(&inside), ["floor"]);
        zones.locate([0.1, 0.0, 0.2, 1.035], &mut inside);
        assert_eq!(inside, [true]);
    }

    proptest! {
        /// In a triangle a point is inside exactly if it is on the same side of all three edges.
        #[test]
        fn agrees_with_half_planes(t in prop::array::uniform3(prop::array::uniform2(0.0f32..1.0)), p in prop::array::uniform2(0.0f32..1.0)) {
            let side = |i: usize| {
                let ([ax, ay], [bx, by]) = (t[i].map(f64::from), t[(i + 1) % 3].map(f64::from));
                let [x, y] = p.map(f64::from);
                (bx - ax) * (y - ay) - (by - ay) * (x - ax)
            };
            let sides = [side(0), side(1), side(2)];
            // So near an edge, single precision may take either side.
            prop_assume!(sides.iter().all(|s| s.abs() > 1e-6));
            let expected = sides.iter().all(|s| *s > 0.0) || sides.iter().all(|s| *s < 0.0);
            prop_assert_eq!(contains(&t, p), expected);
        }
    }
}
