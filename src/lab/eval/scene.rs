//! One video's cached features through the device's scorer, frame by frame.

use anyhow::{Context, ensure};
use candle_core::{Device, Tensor};

use super::combine::{Judged, JudgedPerson};
use super::{Heads, Setting, region};
use crate::clip::Embeddings;
use crate::heads::{Features, Interaction, Method, Reach, Recalled, Scorer, Scores};
use crate::lab::dataset::{Dataset, People, Sampling, Texts, Video, recall};
use crate::lab::tables::Frozen;
use crate::lab::temporal::{About, Temporal};
use crate::vocabulary::Vocabulary;

/// A scorer and its buffers.
pub struct Judge {
    scorer: Scorer,
    /// What makes the frame's feature of the frames around it.
    temporal: Option<Temporal>,
    sampling: Sampling,
    reach: Option<Reach>,
    frame_alone: bool,
    /// The memory of frames to come is left empty.
    blind: bool,
    persons: Embeddings,
    objects: Embeddings,
    scores: Scores,
}

impl Judge {
    /// Loads the heads, which must be made for the features' encoder.
    pub fn open(
        setting: &Setting<'_>,
        heads: Heads<'_>,
        dataset: &Dataset,
        texts: &Texts,
    ) -> anyhow::Result<Self> {
        let (mut temporal, mut around) = (None, None);
        let scorer = match heads {
            Heads::Frozen(Frozen::Baseline) => Scorer::new(Method::Baseline, texts.logit_scale),
            Heads::Frozen(Frozen::Fusion) => Scorer::new(Method::Fusion, texts.logit_scale),
            Heads::Trained(bytes) if Temporal::is(bytes) => {
                let read = Temporal::read(bytes, &Device::Cpu)?;
                let About { embedding, width, reach, tau, .. } = &read.about;
                ensure!(
                    *embedding == dataset.embedding && *width == dataset.width,
                    "it was trained on features of {embedding}, these are of {}",
                    dataset.embedding
                );
                let scorer = Scorer::new(Method::Baseline, tau.recip());
                around = Some(*reach);
                temporal = Some(read);
                scorer
            }
            Heads::Trained(bytes) => {
                let heads = Interaction::read(bytes)?;
                heads.check(&dataset.embedding, dataset.width)?;
                let scale = heads.metadata().tau.recip();
                Scorer::new(Method::Interaction(Box::new(heads)), scale)
            }
        };
        let sampling = Sampling {
            people: People::Found { min_score: setting.min_score },
            most_persons: usize::MAX,
            most_objects: scorer.wants().objects,
            reach: around,
            fps: setting.fps,
        };
        Ok(Self {
            reach: scorer.reach(),
            scorer,
            temporal,
            sampling,
            frame_alone: setting.frame_alone,
            blind: setting.judging.blind,
            persons: Embeddings::new(dataset.width),
            objects: Embeddings::new(dataset.width),
            scores: Scores::default(),
        })
    }

    /// What has been learned to stand before and after a label's name, if anything has.
    pub fn learned_words(&self) -> Option<[&Tensor; 2]> {
        self.temporal.as_ref()?.words()
    }

    /// The persons found in each frame, judged.
    pub fn video(&mut self, video: &Video, vocabulary: &Vocabulary) -> anyhow::Result<Vec<Judged>> {
        let projected = self.project(video)?;
        (0..video.frames.len()).map(|row| self.frame(video, row, &projected, vocabulary)).collect()
    }

    /// Every frame's context as the memory remembers it.
    fn project(&mut self, video: &Video) -> anyhow::Result<Vec<Vec<f32>>> {
        let mut projected = Vec::new();
        if self.reach.is_some() {
            let mut features = video.features()?;
            for row in 0..video.frames.len() {
                let (mut context, mut out) = (Vec::new(), Vec::new());
                features.context(row, &mut context)?;
                self.scorer.project(&context, &mut out);
                projected.push(out);
            }
        }
        Ok(projected)
    }

    fn frame(
        &mut self,
        video: &Video,
        row: usize,
        projected: &[Vec<f32>],
        vocabulary: &Vocabulary,
    ) -> anyhow::Result<Judged> {
        let mut sample = video.sample(row, &self.sampling)?;
        let width = sample.context.len();
        if let Some(temporal) = &self.temporal {
            if self.blind {
                let seen = sample.slots.partition_point(|slot| *slot < temporal.about.reach.before);
                sample.slots.truncate(seen);
                sample.memory.truncate(seen * width);
            }
            let pooled =
                temporal.pool(std::slice::from_ref(&sample), &Device::Cpu, &mut |x| Ok(x.clone()))?;
            sample.context = pooled.flatten_all()?.to_vec1()?;
        }
        let slots =
            self.reach.map_or_else(Vec::new, |reach| recall(&video.frames, row, &reach, self.sampling.fps));
        let seen = |slot: usize| !self.blind || self.reach.is_none_or(|reach| slot < reach.before);
        let memory: Vec<Recalled<'_>> = slots
            .into_iter()
            .filter(|(slot, _)| seen(*slot))
            .filter_map(|(slot, row)| Some(Recalled { slot, projected: projected.get(row)? }))
            .collect();
        self.persons.clear();
        self.objects.clear();
        for person in sample.persons.chunks_exact(width) {
            let feature = if self.frame_alone { &sample.context } else { person };
            ensure!(self.persons.push(feature), "frame {}: the feature of a person is zero", sample.frame);
        }
        for object in sample.objects.chunks_exact(width) {
            ensure!(self.objects.push(object), "frame {}: the feature of an object is zero", sample.frame);
        }
        let features = Features {
            count: sample.boxes.len(),
            persons: &self.persons,
            objects: &self.objects,
            context: Some(&sample.context),
            memory: &memory,
        };
        self.scorer.score(&features, vocabulary, &mut self.scores, None);
        let mut persons = Vec::new();
        for ((rect, score), probabilities) in sample.boxes.iter().zip(&sample.scores).zip(self.scores.rows())
        {
            let region = region(rect).with_context(|| format!("frame {}", sample.frame))?;
            persons.push(JudgedPerson {
                region,
                score: f64::from(*score),
                probabilities: probabilities.to_vec(),
            });
        }
        Ok(Judged { frame: sample.frame, persons })
    }
}
