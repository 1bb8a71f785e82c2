//! A video of a world: something happens in the scene, then people act.

use super::actions::Action;
use super::random::Random;
use super::space::Space;
use crate::clip::Embeddings;
use crate::detect::Detection;
use crate::frame::Rect;
use crate::lab::features::{Boxes, Clip, Person, Seen};

/// Frames before the action, in which the past can be seen.
const BEFORE: i64 = 6;
/// Frames of the action, in which it cannot.
const DURING: i64 = 10;
/// What a video's persons, objects and scene have of their own, and what a frame adds to it.
const LOOK: f32 = 0.6;
const NOISE: f32 = 0.4;
/// What is to be seen of persons and objects in the whole frame.
const TRACE: f32 = 0.25;
/// The detector's recall of objects.
const FOUND: f32 = 0.9;

/// A video and the tubes of its actors, rows of frame and box.
pub struct Footage {
    pub clip: Clip,
    pub tubes: Vec<Vec<[f64; 5]>>,
}

/// One who is in the video.
struct Actor {
    look: Vec<f32>,
    rect: Rect,
    acts: bool,
}

pub fn film(space: &Space, action: &Action, label: usize, labels: usize, random: &mut Random) -> Footage {
    let width = space.width();
    let [posture, object, scene, past] = action.0;
    let mut clip = Clip::new(width, labels);
    let scene_look = random.direction(width);
    let object_look = random.direction(width);
    let (actors, bystanders) = (1 + random.below(2), random.below(2));
    let mut people: Vec<Actor> = (0..actors + bystanders)
        .map(|index| {
            let (x, y) = (20.0 + 90.0 * index as f32, 60.0 + 10.0 * random.spread());
            let rect = Rect::new(x, y, x + 60.0, y + 120.0);
            Actor { look: random.direction(width), rect, acts: index < actors }
        })
        .collect();
    let clutter = random.below(space.clutter.len());
    let mut tubes = vec![Vec::new(); actors];
    for number in 1..=BEFORE + DURING {
        let during = number > BEFORE;
        for person in &mut people {
            let (dx, dy) = (3.0 * random.spread(), 3.0 * random.spread());
            let Rect { x1, y1, x2, y2 } = person.rect;
            person.rect = Rect::new(x1 + dx, y1 + dy, x2 + dx, y2 + dy);
        }
        let noise = random.direction(width);
        let mut parts = vec![(1.0, space.picture(2, scene)), (LOOK, &scene_look[..]), (NOISE, &noise[..])];
        let mut boxes = Boxes::default();
        let mut seen = Seen::default();
        for rows in [
            &mut seen.truth_features,
            &mut seen.person_features,
            &mut seen.object_features,
            &mut seen.context,
        ] {
            rows.reset(width);
        }
        if during {
            parts.extend([(TRACE, space.picture(0, posture)), (TRACE, space.picture(1, object))]);
        } else {
            parts.push((1.0, space.picture(3, past)));
        }
        push(&mut seen.context, &space.feature(parts));
        // Before the action the actors are not there yet.
        for (index, person) in people.iter().enumerate().filter(|(_, person)| during || !person.acts) {
            let shape = if person.acts { space.picture(0, posture) } else { &space.bystander[..] };
            let mut look = || {
                let noise = random.direction(width);
                space.feature([(1.0, shape), (LOOK, &person.look[..]), (NOISE, &noise[..])])
            };
            let (annotated, found) = (look(), look());
            if person.acts {
                boxes.truth.push((person.rect, vec![label]));
                push(&mut seen.truth_features, &annotated);
                if let Some(tube) = tubes.get_mut(index) {
                    let Rect { x1, y1, x2, y2 } = person.rect;
                    tube.push([number as f64, x1.into(), y1.into(), x2.into(), y2.into()]);
                }
            }
            let rect = shifted(person.rect, 4.0, random);
            let score = if person.acts { 0.8 } else { 0.5 } + 0.15 * random.spread();
            seen.persons.push(Person { rect, score });
            push(&mut seen.person_features, &found);
        }
        if let Some(first) = people.first().filter(|_| during) {
            let things = [
                (space.picture(1, object), 30.0),
                (space.clutter.get(clutter).map_or(&[][..], Vec::as_slice), 50.0),
            ];
            for (class, (thing, down)) in (1u16..).zip(things) {
                if !random.chance(FOUND) {
                    continue;
                }
                let noise = random.direction(width);
                let feature = space.feature([(1.0, thing), (LOOK, &object_look[..]), (NOISE, &noise[..])]);
                let Rect { x1, y1, .. } = first.rect;
                let rect = shifted(Rect::new(x1 + 10.0, y1 + down, x1 + 40.0, y1 + down + 20.0), 4.0, random);
                seen.objects.push(Detection { rect, score: 0.6 + 0.3 * random.spread(), class });
                push(&mut seen.object_features, &feature);
            }
        }
        clip.push(number, &boxes, &seen);
    }
    Footage { clip, tubes }
}

fn push(rows: &mut Embeddings, feature: &[f32]) {
    let pushed = rows.push(feature);
    debug_assert!(pushed, "features of a world have a length");
}

fn shifted(rect: Rect, by: f32, random: &mut Random) -> Rect {
    let (dx, dy) = (by * random.spread(), by * random.spread());
    Rect::new(rect.x1 + dx, rect.y1 + dy, rect.x2 + dx, rect.y2 + dy)
}
