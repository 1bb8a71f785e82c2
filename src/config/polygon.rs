//! What makes a list of points a polygon: at least three, in the frame, around some area, and not crossing itself.

/// A polygon of more points than this is drawn by a machine, not by an operator.
const MOST_POINTS: usize = 100;
/// As a fraction of the frame: a third of a pixel at 640×480.
const LEAST_AREA: f64 = 1e-6;

/// Why a list of points is not a polygon. Points count from 1, as an operator counts them.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub(super) enum Fault {
    #[error(
        "{0} points are not a polygon; give at least 3 corners, such as [[0, 0.5], [1, 0.5], [1, 1], [0, 1]]"
    )]
    TooFew(usize),
    #[error("{0} points are more than the {MOST_POINTS} allowed; leave out corners that hardly matter")]
    TooMany(usize),
    #[error(
        "point {point} is [{x}, {y}], outside the frame; points are fractions of the frame's width and height \
         from 0 to 1, so divide pixels by the size"
    )]
    Outside { point: usize, x: f32, y: f32 },
    #[error("point {second} repeats point {first}; leave it out (a polygon closes by itself)")]
    Repeated { first: usize, second: usize },
    #[error(
        "not a polygon: the side from point {first} meets the side from point {second}; list the corners in \
         order, once around the zone"
    )]
    Crossing { first: usize, second: usize },
    #[error("not a polygon: its points lie on a line and enclose nothing; list the corners of an area")]
    Flat,
}

/// Whether `points` (fractions of the frame) are the corners of a simple polygon, listed around it either way.
pub(super) fn check(points: &[[f32; 2]]) -> Result<(), Fault> {
    let n = points.len();
    if n < 3 {
        return Err(Fault::TooFew(n));
    }
    if n > MOST_POINTS {
        return Err(Fault::TooMany(n));
    }
    let inside = |v: f32| (0.0..=1.0).contains(&v);
    if let Some(i) = points.iter().position(|&[x, y]| !inside(x) || !inside(y)) {
        let [x, y] = points[i]; // `position` found it
        return Err(Fault::Outside { point: i + 1, x, y });
    }
    let corners: Vec<[f64; 2]> = points.iter().map(|p| p.map(f64::from)).collect();
    let side = |i: usize| (corners[i], corners[(i + 1) % n]); // i < n wherever it is called
    if let Some(i) = (0..n).find(|&i| side(i).0 == side(i).1) {
        let (first, second) = (i, (i + 1) % n);
        return Err(Fault::Repeated { first: first.min(second) + 1, second: first.max(second) + 1 });
    }
    if (0..n).map(|i| cross([0.0; 2], side(i).0, side(i).1)).sum::<f64>().abs() / 2.0 < LEAST_AREA
        && (2..n).all(|i| cross(corners[0], corners[1], corners[i]).abs() < LEAST_AREA)
    {
        return Err(Fault::Flat);
    }
    for first in 0..n {
        for second in first + 1..n {
            let ((a, b), (c, d)) = (side(first), side(second));
            let adjacent_at = if second == first + 1 {
                Some((b, a, d))
            } else if first == 0 && second == n - 1 {
                Some((a, b, c))
            } else {
                None
            };
            let bad = match adjacent_at {
                // Sides that share a corner may only turn there, not run back over each other.
                Some((corner, p, q)) => {
                    let dot =
                        (p[0] - corner[0]) * (q[0] - corner[0]) + (p[1] - corner[1]) * (q[1] - corner[1]);
                    cross(corner, p, q) == 0.0 && dot > 0.0
                }
                None => meet(a, b, c, d),
            };
            if bad {
                return Err(Fault::Crossing { first: first + 1, second: second + 1 });
            }
        }
    }
    Ok(())
}

/// Twice the signed area of the triangle `o`, `a`, `b`.
fn cross(o: [f64; 2], a: [f64; 2], b: [f64; 2]) -> f64 {
    (a[0] - o[0]) * (b[1] - o[1]) - (a[1] - o[1]) * (b[0] - o[0])
}

/// Whether the segments `ab` and `cd` have a point in common, ends included.
fn meet(a: [f64; 2], b: [f64; 2], c: [f64; 2], d: [f64; 2]) -> bool {
    let within = |o: [f64; 2], p: [f64; 2], q: [f64; 2]| {
        (0..2).all(|axis| q[axis] >= o[axis].min(p[axis]) && q[axis] <= o[axis].max(p[axis]))
    };
    let on = |o, p, q| cross(o, p, q) == 0.0 && within(o, p, q);
    let apart = |o, p, q, r| cross(o, p, q) * cross(o, p, r) < 0.0;
    (apart(a, b, c, d) && apart(c, d, a, b)) || on(a, b, c) || on(a, b, d) || on(c, d, a) || on(c, d, b)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn accepts_squares_and_concave_shapes_either_way_round() {
        let mut l = vec![[0.0, 0.0], [1.0, 0.0], [1.0, 0.4], [0.4, 0.4], [0.4, 1.0], [0.0, 1.0]];
        assert_eq!(check(&l), Ok(()));
        l.reverse();
        assert_eq!(check(&l), Ok(()));
        // A corner in the middle of a straight side is harmless.
        assert_eq!(check(&[[0.0, 0.0], [0.5, 0.0], [1.0, 0.0], [0.5, 1.0]]), Ok(()));
    }

    #[test]
    fn refuses_what_is_not_a_polygon() {
        assert_eq!(check(&[]), Err(Fault::TooFew(0)));
        assert_eq!(check(&[[0.0, 0.0], [1.0, 1.0]]), Err(Fault::TooFew(2)));
        assert_eq!(
            check(&[[0.0, 0.0], [640.0, 0.0], [1.0, 1.0]]),
            Err(Fault::Outside { point: 2, x: 640.0, y: 0.0 })
        );
        assert!(matches!(
            check(&[[0.0, 0.0], [f32::NAN, 0.0], [1.0, 1.0]]),
            Err(Fault::Outside { point: 2, .. })
        ));
        let closed = [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 0.0]];
        assert_eq!(check(&closed), Err(Fault::Repeated { first: 1, second: 4 }));
        let bow_tie = [[0.0, 0.0], [1.0, 1.0], [1.0, 0.0], [0.0, 1.0]];
        assert_eq!(check(&bow_tie), Err(Fault::Crossing { first: 1, second: 3 }));
        let spike = [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [1.0, 0.5]];
        assert_eq!(check(&spike), Err(Fault::Crossing { first: 2, second: 3 }));
        assert_eq!(check(&[[0.0, 0.0], [0.5, 0.5], [1.0, 1.0]]), Err(Fault::Flat));
        assert_eq!(check(&vec![[0.5, 0.5]; 101]), Err(Fault::TooMany(101)));
    }

    proptest! {
        /// Points at increasing angles around a centre always make a simple polygon; exchanging the two ends of
        /// a diagonal that leaves a corner on each side always crosses it.
        #[test]
        fn star_shapes_pass_and_their_knots_do_not(radii in prop::collection::vec(0.2f32..0.5, 4..20)) {
            let n = radii.len();
            let mut points: Vec<[f32; 2]> = radii
                .iter()
                .enumerate()
                .map(|(i, r)| {
                    let angle = i as f32 / n as f32 * std::f32::consts::TAU;
                    [0.5 + r * angle.cos(), 0.5 + r * angle.sin()]
                })
                .collect();
            prop_assert_eq!(check(&points), Ok(()));
            if n == 4 {
                points.swap(1, 2);
                prop_assert!(check(&points).is_err());
            }
        }
    }
}
