//! From a picture as the engines exchange it (f32, planes) to what an NPU's input buffer holds.

use half::f16;

use super::sys::{AFFINE, FLOAT16, INT8, NHWC, TensorAttr};

/// The layout of an input buffer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Layout {
    pub channels: usize,
    pub height: usize,
    pub width: usize,
    /// Pixels from one row to the next.
    pub stride: usize,
    pub element: Element,
}

/// What one value becomes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Element {
    Half,
    /// `round(x / scale) + zero`, as an 8-bit integer.
    Int8 {
        scale: f32,
        zero: i32,
    },
}

impl Layout {
    /// If the NPU's own layout is one that can be written here: pixels with their channels together (NHWC), fp16 or int8.
    pub fn of(native: &TensorAttr) -> Option<Self> {
        let element = match native.kind {
            FLOAT16 => Element::Half,
            INT8 if native.qnt_type == AFFINE && native.scale > 0.0 => {
                Element::Int8 { scale: native.scale, zero: native.zp }
            }
            _ => return None,
        };
        let [1, height, width, channels, ..] = native.dims.map(|size| size as usize) else { return None };
        if native.n_dims != 4 || native.fmt != NHWC {
            return None;
        }
        let stride = (native.w_stride as usize).max(width);
        let layout = Self { channels, height, width, stride, element };
        // A buffer that is no larger than what the model says of itself can be.
        (layout.bytes() <= native.size_with_stride.max(native.size) as usize).then_some(layout)
    }

    /// Bytes of the buffer.
    pub fn bytes(&self) -> usize {
        let element = match self.element {
            Element::Half => 2,
            Element::Int8 { .. } => 1,
        };
        self.height * self.stride * self.channels * element
    }

    /// Writes `[channels, height, width]` values into a buffer of at least [`Layout::bytes`].
    pub fn write(&self, planes: &[f32], buffer: &mut [u8]) {
        match self.element {
            Element::Half => self.spread(planes, buffer, |value| f16::from_f32(value).to_ne_bytes()),
            Element::Int8 { scale, zero } => self.spread(planes, buffer, |value| {
                // A float beyond the range becomes the end of it.
                let integer = ((value / scale).round() as i32).saturating_add(zero).clamp(-128, 127);
                [(integer as i8).cast_unsigned()]
            }),
        }
    }

    fn spread<const N: usize>(&self, planes: &[f32], buffer: &mut [u8], convert: impl Fn(f32) -> [u8; N]) {
        let pixel = self.channels * N;
        let plane = self.height * self.width;
        let rows = buffer.chunks_exact_mut(self.stride * pixel).take(self.height);
        for (y, row) in rows.enumerate() {
            for (x, pixel) in row.chunks_exact_mut(pixel).take(self.width).enumerate() {
                for (channel, value) in pixel.chunks_exact_mut(N).enumerate() {
                    let value_at = planes.get(channel * plane + y * self.width + x);
                    value.copy_from_slice(&convert(value_at.copied().unwrap_or_default()));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn native(kind: i32, dims: [u32; 4], w_stride: u32) -> TensorAttr {
        let mut attr =
            TensorAttr { n_dims: 4, fmt: NHWC, kind, w_stride, size: 1000, ..TensorAttr::default() };
        attr.dims[..4].copy_from_slice(&dims);
        attr
    }

    #[test]
    fn planes_become_pixels_with_their_stride() {
        let layout = Layout::of(&native(FLOAT16, [1, 2, 3, 2], 4)).unwrap();
        assert_eq!((layout.channels, layout.height, layout.width, layout.stride), (2, 2, 3, 4));
        let planes: Vec<f32> = (0..12).map(|i| i as f32).collect();
        let mut buffer = vec![0xFF; layout.bytes()];
        layout.write(&planes, &mut buffer);
        let halves: Vec<f32> = buffer.chunks(2).map(|b| f16::from_ne_bytes([b[0], b[1]]).to_f32()).collect();
        assert_eq!(halves[..6], [0.0, 6.0, 1.0, 7.0, 2.0, 8.0]);
        assert!(halves[6].is_nan() && halves[7].is_nan(), "what lies between the rows is left alone");
        assert_eq!(halves[8..14], [3.0, 9.0, 4.0, 10.0, 5.0, 11.0]);
    }

    #[test]
    fn int8_rounds_and_stays_in_range() {
        let mut attr = native(INT8, [1, 1, 4, 1], 0);
        assert_eq!(Layout::of(&attr), None, "without a scale nothing can be written");
        (attr.qnt_type, attr.scale, attr.zp) = (AFFINE, 0.5, -3);
        let layout = Layout::of(&attr).unwrap();
        let mut buffer = [0; 4];
        layout.write(&[0.0, 1.3, -1000.0, f32::INFINITY], &mut buffer);
        assert_eq!(buffer.map(u8::cast_signed), [-3, 0, -128, 127]);
    }

    #[test]
    fn other_layouts_are_the_runtimes_to_make() {
        assert_eq!(Layout::of(&native(0, [1, 2, 3, 2], 0)), None, "f32");
        assert_eq!(Layout::of(&TensorAttr { fmt: 0, ..native(FLOAT16, [1, 2, 3, 2], 0) }), None);
        assert_eq!(Layout::of(&TensorAttr { n_dims: 3, ..native(FLOAT16, [1, 2, 3, 2], 0) }), None);
        assert_eq!(Layout::of(&TensorAttr { size: 3, ..native(FLOAT16, [1, 2, 3, 2], 0) }), None);
    }
}
