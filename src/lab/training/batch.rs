//! Frames side by side: samples as tensors of one shape, with what is not there masked or counted as pads.

use candle_core::{Device, Result, Tensor};

use crate::heads::{Metadata, Pads};
use crate::lab::dataset::Sample;

/// Takes a key out of a softmax, and leaves its gradient a number.
const MASKED: f32 = -1e9;

/// Some frames, B of them, of N persons at most.
pub struct Batch {
    /// `[B, N, D]`
    pub persons: Tensor,
    pub person: Keys,
    pub object: Keys,
    pub context: Keys,
    pub memory: Keys,
    /// Which of the B · N persons there are, `[P]`.
    pub there: Tensor,
}

/// What a unit attends to, but for its pads: those are one key more, or in a memory one more for each slot.
pub struct Keys {
    /// `[B, K, D]`; of persons empty, because those change from unit to unit.
    pub features: Tensor,
    /// On the logits of features and then pads, `[B, 1, K + pads]`: 0, or the log of the number of pads, or [`MASKED`].
    pub mask: Tensor,
    /// 1 where there is anything to attend to, or else 0, `[B, 1, 1]`.
    pub applies: Tensor,
}

impl Batch {
    pub fn new(samples: &[Sample], width: usize, metadata: &Metadata, device: &Device) -> Result<Self> {
        let Pads { person, object, context, memory } = metadata.pads;
        let most = samples.iter().map(|sample| sample.boxes.len()).max().unwrap_or(0).max(1);
        let persons = samples.iter().enumerate().flat_map(|(frame, sample)| {
            (0..sample.boxes.len()).map(move |person| (frame * most + person) as u32)
        });
        let there: Vec<u32> = persons.collect();
        let rows = |of: fn(&Sample) -> &[f32], pads| {
            let counts: Vec<usize> = samples.iter().map(|sample| of(sample).len() / width).collect();
            let most = counts.iter().copied().max().unwrap_or(0).max(1);
            let features = padded(samples.iter().map(of), most, width, device)?;
            Keys::counted(features, &counts, most, pads, device)
        };
        let persons = padded(samples.iter().map(|sample| &sample.persons[..]), most, width, device)?;
        Ok(Self {
            person: rows(|sample| &sample.persons, person)?,
            object: rows(|sample| &sample.objects, object)?,
            context: rows(|sample| &sample.context, context)?,
            memory: Keys::slotted(samples, width, metadata.slots().max(1), memory, device)?,
            there: Tensor::new(there, device)?,
            persons,
        })
    }
}

impl Keys {
    fn counted(
        features: Tensor,
        counts: &[usize],
        most: usize,
        pads: usize,
        device: &Device,
    ) -> Result<Self> {
        let mut mask = Vec::with_capacity(counts.len() * (most + 1));
        for count in counts {
            mask.extend((0..most).map(|key| if key < *count { 0.0 } else { MASKED }));
            mask.push(log_pads(pads.saturating_sub(*count)));
        }
        let applies: Vec<f32> = counts.iter().map(|count| f32::from(u8::from(*count > 0))).collect();
        let frames = counts.len();
        Ok(Self {
            features,
            mask: Tensor::from_vec(mask, (frames, 1, most + 1), device)?,
            applies: Tensor::from_vec(applies, (frames, 1, 1), device)?,
        })
    }

    /// A key for each slot, there or not, and one for the pads of each slot.
    fn slotted(samples: &[Sample], width: usize, slots: usize, pads: usize, device: &Device) -> Result<Self> {
        let mut features = vec![0f32; samples.len() * slots * width];
        let (mut mask, mut applies) = (Vec::new(), Vec::new());
        for (sample, features) in samples.iter().zip(features.chunks_exact_mut(slots * width)) {
            for (slot, row) in sample.slots.iter().zip(sample.memory.chunks_exact(width)) {
                if let Some(place) = features.get_mut(slot * width..(slot + 1) * width) {
                    place.copy_from_slice(row);
                }
            }
            let filled = |slot: usize| sample.slots.contains(&slot);
            mask.extend((0..slots).map(|slot| if filled(slot) { 0.0 } else { MASKED }));
            mask.extend((0..slots).map(|slot| log_pads(pads.saturating_sub(usize::from(filled(slot))))));
            applies.push(if pads > 0 || !sample.slots.is_empty() { 1f32 } else { 0.0 });
        }
        let frames = samples.len();
        Ok(Self {
            features: Tensor::from_vec(features, (frames, slots, width), device)?,
            mask: Tensor::from_vec(mask, (frames, 1, 2 * slots), device)?,
            applies: Tensor::from_vec(applies, (frames, 1, 1), device)?,
        })
    }
}

fn log_pads(pads: usize) -> f32 {
    if pads > 0 { (pads as f32).ln() } else { MASKED }
}

/// `[B, most, width]`, with zeros behind what there is.
fn padded<'a>(
    rows: impl ExactSizeIterator<Item = &'a [f32]>,
    most: usize,
    width: usize,
    device: &Device,
) -> Result<Tensor> {
    let frames = rows.len();
    let mut all = Vec::with_capacity(frames * most * width);
    for (index, rows) in rows.enumerate() {
        all.extend_from_slice(rows);
        all.resize((index + 1) * most * width, 0.0);
    }
    Tensor::from_vec(all, (frames, most, width), device)
}
