//! From a frame to the features of all that is in it.

use crate::clip::{Embeddings, Sight};
use crate::config::Crop;
use crate::detect::{Detection, Detector};
use crate::frame::{Picture, Rect};

/// A person whom the detector or a file found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Person {
    pub rect: Rect,
    pub score: f32,
}

/// What is known of a frame before anything looks at it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Boxes {
    /// People annotated, with the labels of each.
    pub truth: Vec<(Rect, Vec<usize>)>,
    /// Persons of a file of detections; absent where the pack's detector is to find them.
    pub persons: Option<Vec<Person>>,
}

/// The networks, and what is kept of what they find.
pub struct Extractor {
    pub detector: Detector,
    pub sight: Sight,
    pub crop: Crop,
    /// Share of a person's width and height by which the box is enlarged on every side before it is looked at.
    pub enlarge: f32,
    /// Persons are kept above this score.
    pub min_score: f32,
    /// Objects kept in a frame, of those that overlap a person; the best ones.
    pub most_objects: usize,
    pub detections: Vec<Detection>,
    pub seen: Seen,
}

/// A frame's features, rows in the order of its boxes.
#[derive(Debug, Default)]
pub struct Seen {
    pub persons: Vec<Person>,
    pub objects: Vec<Detection>,
    pub truth_features: Embeddings,
    pub person_features: Embeddings,
    pub object_features: Embeddings,
    pub context: Embeddings,
}

impl Extractor {
    /// Looks at a frame; the result is in `seen`.
    pub fn look(&mut self, picture: &Picture, boxes: &Boxes) -> anyhow::Result<()> {
        let person = self.detector.person();
        let (width, height) = (picture.width as f32, picture.height as f32);
        self.detector.prepare(picture);
        self.detector.detect(&mut self.detections)?;
        let seen = &mut self.seen;
        seen.persons.clear();
        match &boxes.persons {
            Some(persons) => {
                let inside =
                    persons.iter().map(|one| Person { rect: one.rect.clamped(width, height), ..*one });
                seen.persons.extend(inside);
            }
            None => {
                let found = self.detections.iter().filter(|found| found.class == person);
                seen.persons.extend(found.map(|found| Person { rect: found.rect, score: found.score }));
            }
        }
        seen.persons.retain(|one| one.score > self.min_score && one.rect.area() > 0.0);
        let truth = boxes.truth.iter().map(|(rect, _)| rect.clamped(width, height));
        let people: Vec<Rect> = truth.chain(seen.persons.iter().map(|one| one.rect)).collect();
        let near = |found: &&Detection| {
            found.class != person && people.iter().any(|one| one.intersection(&found.rect).area() > 0.0)
        };
        seen.objects.clear();
        // Best first, as the detector gives them.
        seen.objects.extend(self.detections.iter().filter(near).take(self.most_objects));

        let people = people.iter().map(|one| one.enlarged(self.enlarge).clamped(width, height));
        let rects = people.chain(seen.objects.iter().map(|o| o.rect));
        self.sight.prepare(picture, self.crop, rects.chain([Rect::new(0.0, 0.0, width, height)]));
        self.sight.encode(&mut [
            (boxes.truth.len(), &mut seen.truth_features),
            (seen.persons.len(), &mut seen.person_features),
            (seen.objects.len(), &mut seen.object_features),
            (1, &mut seen.context),
        ])?;
        Ok(())
    }
}
