//! The embedding space of a world, with what CLIP's is known for: a gap between pictures and texts, and a picture of a
//! thing that has little in common with its word.

use super::actions::{Action, FACTORS};
use super::random::Random;

/// Length of a feature, as of CLIP's.
const LENGTH: f32 = 10.0;
/// Share of the gap's direction.
const GAP: f32 = 0.8;
/// Cosine of a thing's picture with its word, before anything else is in the picture.
const AFFINITY: f32 = 0.3;
/// What is a label's own, beside its factors.
const IDIOM: f32 = 0.2;
/// Things besides the factors' that may be in a picture.
pub const CLUTTER: usize = 4;

pub struct Space {
    width: usize,
    gap_text: Vec<f32>,
    gap_picture: Vec<f32>,
    /// By factor and value.
    words: Vec<Vec<Vec<f32>>>,
    pictures: Vec<Vec<Vec<f32>>>,
    /// A posture that belongs to no action.
    pub bystander: Vec<f32>,
    /// Objects that belong to no action.
    pub clutter: Vec<Vec<f32>>,
}

impl Space {
    pub fn new(width: usize, random: &mut Random) -> Self {
        let words: Vec<Vec<Vec<f32>>> =
            FACTORS.iter().map(|values| values.iter().map(|_| random.direction(width)).collect()).collect();
        let mut picture = |word: &Vec<f32>| {
            let own = random.direction(width);
            let rest = (1.0 - AFFINITY * AFFINITY).sqrt();
            word.iter().zip(own).map(|(word, own)| AFFINITY * word + rest * own).collect()
        };
        let pictures = words.iter().map(|values| values.iter().map(&mut picture).collect()).collect();
        Self {
            width,
            gap_text: random.direction(width),
            gap_picture: random.direction(width),
            words,
            pictures,
            bystander: random.direction(width),
            clutter: (0..CLUTTER).map(|_| random.direction(width)).collect(),
        }
    }

    /// A label's embedding: its factors' words in equal shares.
    pub fn label(&self, action: &Action, random: &mut Random) -> Vec<f32> {
        let idiom = random.direction(self.width);
        let words = action.0.iter().zip(&self.words).filter_map(|(value, words)| words.get(*value));
        let parts =
            words.map(|word| (0.5, &word[..])).chain([(GAP, &self.gap_text[..]), (IDIOM, &idiom[..])]);
        scaled(self.width, parts)
    }

    /// What the picture of a value of a factor is like.
    pub fn picture(&self, factor: usize, value: usize) -> &[f32] {
        self.pictures.get(factor).and_then(|values| values.get(value)).map_or(&[], Vec::as_slice)
    }

    /// A feature of a picture in which there are `parts`, each with its share.
    pub fn feature<'a>(&'a self, parts: impl IntoIterator<Item = (f32, &'a [f32])>) -> Vec<f32> {
        scaled(self.width, parts.into_iter().chain([(GAP, &self.gap_picture[..])]))
    }

    pub fn width(&self) -> usize {
        self.width
    }
}

fn scaled<'a>(width: usize, parts: impl IntoIterator<Item = (f32, &'a [f32])>) -> Vec<f32> {
    let mut sum = vec![0.0; width];
    for (share, part) in parts {
        sum.iter_mut().zip(part).for_each(|(sum, x)| *sum += share * x);
    }
    let length = crate::clip::norm(&sum);
    sum.iter_mut().for_each(|x| *x *= LENGTH / length);
    sum
}
