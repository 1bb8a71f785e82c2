//! Regions of a picture from one pass over it: each box gets the mean of the cells under it.

use super::{ClipError, Embeddings, image, norm, ports, roi};
use crate::config::Crop;
use crate::engine::{Element, Engine, Input, Options, Session, Tensor};
use crate::frame::{Converter, Fit, Layout, Picture, Placement, Rect};
use crate::pack::Pack;
use crate::pack::derive::{REGIONS, SCALE};

/// The image tower as [`crate::pack::derive::with_regions`] makes it. Once its buffers have grown, nothing here allocates.
pub struct RegionTower {
    model: String,
    session: Box<dyn Session>,
    /// Indices of the outputs: the picture's embedding, and its cells'.
    whole: usize,
    cells: usize,
    width: usize,
    /// Cells across and down.
    grid: [usize; 2],
    converter: Converter,
    input: Vec<f32>,
    placement: Placement,
    outputs: Vec<Tensor>,
    across: Vec<f32>,
    down: Vec<f32>,
    pooled: Vec<f32>,
}

impl RegionTower {
    /// Derives and loads the tower of `pack`.
    pub fn open(pack: &Pack, engine: &dyn Engine, options: Options) -> Result<Self, ClipError> {
        let session = engine.load(&pack.tower_with_regions(engine.name())?, options)?;
        let layout = image::layout(&pack.manifest().image);
        let layout = Layout { width: layout.width * SCALE, height: layout.height * SCALE, ..layout };
        let width = pack.manifest().embedding.width;
        Self::new(format!("{} image tower for regions", pack.identity()), session, layout, width)
    }

    /// A tower that runs `session`, called `model` in errors. It must take one f32 `[1, 3, H, W]` of `layout`'s size and
    /// give `image_embeds` `[1, width]` and `region_embeds` `[cells, width]`, cells of a grid of the picture's
    /// proportions. It is run once to see whether it does.
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
        ports::check(
            &model,
            port,
            Element::F32,
            &[Some(1), Some(3), Some(layout.height), Some(layout.width)],
        )?;
        let whole = ports::output(&model, session.outputs(), "image_embeds", &[None, Some(width)])?;
        let cells = ports::output(&model, session.outputs(), REGIONS, &[None, Some(width)])?;
        let mut tower = Self {
            model,
            session,
            whole,
            cells,
            width,
            grid: [0, 0],
            input: vec![0.0; layout.len()],
            converter: Converter::new(layout),
            placement: Placement::default(),
            outputs: Vec::new(),
            across: Vec::new(),
            down: Vec::new(),
            pooled: Vec::new(),
        };
        tower.run()?;
        let count = tower.outputs.get(cells).map_or(0, |tensor| tensor.data.len() / width.max(1));
        let side = (layout.width as f64 * layout.height as f64 / count.max(1) as f64).sqrt();
        let grid = [layout.width, layout.height].map(|pixels| (pixels as f64 / side).round() as usize);
        if count == 0 || grid.iter().product::<usize>() != count {
            let found = format!("{count} cells");
            return Err(ports::mismatch(
                &tower.model,
                REGIONS.into(),
                found,
                "a grid over the picture".into(),
            ));
        }
        tower.grid = grid;
        Ok(tower)
    }

    /// Elements of an embedding.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Takes up the whole of `picture`. Cropped to the centre it would miss people: [`Crop::Center`] is as [`Crop::Pad`].
    pub fn prepare(&mut self, picture: &Picture, crop: Crop) {
        let fit = match crop {
            Crop::Stretch => Fit::Stretch,
            Crop::Pad | Crop::Center => Fit::Pad,
        };
        let whole = Rect::new(0.0, 0.0, picture.width as f32, picture.height as f32);
        self.placement = self.converter.convert(picture, whole, fit, &mut self.input);
    }

    /// Looks at the picture that was taken up.
    pub fn encode(&mut self) -> Result<(), ClipError> {
        self.run()?;
        let cells = self.outputs.get_mut(self.cells).map_or(&mut [][..], |tensor| &mut tensor.data);
        // Cells count by their direction, as CLIPSelf has it; a few have lengths far beyond the others'.
        for cell in cells.chunks_exact_mut(self.width.max(1)) {
            let length = norm(cell);
            cell.iter_mut().for_each(|x| *x /= length);
        }
        Ok(())
    }

    /// Appends the embedding of what is inside `rect` (pixels of the picture), as long as the whole picture's. What
    /// sticks out of the picture is cut off; who holds all of it gets the picture's own.
    pub fn region(&mut self, rect: Rect, rows: &mut Embeddings) -> Result<(), ClipError> {
        let Placement { source, .. } = self.placement;
        if rect.x1 <= source.x1 && rect.y1 <= source.y1 && rect.x2 >= source.x2 && rect.y2 >= source.y2 {
            let whole = self.outputs.get(self.whole).map_or(&[][..], |tensor| &tensor.data);
            return self.push(rows, |rows| rows.push(whole));
        }
        let inside = self.placement.to_tensor(Rect {
            x1: rect.x1.clamp(source.x1, source.x2),
            y1: rect.y1.clamp(source.y1, source.y2),
            x2: rect.x2.clamp(source.x1, source.x2),
            y2: rect.y2.clamp(source.y1, source.y2),
        });
        let Layout { width, height, .. } = *self.converter.layout();
        let [columns, rows_down] = self.grid;
        let (sx, sy) = (columns as f32 / width.max(1) as f32, rows_down as f32 / height.max(1) as f32);
        roi::weights(columns, inside.x1 * sx, inside.x2 * sx, &mut self.across);
        roi::weights(rows_down, inside.y1 * sy, inside.y2 * sy, &mut self.down);
        let data = |index: usize| self.outputs.get(index).map_or(&[][..], |tensor| &tensor.data);
        roi::pool(data(self.cells), self.width, &self.across, &self.down, &mut self.pooled);
        let length = norm(data(self.whole)) / norm(&self.pooled);
        self.pooled.iter_mut().for_each(|x| *x *= length);
        self.push(rows, |rows| rows.push(&self.pooled))
    }

    fn push(
        &self,
        rows: &mut Embeddings,
        push: impl FnOnce(&mut Embeddings) -> bool,
    ) -> Result<(), ClipError> {
        let row = rows.len();
        if push(rows) { Ok(()) } else { Err(ClipError::Degenerate { model: self.model.clone(), row }) }
    }

    fn run(&mut self) -> Result<(), ClipError> {
        let Layout { width, height, .. } = *self.converter.layout();
        let shape = [1, 3, height, width];
        self.session.run(&[Input::F32 { shape: &shape, data: &self.input }], &mut self.outputs)?;
        ports::check_result(&self.model, self.outputs.get(self.whole), &[1, self.width])?;
        let cells = self.outputs.get(self.cells);
        let count = cells.and_then(|tensor| tensor.shape.first().copied()).unwrap_or_default();
        ports::check_result(&self.model, cells, &[count, self.width])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{EngineError, Port};
    use crate::frame::{Filter, PixelFormat};

    const SIDE: usize = 32;
    const GRID: usize = 8;

    /// A cell's embedding is its mean colour, the picture's that of all.
    struct Colours {
        inputs: Vec<Port>,
        outputs: Vec<Port>,
        cells: usize,
    }

    impl Session for Colours {
        fn inputs(&self) -> &[Port] {
            &self.inputs
        }

        fn outputs(&self) -> &[Port] {
            &self.outputs
        }

        fn run(&mut self, inputs: &[Input<'_>], outputs: &mut Vec<Tensor>) -> Result<(), EngineError> {
            let [Input::F32 { data, .. }] = inputs else { panic!("one input") };
            let mut sums = [vec![0.0; 3], vec![0.0; self.cells * 3]];
            for (i, value) in data.iter().enumerate() {
                let (plane, x, y) = (i / SIDE / SIDE, i % SIDE, i / SIDE % SIDE);
                let cell = y / (SIDE / GRID) * GRID + x / (SIDE / GRID);
                sums[0][plane] += value + 0.01;
                sums[1][cell % self.cells * 3 + plane] += value + 0.01;
            }
            outputs.resize_with(2, Tensor::default);
            for (output, sums) in outputs.iter_mut().zip(sums) {
                (output.shape, output.data) = (vec![sums.len() / 3, 3], sums);
            }
            Ok(())
        }
    }

    fn tower(cells: usize) -> Result<RegionTower, ClipError> {
        let port = |name: &str, shape: &[Option<usize>]| Port {
            name: name.into(),
            element: Element::F32,
            shape: shape.into(),
        };
        let session = Colours {
            inputs: vec![port("pixel_values", &[Some(1), Some(3), Some(SIDE), Some(SIDE)])],
            outputs: vec![port("image_embeds", &[Some(1), Some(3)]), port(REGIONS, &[None, Some(3)])],
            cells,
        };
        let layout = Layout {
            width: SIDE,
            height: SIDE,
            mean: [0.0; 3],
            std: [1.0; 3],
            bgr: false,
            filter: Filter::Bilinear,
            fill: 0.0,
        };
        RegionTower::new("colours".into(), Box::new(session), layout, 3)
    }

    /// A wide picture, 64 × 32: its left half red, the right upper quarter green, the rest blue.
    fn picture() -> Picture {
        let mut picture = Picture::new(PixelFormat::Rgb24, 64, 32);
        for (i, rgb) in picture.data.chunks_mut(3).enumerate() {
            let (x, y) = (i % 64, i / 64);
            rgb[if x < 32 { 0 } else { 1 + usize::from(y >= 16) }] = 200;
        }
        picture
    }

    #[test]
    fn each_box_gets_what_lies_in_it_however_the_picture_lies_in_the_square() {
        for crop in [Crop::Pad, Crop::Stretch, Crop::Center] {
            let mut tower = tower(GRID * GRID).unwrap();
            tower.prepare(&picture(), crop);
            tower.encode().unwrap();
            let mut rows = Embeddings::new(3);
            let boxes = [
                (2.0, 8.0, 22.0, 24.0),
                (42.0, 4.0, 60.0, 12.0),
                (42.0, 20.0, 60.0, 28.0),
                (-9.0, -9.0, 80.0, 99.0),
            ];
            for (x1, y1, x2, y2) in boxes {
                tower.region(Rect::new(x1, y1, x2, y2), &mut rows).unwrap();
            }
            let whole = rows.row(3).unwrap();
            for (colour, row) in rows.rows().take(3).enumerate() {
                assert!(row[colour] > 0.9 * norm(row), "{crop:?}: {row:?} is not colour {colour}");
                assert!((norm(row) / norm(whole) - 1.0).abs() < 1e-5, "as long as the whole's");
            }
            assert!(whole[0] > whole[1] && (whole[1] / whole[2] - 1.0).abs() < 0.1, "{whole:?}");
            let error = tower.region(Rect::new(f32::NAN, 0.0, 1.0, 1.0), &mut rows).unwrap_err();
            assert!(matches!(error, ClipError::Degenerate { row: 4, .. }), "{error}");
        }
    }

    #[test]
    fn cells_must_make_a_grid() {
        let error = tower(60).err().unwrap().to_string();
        assert!(error.contains("region_embeds is 60 cells"), "{error}");
    }
}
