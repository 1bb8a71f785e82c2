use super::*;
use crate::frame::Rect;

const WIDTH: usize = 8;

fn about() -> About {
    let reach = Reach { before: 2, after: 1, rate: 1.0 };
    About { reach, blocks: 2, width: WIDTH, tau: 0.07, embedding: "space".into(), vectors: None }
}

/// Nothing as it starts: every weight at random.
fn random(seed: u64) -> Temporal {
    let temporal = Temporal::fresh(about(), seed, &Device::Cpu).unwrap();
    let mut random = SmallRng::seed_from_u64(seed);
    for weight in temporal.weights.values() {
        let values: Vec<f32> = (0..weight.elem_count()).map(|_| random.random_range(-0.5..0.5)).collect();
        weight.set(&Tensor::from_vec(values, weight.dims(), &Device::Cpu).unwrap()).unwrap();
    }
    temporal
}

/// A feature that is like no other frame's.
fn feature(frame: usize) -> Vec<f32> {
    (0..WIDTH).map(|column| 3.0 * ((frame * WIDTH + column) as f32 * 1.3).sin()).collect()
}

/// A frame, and those of its memory in these slots.
fn sample(slots: &[usize]) -> Sample {
    Sample {
        boxes: vec![Rect::new(0.0, 0.0, 1.0, 1.0)],
        context: feature(9),
        memory: slots.iter().flat_map(|slot| feature(*slot)).collect(),
        slots: slots.to_vec(),
        ..Sample::default()
    }
}

fn pool(temporal: &Temporal, samples: &[Sample]) -> Vec<Vec<f32>> {
    temporal.pool(samples, &Device::Cpu, &mut |x| Ok(x.clone())).unwrap().to_vec2().unwrap()
}

fn far(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn it_starts_as_the_mean_of_the_frames_there_are() {
    let temporal = Temporal::fresh(about(), 1, &Device::Cpu).unwrap();
    for slots in [&[0, 1, 2][..], &[2], &[]] {
        let frames: Vec<_> = slots.iter().chain([&9]).map(|frame| feature(*frame)).collect();
        let mean = |column| frames.iter().map(|frame| frame[column]).sum::<f32>() / frames.len() as f32;
        let expected: Vec<f32> = (0..WIDTH).map(mean).collect();
        assert!(far(&pool(&temporal, &[sample(slots)])[0], &expected) < 1e-5, "{slots:?}");
    }
}

/// What stands beside a frame in a batch, or would stand where there is no frame, does not matter; where frames stand does.
#[test]
fn a_frame_is_its_own_and_its_order_matters() {
    let temporal = random(3);
    let all = pool(&temporal, &[sample(&[0, 1, 2]), sample(&[1]), sample(&[])]);
    for (slots, pooled) in [(&[0, 1, 2][..], &all[0]), (&[1], &all[1]), (&[], &all[2])] {
        assert!(far(&pool(&temporal, &[sample(slots)])[0], pooled) < 1e-5, "{slots:?}");
    }
    let mut turned = sample(&[0, 1, 2]);
    turned.slots = vec![1, 0, 2];
    assert!(far(&pool(&temporal, &[turned])[0], &all[0]) > 1e-3);
}

/// Frame by frame in plain arithmetic: one frame alone looks at nothing but itself.
#[test]
fn a_lone_frame_is_what_the_formulas_say() {
    let temporal = random(5);
    let weight = |name: &str| temporal.weights[name].flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let linear = |name: &str, x: &[f32]| -> Vec<f32> {
        let rows = weight(&format!("{name}.weight"));
        let rows = rows.chunks(x.len()).map(|row| row.iter().zip(x).map(|(a, b)| a * b).sum::<f32>());
        rows.zip(weight(&format!("{name}.bias"))).map(|(sum, bias)| sum + bias).collect()
    };
    let norm = |name: &str, x: &[f32]| -> Vec<f32> {
        let mean = x.iter().sum::<f32>() / x.len() as f32;
        let deviation = (x.iter().map(|x| (x - mean).powi(2)).sum::<f32>() / x.len() as f32 + 1e-5).sqrt();
        let affine = weight(&format!("{name}.weight")).into_iter().zip(weight(&format!("{name}.bias")));
        x.iter().zip(affine).map(|(x, (weight, bias))| (x - mean) / deviation * weight + bias).collect()
    };
    let add = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a + b).collect::<Vec<f32>>();
    let frame = sample(&[]).context;
    let mut x = add(&frame, &weight("temporal.position")[2 * WIDTH..3 * WIDTH]);
    for block in 0..2 {
        let name = |part: &str| format!("temporal.block.{block}.{part}");
        let value = linear(&name("attention.value"), &norm(&name("norm1"), &x));
        x = add(&x, &linear(&name("attention.out"), &value));
        let hidden = linear(&name("mlp.up"), &norm(&name("norm2"), &x));
        let hidden: Vec<f32> = hidden.iter().map(|x| x / (1.0 + (-1.702 * x).exp())).collect();
        x = add(&x, &linear(&name("mlp.down"), &hidden));
    }
    let expected: Vec<f32> = add(&x, &frame).iter().map(|x| x / 2.0).collect();
    assert!(far(&pool(&temporal, &[sample(&[])])[0], &expected) < 1e-4);
}

#[test]
fn learned_words_are_kept_beside_it() {
    let about = About { vectors: Some(Vectors { count: 3, width: 5 }), ..about() };
    let temporal = Temporal::fresh(about, 1, &Device::Cpu).unwrap();
    let read = Temporal::read(&temporal.bytes().unwrap(), &Device::Cpu).unwrap();
    assert_eq!(read.about, temporal.about);
    let rows = |temporal: &Temporal| temporal.words().unwrap().map(|words| words.to_vec2::<f32>().unwrap());
    assert_eq!(rows(&read), rows(&temporal));
    assert!(rows(&read)[0].len() == 3 && rows(&read)[0] != rows(&read)[1]);
    assert!(random(1).words().is_none());
}

#[test]
fn a_file_gives_back_what_was_written_and_others_are_refused() {
    let temporal = random(7);
    let bytes = temporal.bytes().unwrap();
    assert!(Temporal::is(&bytes) && !Temporal::is(b"no file"));
    let read = Temporal::read(&bytes, &Device::Cpu).unwrap();
    assert_eq!(read.about, temporal.about);
    assert_eq!(pool(&read, &[sample(&[0, 2])]), pool(&temporal, &[sample(&[0, 2])]));

    let refused = |change: &dyn Fn(&mut crate::heads::Tensors, &mut HashMap<String, String>)| {
        let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
        let mut map = header.metadata().clone().unwrap();
        let mut all = tensors(&temporal.weights).unwrap();
        change(&mut all, &mut map);
        let bytes = safetensors::serialize(&all, Some(map)).unwrap();
        format!("{:#}", Temporal::read(&bytes, &Device::Cpu).unwrap_err())
    };
    let position = "temporal.position";
    let nan = || crate::heads::Tensor::floats(&[4, WIDTH], &[f32::NAN; 4 * WIDTH]);
    assert!(refused(&|all, _| drop(all.remove(position))).contains(position));
    assert!(refused(&|all, _| drop(all.insert(position.into(), nan()))).contains("not finite"));
    assert!(refused(&|all, _| drop(all.insert("other".into(), nan()))).contains("other is of no use"));
    for (key, value, expected) in [
        ("format", "watchword features 1", "its format"),
        ("memory_before", "3", "it must be F32 [5, 8]"),
        ("memory_before", "18446744073709551615", "240 at most"),
        ("memory_rate", "NaN", "must be positive"),
        ("blocks", "1", "of no use"),
        ("blocks", "65", "64 at most"),
    ] {
        let error = refused(&|_, map| drop(map.insert(key.into(), value.into())));
        assert!(error.contains(expected), "{key} {value}: {error}");
    }
}
