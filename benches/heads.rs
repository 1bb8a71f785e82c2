//! The interaction heads on one core: 5 persons, 20 labels, 60 memory slots, D = 512, 8 units, 2 prompting layers; f32
//! and int8, beside the plain form in which the paper writes them down. `peers/heads.py` runs the same in PyTorch.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use watchword::clip::Embeddings;
use watchword::heads::{
    Interaction, Kind, Metadata, Pads, Recalled, Size, Start, Surroundings, fresh, quantise, serialise,
    similarity,
};

#[path = "../src/heads/tests/plain.rs"]
mod plain;

const WIDTH: usize = 512;
const SLOTS: usize = 60;

fn rows(count: usize) -> Vec<Vec<f32>> {
    (0..count)
        .map(|row| (0..WIDTH).map(|i| ((i * 7 + row * 13) % 101) as f32 / 101.0 - 0.5).collect())
        .collect()
}

fn heads(c: &mut Criterion) {
    let metadata = Metadata {
        units: [Kind::Person, Kind::Object, Kind::Context, Kind::Memory].repeat(2),
        before: SLOTS / 2,
        after: SLOTS / 2,
        rate: 1.0,
        pads: Pads { person: 25, object: 5, context: 25, memory: 10 },
        tau: 0.07,
        ln_affine: false,
        relu: true,
        embedding: None,
    };
    let size = Size { width: WIDTH, layers: 2, hidden: 4 * WIDTH };
    let f32_file =
        serialise(&fresh(&metadata, size, Start::Random, 0), &metadata).expect("heads can be written");
    let int8_file = quantise(&f32_file).expect("heads can be quantised");

    let (persons, objects, memory, text) = (rows(5), rows(3), rows(SLOTS), rows(20));
    let context = rows(9).remove(8);
    let mut labels = Embeddings::new(WIDTH);
    assert!(text.iter().all(|row| labels.push(row)));
    // One core: what the products would otherwise be spread over.
    let one = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a thread");

    let mut group = c.benchmark_group("heads, 5 persons, 20 labels, 60 slots");
    for (name, file) in [("int8", &int8_file), ("f32", &f32_file)] {
        let mut heads = Interaction::read(file).expect("heads that were just made");
        let projected = heads.project_all(&memory.concat());
        let memory: Vec<_> =
            projected.iter().enumerate().map(|(slot, projected)| Recalled { slot, projected }).collect();
        let (persons, objects) = (persons.concat(), objects.concat());
        let mut newest = Vec::new();
        group.bench_function(name, |b| {
            one.install(|| {
                b.iter(|| {
                    // Each frame's context is projected once, when it is new.
                    newest.clear();
                    heads.project(&context, &mut newest);
                    let around = Surroundings { objects: &objects, context: &context, memory: &memory };
                    heads.enhance(black_box(&persons), &around, None);
                    heads.prompt(&labels);
                    let persons = heads.features().chunks_exact(WIDTH);
                    let labels = heads.prompted().chunks_exact(20 * WIDTH);
                    persons
                        .zip(labels)
                        .map(|(person, labels)| similarity(person, labels, 14.3))
                        .collect::<Vec<_>>()
                });
            });
        });
    }
    group.sample_size(10);
    let plain = plain::Plain::read(&f32_file);
    let memory: Vec<_> = memory.into_iter().enumerate().collect();
    group.bench_function("plain", |b| {
        b.iter(|| {
            let features = plain.interaction(black_box(&persons), &objects, &context, &memory);
            let prompted = plain.prompt(&text, &features);
            features.iter().zip(&prompted).map(|(f, labels)| plain.scores(f, labels)).collect::<Vec<_>>()
        });
    });
    group.finish();
}

criterion_group!(benches, heads);
criterion_main!(benches);
