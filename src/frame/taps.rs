//! Which input samples make an output sample, and with what weights.
//!
//! The filters and their supports are those of Pillow's `Image.resize` (`src/libImaging/Resample.c`): when shrinking,
//! the filter is widened by the scale, so that no input is passed over; near an edge it is cut off and what is left
//! is normalised.

/// How pixels are weighted when a picture is resized. Both antialias when shrinking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Filter {
    /// A triangle.
    Bilinear,
    /// Keys' cubic with a = −0.5, as Pillow and therefore CLIP's preprocessing have it.
    Bicubic,
}

impl Filter {
    /// Half the filter's width in samples at scale 1.
    fn support(self) -> f32 {
        match self {
            Self::Bilinear => 1.0,
            Self::Bicubic => 2.0,
        }
    }

    fn weight(self, x: f32) -> f32 {
        let x = x.abs();
        match self {
            Self::Bilinear => (1.0 - x).max(0.0),
            Self::Bicubic if x < 1.0 => (1.5 * x - 2.5) * x * x + 1.0,
            Self::Bicubic if x < 2.0 => ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0,
            Self::Bicubic => 0.0,
        }
    }
}

/// The unit of fixed-point weights. (Beside an edge, a normalised bicubic weight exceeds 1.)
pub(super) const UNIT: i32 = 1 << 13;

/// One axis to be resampled: `output` samples spread over `from..to` of `input` samples.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Axis {
    pub filter: Filter,
    pub input: usize,
    pub from: f32,
    pub to: f32,
    pub output: usize,
}

/// The weights of every output sample of one axis. Kept from call to call, and computed only when the axis differs.
#[derive(Debug, Default)]
pub(super) struct Taps {
    axis: Option<Axis>,
    /// First input sample, where the weights begin, and how many.
    spans: Vec<(usize, usize, usize)>,
    weights: Vec<f32>,
    fixed: Vec<i16>,
}

impl Taps {
    /// Computes the weights. `from..to` lies in `0..=input` and is not empty.
    pub fn prepare(&mut self, axis: Axis) {
        if self.axis == Some(axis) {
            return;
        }
        self.axis = Some(axis);
        let Axis { filter, input, from, to, output } = axis;
        let scale = (to - from) / output as f32;
        let widened = scale.max(1.0);
        let support = filter.support() * widened;
        self.spans.clear();
        self.weights.clear();
        self.fixed.clear();
        for index in 0..output {
            let centre = from + (index as f32 + 0.5) * scale;
            // A float's cast to an integer saturates, so that a window beyond the edge starts at 0.
            let first = ((centre - support + 0.5) as usize).min(input - 1);
            let end = ((centre + support + 0.5) as usize).clamp(first + 1, input);
            let start = self.weights.len();
            self.weights.extend((first..end).map(|x| filter.weight((x as f32 + 0.5 - centre) / widened)));
            self.finish(first, start);
        }
    }

    /// Normalises the weights from `start` on, drops zeros at either end, and rounds them to fixed point.
    fn finish(&mut self, first: usize, start: usize) {
        let tail = &mut self.weights[start..];
        let sum: f32 = tail.iter().sum();
        tail.iter_mut().for_each(|w| *w /= sum);
        let zeros = tail.iter().take_while(|w| **w == 0.0).count().min(tail.len() - 1);
        tail.rotate_left(zeros);
        let kept = tail[..tail.len() - zeros].iter().rposition(|w| *w != 0.0).map_or(1, |last| last + 1);
        self.weights.truncate(start + kept);

        let mut rest = UNIT;
        let (mut largest, mut most) = (start, f32::MIN);
        for (index, &weight) in self.weights[start..].iter().enumerate() {
            let rounded = (weight * UNIT as f32).round() as i16;
            rest -= i32::from(rounded);
            self.fixed.push(rounded);
            if weight > most {
                (largest, most) = (start + index, weight);
            }
        }
        // What rounding lost goes to the largest weight, so that a constant stays what it is.
        self.fixed[largest] += rest as i16;
        self.spans.push((first + zeros, start, kept));
    }

    /// The first input sample of output `index`, and its weights.
    pub fn weights(&self) -> impl Iterator<Item = (usize, &[f32])> {
        self.spans.iter().map(|&(first, start, count)| (first, &self.weights[start..start + count]))
    }

    /// The first input sample of output `index`, and its weights in units of 1/[`UNIT`]; they sum to 1.
    pub fn fixed(&self, index: usize) -> (usize, &[i16]) {
        let (first, start, count) = self.spans[index];
        (first, &self.fixed[start..start + count])
    }

    /// The input samples that any output takes: from the first to the one after the last.
    pub fn range(&self) -> (usize, usize) {
        let first = self.spans.iter().map(|&(first, ..)| first).min().unwrap_or(0);
        let end = self.spans.iter().map(|&(first, _, count)| first + count).max().unwrap_or(0);
        (first, end)
    }
}
