//! The one conversion: a crop of any picture → a network's input, resized, coloured and normalised in one pass.
//!
//! Resizing and the step from YUV to RGB are both linear, so each plane is resized in its own resolution, straight to
//! the tensor's, and only the small result is coloured. (Chroma samples are taken as centred between their lumas; the
//! quarter sample by which some encoders site them to the left is not corrected.) Output rows are made in blocks of
//! [`LANES`]: down first, on contiguous bytes in 16-bit fixed point; then across, with the block's rows side by side,
//! so that one weight multiplies a vector. Both loops are plain ones, for the compiler to vectorise: see [`Blocks`].

use rten_simd::{Isa, SimdOp};

use super::picture::Matrix;
use super::taps::{Axis, Taps};
use super::{Filter, Fit, Picture, PixelFormat, Placement, Rect};

/// What a network reads: `3 × height × width` f32, planar.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Layout {
    /// Pixels.
    pub width: usize,
    /// Pixels.
    pub height: usize,
    /// Subtracted from a value in 0..=255, by tensor plane.
    pub mean: [f32; 3],
    /// Divides what is left, by tensor plane.
    pub std: [f32; 3],
    /// The planes are B, G, R instead of R, G, B.
    pub bgr: bool,
    pub filter: Filter,
    /// The value of padding before it is normalised, 0..=255.
    pub fill: f32,
}

impl Layout {
    /// Elements of a tensor.
    pub fn len(&self) -> usize {
        3 * self.width * self.height
    }

    /// Whether a tensor has no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Rows of a block.
const LANES: usize = 8;
/// The down pass yields values in units of 1/32.
const SUBUNITS: f32 = 32.0;

/// The same column of the rows of a block.
type Lanes = [f32; LANES];

/// Converts pictures to one layout. Keeps its scratch: a conversion allocates only if it is larger than those before.
#[derive(Debug)]
pub struct Converter {
    layout: Layout,
    /// At full resolution and at half, across and down.
    across: [Taps; 2],
    down: [Taps; 2],
    /// A block after the down pass: rows of interleaved samples.
    rows: Vec<u16>,
    /// The same block, turned.
    columns: Vec<Lanes>,
    /// The block after the across pass, by channel: YUV, then RGB, then normalised.
    channels: [Vec<Lanes>; 3],
}

/// The blocks of a conversion. As an operation of `rten-simd` its loops, which are plain ones, are compiled once for each
/// width of vectors, and the widest that the processor has is taken.
struct Blocks<'a> {
    converter: &'a mut Converter,
    picture: &'a Picture,
    out: &'a mut [f32],
    columns: usize,
    rows: usize,
    left: usize,
    top: usize,
}

impl SimdOp for Blocks<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<I: Isa>(self, _: I) {
        let Self { converter, picture, out, columns, rows, left, top } = self;
        for first in (0..rows).step_by(LANES) {
            converter.block(picture, [first, LANES.min(rows - first)], columns, [left, top], out);
        }
    }
}

impl Converter {
    /// A converter to `layout`.
    pub fn new(layout: Layout) -> Self {
        let channels = std::array::from_fn(|_| vec![[0.0; LANES]; layout.width]);
        Self {
            layout,
            across: Default::default(),
            down: Default::default(),
            rows: Vec::new(),
            columns: Vec::new(),
            channels,
        }
    }

    /// What it converts to.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Writes `crop` of `picture` to `out` (3 × height × width) and says where it went. `crop` is in pixels of the
    /// picture and may have fractional edges; what sticks out of the picture is cut off. The filter reads beyond the
    /// crop's edge where the picture goes on. An empty crop, or a picture that fails [`Picture::check`], gives padding
    /// alone.
    ///
    /// # Panics
    /// If `out` is not [`Layout::len`] long.
    pub fn convert(&mut self, picture: &Picture, crop: Rect, fit: Fit, out: &mut [f32]) -> Placement {
        let Layout { width, height, filter, .. } = self.layout;
        assert_eq!(out.len(), self.layout.len(), "the tensor's length");
        let crop = crop.clamped(picture.width as f32, picture.height as f32);
        let mut placement = Placement::new(crop, fit, width, height);
        if picture.check().is_err() {
            placement = Placement::new(Rect::default(), fit, width, height);
        }
        self.pad(&placement, out);
        let Placement { source, target } = placement;
        if target.area() <= 0.0 {
            return placement;
        }
        // The target's edges are whole numbers inside the tensor.
        let (columns, rows) = (target.width() as usize, target.height() as usize);
        let (left, top) = (target.x1 as usize, target.y1 as usize);

        let (half_width, half_height) = picture
            .format
            .shapes()
            .last()
            .map_or((false, false), |chroma| (chroma.half_width, chroma.half_height));
        for half in [false, true] {
            let axis = |input: usize, from: f32, to: f32, output: usize, half: bool| match half {
                true => Axis { filter, input: input.div_ceil(2), from: from / 2.0, to: to / 2.0, output },
                false => Axis { filter, input, from, to, output },
            };
            let index = usize::from(half);
            if !half || half_width {
                self.across[index].prepare(axis(picture.width, source.x1, source.x2, columns, half));
            }
            if !half || half_height {
                self.down[index].prepare(axis(picture.height, source.y1, source.y2, rows, half));
            }
        }
        Blocks { converter: self, picture, out, columns, rows, left, top }.dispatch();
        placement
    }

    /// Makes the `count` output rows from `first` on, of so many `columns`, and puts them at `left` and `top` of the tensor.
    #[inline(always)]
    fn block(
        &mut self,
        picture: &Picture,
        [first, count]: [usize; 2],
        columns: usize,
        [left, top]: [usize; 2],
        out: &mut [f32],
    ) {
        let mut channel = 0;
        for (plane, shape) in picture.format.shapes().iter().enumerate() {
            self.block_down(picture, plane, first, count);
            let across = &self.across[usize::from(shape.half_width)];
            let channels = &mut self.channels[channel..];
            match shape.channels {
                1 => block_across::<1>(across, &self.columns, channels),
                2 => block_across::<2>(across, &self.columns, channels),
                _ => block_across::<3>(across, &self.columns, channels),
            }
            channel += shape.channels;
        }
        self.colour(picture, columns);
        self.store(out, left, top + first, columns, count);
    }

    /// Fills what `placement` leaves free.
    fn pad(&self, placement: &Placement, out: &mut [f32]) {
        let Layout { width, height, mean, std, fill, .. } = self.layout;
        let Rect { x1, y1, x2, y2 } = placement.target;
        let (x1, y1, x2, y2) = (x1 as usize, y1 as usize, x2 as usize, y2 as usize);
        if width == 0 || height == 0 {
            return;
        }
        for (plane, (mean, std)) in out.chunks_exact_mut(width * height).zip(mean.into_iter().zip(std)) {
            let value = (fill - mean) / std;
            plane[..y1 * width].fill(value);
            plane[y2 * width..].fill(value);
            for row in plane[y1 * width..y2 * width].chunks_exact_mut(width) {
                row[..x1].fill(value);
                row[x2..].fill(value);
            }
        }
    }

    /// Makes `count` output rows of a plane, at the input's columns, and turns them so that a column's rows lie together.
    #[inline(always)]
    fn block_down(&mut self, picture: &Picture, plane: usize, first: usize, count: usize) {
        let shape = picture.format.shapes()[plane];
        let down = &self.down[usize::from(shape.half_height)];
        let (from, to) = self.across[usize::from(shape.half_width)].range();
        let (from, to) = (from * shape.channels, to * shape.channels);
        let length = to - from;
        // Grow only: what a smaller block leaves behind is not read.
        self.rows.resize(self.rows.len().max(length * LANES), 0);
        for (lane, row) in self.rows.chunks_exact_mut(length).take(count).enumerate() {
            let (top, weights) = down.fixed(first + lane);
            if let [_] = weights {
                let source = picture.row(plane, top, from, to);
                row.iter_mut().zip(source).for_each(|(sum, &sample)| *sum = u16::from(sample) << 5);
                continue;
            }
            // Each product is rounded down by half a unit in the mean.
            row.fill(weights.len() as u16 / 2);
            for (y, &weight) in (top..).zip(weights) {
                accumulate(row, picture.row(plane, y, from, to), weight);
            }
        }
        self.columns.resize(length, [0.0; LANES]);
        let rows = &self.rows[..length * LANES];
        for (x, column) in self.columns.iter_mut().enumerate() {
            for (lane, value) in column.iter_mut().enumerate() {
                *value = f32::from(rows[lane * length + x] as i16);
            }
        }
    }

    /// Turns the block's first `columns` columns into the tensor's planes.
    #[inline(always)]
    fn colour(&mut self, picture: &Picture, columns: usize) {
        let [first, second, third] = &mut self.channels;
        let (first, second, third) =
            (first[..columns].as_flattened_mut(), &mut second[..columns], &mut third[..columns]);
        let (second, third) = (second.as_flattened_mut(), third.as_flattened_mut());
        match picture.format {
            PixelFormat::Rgb24 => {}
            PixelFormat::Bgr24 => first.swap_with_slice(third),
            PixelFormat::Grey => {
                second.copy_from_slice(first);
                third.copy_from_slice(first);
            }
            format => {
                if format == PixelFormat::Nv21 {
                    second.swap_with_slice(third);
                }
                let m = Matrix::of(picture.colour);
                for ((a, b), c) in first.iter_mut().zip(second.iter_mut()).zip(third.iter_mut()) {
                    let (y, u, v) =
                        ((*a - m.black * SUBUNITS) * m.luma, *b - 128.0 * SUBUNITS, *c - 128.0 * SUBUNITS);
                    *a = y + v * m.red_v;
                    *b = y + u * m.green_u + v * m.green_v;
                    *c = y + u * m.blue_u;
                }
            }
        }
        if self.layout.bgr {
            first.swap_with_slice(third);
        }
        let scales = self.layout.mean.into_iter().zip(self.layout.std);
        for (channel, (mean, std)) in [first, second, third].into_iter().zip(scales) {
            let (factor, offset) = (1.0 / (SUBUNITS * std), -mean / std);
            channel.iter_mut().for_each(|v| *v = v.clamp(0.0, 255.0 * SUBUNITS) * factor + offset);
        }
    }

    /// Copies `count` rows of the block to the tensor.
    #[inline(always)]
    fn store(&self, out: &mut [f32], left: usize, top: usize, columns: usize, count: usize) {
        let Layout { width, height, .. } = self.layout;
        for (plane, channel) in out.chunks_exact_mut(width * height).zip(&self.channels) {
            for lane in 0..count {
                let row = &mut plane[(top + lane) * width + left..][..columns];
                row.iter_mut().zip(channel).for_each(|(value, lanes)| *value = lanes[lane]);
            }
        }
    }
}

/// Adds a weighted row of bytes. A sum may wrap on the way; the filter's result fits an `i16`.
///
/// The weight comes as a whole number of subunits and a fraction of 8 bits, so that 16-bit low multiplies do: those
/// every vector unit has and the compiler uses, which cannot be said of the one that keeps the high half.
#[inline(always)]
fn accumulate(sums: &mut [u16], row: &[u8], weight: i16) {
    let (whole, fraction) = ((weight >> 8) as u16, weight as u16 & 0xff);
    for (sum, &sample) in sums.iter_mut().zip(row) {
        let sample = u16::from(sample);
        *sum = sum.wrapping_add(sample.wrapping_mul(whole)).wrapping_add((sample * fraction) >> 8);
    }
}

/// Weighs the columns of a block whose samples interleave `C` channels; writes them apart.
#[inline(always)]
fn block_across<const C: usize>(taps: &Taps, columns: &[Lanes], channels: &mut [Vec<Lanes>]) {
    let (pixels, _) = columns.as_chunks::<C>();
    let (left, _) = taps.range();
    for (x, (first, weights)) in taps.weights().enumerate() {
        let mut sums = [[0.0; LANES]; C];
        for (pixel, &weight) in pixels[first - left..].iter().zip(weights) {
            for (sums, lanes) in sums.iter_mut().zip(pixel) {
                for (sum, value) in sums.iter_mut().zip(lanes) {
                    *sum += value * weight;
                }
            }
        }
        for (channel, sums) in channels.iter_mut().zip(sums) {
            channel[x] = sums;
        }
    }
}
