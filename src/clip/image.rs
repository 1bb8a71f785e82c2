//! The image tower: crops of pictures to embeddings, many crops in one run.

use super::{ClipError, Embeddings, ports};
use crate::config::Crop;
use crate::engine::{Element, Engine, Input, Options, Session, Tensor};
use crate::frame::{Converter, Filter, Fit, Layout, Picture, Rect};
use crate::pack::{self, Pack, Role};

/// Crops in one run of a model that takes any number. More would not be faster, and activations grow with it.
const LARGEST_BATCH: usize = 8;

/// An image tower and the crops that wait for it. Once its buffers have grown, nothing here allocates.
pub struct ImageTower {
    model: String,
    session: Box<dyn Session>,
    output: usize,
    /// The batch that the model insists on.
    fixed_batch: Option<usize>,
    /// The most that it is given, if it does not.
    largest_batch: usize,
    width: usize,
    converter: Converter,
    /// Crops as the model reads them, `[N, 3, H, W]`; as long as it ever was.
    crops: Vec<f32>,
    count: usize,
    outputs: Vec<Tensor>,
}

impl ImageTower {
    /// Loads the image tower of `pack`.
    pub fn open(pack: &Pack, engine: &dyn Engine, options: Options) -> Result<Self, ClipError> {
        let session = pack.load(Role::Image, engine, options)?;
        let (width, image) = (pack.manifest().embedding.width, &pack.manifest().image);
        let mut tower = Self::new(format!("{} image tower", pack.identity()), session, layout(image), width)?;
        if let Some(batch) = image.batch.get(engine.name()) {
            tower.largest_batch = *batch;
        }
        Ok(tower)
    }

    /// A tower that runs `session`, called `model` in errors. The model must take one f32 `[N, 3, H, W]` of
    /// `layout`'s size and give `[N, width]`, as the output `image_embeds` or as the only one of that shape.
    pub fn new(
        model: String,
        session: Box<dyn Session>,
        layout: Layout,
        width: usize,
    ) -> Result<Self, ClipError> {
        let [port] = session.inputs() else {
            let found = format!("{} inputs", session.inputs().len());
            return Err(ports::mismatch(&model, "its input".into(), found, "one picture".into()));
        };
        let shape = [None, Some(3), Some(layout.height), Some(layout.width)];
        ports::check(&model, port, Element::F32, &shape)?;
        let fixed_batch = port.shape.first().copied().flatten().filter(|&batch| batch > 0);
        let output = ports::output(&model, session.outputs(), "image_embeds", &[None, Some(width)])?;
        let converter = Converter::new(layout);
        Ok(Self {
            model,
            session,
            output,
            fixed_batch,
            largest_batch: LARGEST_BATCH,
            width,
            converter,
            crops: Vec::new(),
            count: 0,
            outputs: Vec::new(),
        })
    }

    /// Elements of an embedding.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Crops that wait to be encoded.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether no crop waits.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Forgets the crops that wait.
    pub fn clear(&mut self) {
        self.count = 0;
    }

    /// Appends what is inside `rect` (pixels of `picture`) to the crops to be encoded.
    pub fn push(&mut self, picture: &Picture, rect: Rect, crop: Crop) {
        let fit = match crop {
            Crop::Pad => Fit::Pad,
            Crop::Stretch => Fit::Stretch,
            Crop::Center => Fit::Center,
        };
        let length = self.converter.layout().len();
        let start = self.count * length;
        self.grow(self.count + 1);
        if let Some(tensor) = self.crops.get_mut(start..start + length) {
            self.converter.convert(picture, rect, fit, tensor);
            self.count += 1;
        }
    }

    /// Encodes the crops in the order in which they were pushed and forgets them. The first `n` embeddings go to
    /// the first `(n, rows)` of `groups`, and so on; the rows that were there before are overwritten.
    pub fn encode(&mut self, groups: &mut [(usize, &mut Embeddings)]) -> Result<(), ClipError> {
        debug_assert_eq!(
            groups.iter().map(|(count, _)| count).sum::<usize>(),
            self.count,
            "crops of all groups"
        );
        for (_, rows) in groups.iter_mut() {
            rows.reset(self.width);
        }
        let total = std::mem::take(&mut self.count);
        let (mut first, mut group) = (0, 0);
        while first < total {
            let count = self.fixed_batch.unwrap_or(self.largest_batch).min(total - first);
            self.run(first, count)?;
            let result = self.outputs.get(self.output).map_or(&[][..], |tensor| &tensor.data);
            for (row, embedding) in (first..).zip(result.chunks_exact(self.width.max(1)).take(count)) {
                while groups.get(group).is_some_and(|(wanted, rows)| rows.len() >= *wanted) {
                    group += 1;
                }
                if let Some((_, rows)) = groups.get_mut(group)
                    && !rows.push(embedding)
                {
                    return Err(ClipError::Degenerate { model: self.model.clone(), row });
                }
            }
            first += count;
        }
        Ok(())
    }

    /// Runs the model on `count` crops from the `first` on; a fixed batch is filled up with what lies behind them.
    fn run(&mut self, first: usize, count: usize) -> Result<(), ClipError> {
        let batch = self.fixed_batch.unwrap_or(count);
        self.grow(first + batch);
        let layout = self.converter.layout();
        let (shape, length) = ([batch, 3, layout.height, layout.width], layout.len());
        let data = self.crops.get(first * length..(first + batch) * length).unwrap_or_default();
        self.session.run(&[Input::F32 { shape: &shape, data }], &mut self.outputs)?;
        ports::check_result(&self.model, self.outputs.get(self.output), &[batch, self.width])
    }

    /// Makes room for `crops`; what is there already is not cleared, because every crop is written whole.
    fn grow(&mut self, crops: usize) {
        let length = crops * self.converter.layout().len();
        if self.crops.len() < length {
            self.crops.resize(length, 0.0);
        }
    }
}

/// What the manifest says of the tower's picture.
pub(super) fn layout(image: &pack::Image) -> Layout {
    let [width, height] = image.size;
    let mean = image.mean.map(|mean| mean * 255.0);
    Layout {
        width,
        height,
        mean,
        std: image.std.map(|std| std * 255.0),
        bgr: false,
        filter: match image.resize {
            pack::Filter::Bilinear => Filter::Bilinear,
            pack::Filter::Bicubic => Filter::Bicubic,
        },
        // Letterbox bars of about 0 once normalised: what the tower takes for "nothing".
        fill: mean.iter().sum::<f32>() / 3.0,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::engine::{EngineError, Port};
    use crate::frame::PixelFormat;

    /// Embeds a crop as its mean red, green and blue, in whole numbers; notes how large the batches were.
    struct Colours {
        inputs: Vec<Port>,
        outputs: Vec<Port>,
        batches: Arc<Mutex<Vec<usize>>>,
    }

    impl Session for Colours {
        fn inputs(&self) -> &[Port] {
            &self.inputs
        }

        fn outputs(&self) -> &[Port] {
            &self.outputs
        }

        fn run(&mut self, inputs: &[Input<'_>], outputs: &mut Vec<Tensor>) -> Result<(), EngineError> {
            let [Input::F32 { shape, data }] = inputs else { panic!("one input") };
            assert_eq!(data.len(), shape.iter().product::<usize>());
            self.batches.lock().unwrap().push(shape[0]);
            let plane = shape[2] * shape[3];
            outputs.resize_with(1, Tensor::default);
            outputs[0].shape = vec![shape[0], 3];
            outputs[0].data =
                data.chunks(plane).map(|p| (p.iter().sum::<f32>() / plane as f32).round()).collect();
            Ok(())
        }
    }

    pub const LAYOUT: Layout = Layout {
        width: 4,
        height: 2,
        mean: [0.0; 3],
        std: [1.0; 3],
        bgr: false,
        filter: Filter::Bilinear,
        fill: 0.0,
    };

    type Batches = Arc<Mutex<Vec<usize>>>;

    /// A tower of any batch, and how large its batches were.
    pub fn tower_of(layout: Layout) -> (ImageTower, Batches) {
        let (tower, batches) = tower_reading(layout, None, 3);
        (tower.unwrap(), batches)
    }

    fn tower(batch: Option<usize>, width: usize) -> (Result<ImageTower, ClipError>, Batches) {
        tower_reading(LAYOUT, batch, width)
    }

    fn tower_reading(
        layout: Layout,
        batch: Option<usize>,
        width: usize,
    ) -> (Result<ImageTower, ClipError>, Batches) {
        let batches = Arc::new(Mutex::new(Vec::new()));
        let port = |name: &str, shape: &[Option<usize>]| Port {
            name: name.into(),
            element: Element::F32,
            shape: shape.into(),
        };
        let session = Colours {
            inputs: vec![port("pixel_values", &[batch, Some(3), Some(layout.height), Some(layout.width)])],
            outputs: vec![port("image_embeds", &[batch, Some(3)])],
            batches: Arc::clone(&batches),
        };
        (ImageTower::new("colours".into(), Box::new(session), layout, width), batches)
    }

    /// Pixel columns of red, then green, then blue, `side` square each.
    pub fn stripes(side: usize) -> Picture {
        let mut picture = Picture::new(PixelFormat::Rgb24, 3 * side, side);
        for (pixel, rgb) in picture.data.chunks_mut(3).enumerate() {
            rgb[pixel % (3 * side) / side] = 200;
        }
        picture
    }

    pub fn stripe(index: usize, side: usize) -> Rect {
        // Away from its edges, where the filter sees its neighbours.
        let (x, side) = ((index * side) as f32, side as f32);
        Rect::new(x + side / 4.0, side / 4.0, x + side * 3.0 / 4.0, side * 3.0 / 4.0)
    }

    /// The colour of stripe `index`, as bright as it is.
    fn axis(index: usize) -> Vec<f32> {
        (0..3).map(|i| if i == index { 200.0 } else { 0.0 }).collect()
    }

    pub fn share(row: &[f32], index: usize) -> f32 {
        row[index] / crate::clip::norm(row)
    }

    #[test]
    fn crops_come_back_in_order_in_their_groups() {
        for fixed in [None, Some(1), Some(4)] {
            let (tower, batches) = tower(fixed, 3);
            let mut tower = tower.unwrap();
            let picture = stripes(16);
            let (mut persons, mut objects, mut context) = Default::default();
            for round in 0..2 {
                for index in [0, 1, 2, 1] {
                    tower.push(&picture, stripe(index, 16), Crop::Stretch);
                }
                tower.push(&picture, Rect::new(0.0, 0.0, 48.0, 16.0), Crop::Pad);
                assert_eq!(tower.len(), 5);
                tower.encode(&mut [(4, &mut persons), (0, &mut objects), (1, &mut context)]).unwrap();
                assert!(tower.is_empty() && objects.is_empty(), "round {round}");
                let rows: Vec<_> = persons.rows().map(<[f32]>::to_vec).collect();
                assert_eq!(rows, [axis(0), axis(1), axis(2), axis(1)], "batch {fixed:?}");
                let whole = context.row(0).unwrap();
                assert!((0..3).all(|i| (share(whole, i) - 3f32.sqrt().recip()).abs() < 0.02), "{whole:?}");
            }
            let expected = match fixed {
                None => vec![5, 5],
                Some(1) => vec![1; 10],
                _ => vec![4; 4],
            };
            assert_eq!(*batches.lock().unwrap(), expected);
        }
    }

    #[test]
    fn a_crowd_is_split_into_batches() {
        let (tower, batches) = tower(None, 3);
        let mut tower = tower.unwrap();
        let picture = stripes(16);
        for index in 0..2 * LARGEST_BATCH + 3 {
            tower.push(&picture, stripe(index % 3, 16), Crop::Center);
        }
        let mut rows = Embeddings::default();
        tower.encode(&mut [(2 * LARGEST_BATCH + 3, &mut rows)]).unwrap();
        assert_eq!(*batches.lock().unwrap(), [LARGEST_BATCH, LARGEST_BATCH, 3]);
        for (index, row) in rows.rows().enumerate() {
            assert_eq!(row, axis(index % 3));
        }
        batches.lock().unwrap().clear();
        tower.largest_batch = 2;
        (0..5).for_each(|_| tower.push(&picture, stripe(0, 16), Crop::Center));
        tower.encode(&mut [(5, &mut rows)]).unwrap();
        assert_eq!(*batches.lock().unwrap(), [2, 2, 1], "as the pack says");
    }

    #[test]
    fn the_crop_decides_about_the_borders() {
        let (tower, _) = tower(None, 3);
        let mut tower = tower.unwrap();
        let mut picture = Picture::new(PixelFormat::Rgb24, 8, 8);
        // The left half red, the right half green: a centre crop of the tower's 4:2 keeps both, at half height.
        for (pixel, rgb) in picture.data.chunks_mut(3).enumerate() {
            rgb[usize::from(pixel / 8 >= 2 && pixel / 8 < 6)] = 200;
        }
        let whole = Rect::new(0.0, 0.0, 8.0, 8.0);
        let (mut stretched, mut centred) = Default::default();
        tower.push(&picture, whole, Crop::Stretch);
        tower.push(&picture, whole, Crop::Center);
        tower.encode(&mut [(1, &mut stretched), (1, &mut centred)]).unwrap();
        assert!(share(stretched.row(0).unwrap(), 0) > 0.5, "the rim is red: {stretched:?}");
        assert!(
            share(centred.row(0).unwrap(), 0) < 0.4,
            "only the filter's edge reaches the rim: {centred:?}"
        );
    }

    #[test]
    fn what_has_no_direction_is_an_error_that_names_the_crop() {
        let (tower, _) = tower(None, 3);
        let mut tower = tower.unwrap();
        let (lit, black) = (stripes(16), Picture::new(PixelFormat::Rgb24, 16, 16));
        tower.push(&lit, stripe(0, 16), Crop::Pad);
        tower.push(&black, stripe(0, 16), Crop::Pad);
        let error = tower.encode(&mut [(2, &mut Embeddings::default())]).unwrap_err();
        assert!(matches!(error, ClipError::Degenerate { row: 1, .. }), "{error}");
        tower.push(&lit, stripe(1, 16), Crop::Pad);
        let mut rows = Embeddings::default();
        tower.encode(&mut [(1, &mut rows)]).unwrap();
        assert_eq!(rows.len(), 1, "the next frame is not haunted by the last");
    }

    #[test]
    fn another_width_is_refused_by_name() {
        let error = tower(None, 512).0.err().unwrap().to_string();
        assert_eq!(
            error,
            "model colours: output is image_embeds F32 [?, 3], the manifest wants image_embeds [?, 512]"
        );
    }
}
