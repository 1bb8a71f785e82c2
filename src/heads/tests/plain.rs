//! The heads as the paper and its code write them down: every key there, pads among them, a row for each label and
//! person through every layer, nothing kept from frame to frame. Slow, and what the fast form must equal.

use std::collections::HashMap;

use safetensors::SafeTensors;

/// Weights by name, in f32.
pub struct Plain {
    weights: HashMap<String, Vec<f32>>,
    units: Vec<String>,
    pads: [usize; 4],
    slots: usize,
    pub tau: f32,
}

/// Rows of one width.
pub type Rows = Vec<Vec<f32>>;

impl Plain {
    /// Reads an f32 file.
    pub fn read(bytes: &[u8]) -> Self {
        let (_, header) = SafeTensors::read_metadata(bytes).unwrap();
        let map = header.metadata().clone().unwrap();
        let number = |key: &str| map[key].parse::<usize>().unwrap();
        let file = SafeTensors::deserialize(bytes).unwrap();
        let floats =
            |data: &[u8]| data.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
        Self {
            weights: file.iter().map(|(name, tensor)| (name.to_owned(), floats(tensor.data()))).collect(),
            units: map["units"].split(',').filter(|unit| !unit.is_empty()).map(str::to_owned).collect(),
            pads: ["person", "object", "context", "memory"].map(|kind| number(&format!("pad_{kind}"))),
            slots: number("memory_before") + number("memory_after"),
            tau: map["tau"].parse().unwrap(),
        }
    }

    fn linear(&self, name: &str, rows: &Rows) -> Rows {
        let weight = &self.weights[&format!("{name}.weight")];
        let bias = self.weights.get(&format!("{name}.bias"));
        let apply = |row: &Vec<f32>| {
            let outputs = weight.chunks_exact(row.len()).enumerate();
            outputs.map(|(i, w)| dot(w, row) + bias.map_or(0.0, |bias| bias[i])).collect()
        };
        rows.iter().map(apply).collect()
    }

    fn unit(&self, prefix: &str, persons: &Rows, keys: &Rows, positions: Option<&[usize]>) -> Rows {
        let queries = self.linear(&format!("{prefix}.query"), persons);
        let mut k = self.linear(&format!("{prefix}.key"), keys);
        let mut v = self.linear(&format!("{prefix}.value"), keys);
        for (part, rows) in [("key", &mut k), ("value", &mut v)] {
            let Some(positions) = positions else { continue };
            let table = &self.weights[&format!("{prefix}.position.{part}")];
            for (row, slot) in rows.iter_mut().zip(positions) {
                let width = row.len();
                add(row, &table[slot * width..(slot + 1) * width]);
            }
        }
        let attended: Rows = queries
            .iter()
            .map(|query| {
                let scale = (query.len() as f32).sqrt();
                let weights = softmax(k.iter().map(|key| dot(query, key) / scale).collect());
                let mut sum = vec![0.0; query.len()];
                for (weight, value) in weights.iter().zip(&v) {
                    sum.iter_mut().zip(value).for_each(|(sum, x)| *sum += weight * x);
                }
                normalise(&mut sum);
                sum.iter().map(|x| x.max(0.0)).collect()
            })
            .collect();
        let mut out = self.linear(&format!("{prefix}.out"), &attended);
        out.iter_mut().zip(persons).for_each(|(out, person)| add(out, person));
        out
    }

    /// `memory` holds slots and features.
    pub fn interaction(
        &self,
        persons: &Rows,
        objects: &Rows,
        context: &[f32],
        memory: &[(usize, Vec<f32>)],
    ) -> Rows {
        let pad = |rows: &Rows, capacity: usize| {
            let mut rows = rows.clone();
            rows.resize(rows.len().max(capacity), vec![0.0; context.len()]);
            rows
        };
        let mut x = persons.clone();
        for (index, kind) in self.units.iter().enumerate() {
            let prefix = format!("unit.{index}");
            x = match kind.as_str() {
                "person" => self.unit(&prefix, &x, &pad(&x, self.pads[0]), None),
                "object" if objects.is_empty() => x,
                "object" => self.unit(&prefix, &x, &pad(objects, self.pads[1]), None),
                "context" => self.unit(&prefix, &x, &pad(&vec![context.to_vec()], self.pads[2]), None),
                _ => {
                    let capacity = self.pads[3];
                    let mut keys: Vec<(usize, Vec<f32>)> = memory.to_vec();
                    for slot in 0..self.slots {
                        let filled = usize::from(memory.iter().any(|frame| frame.0 == slot));
                        let pads = capacity.saturating_sub(filled);
                        keys.extend(std::iter::repeat_n((slot, vec![0.0; context.len()]), pads));
                    }
                    let (slots, keys): (Vec<_>, Rows) = keys.into_iter().unzip();
                    if keys.is_empty() { x } else { self.unit(&prefix, &x, &keys, Some(&slots)) }
                }
            };
        }
        x.iter().map(|row| row.iter().zip(context).map(|(x, c)| x / 2.0 + c / 2.0).collect()).collect()
    }

    /// For each person a row for each label.
    pub fn prompt(&self, text: &Rows, visual: &Rows) -> Vec<Rows> {
        let Some(alpha) = self.weights.get("prompt.alpha") else { return vec![text.clone(); visual.len()] };
        visual
            .iter()
            .map(|feature| {
                let v = vec![self.norm("prompt.norm", feature)];
                let mut c = text.clone();
                for layer in 0.. {
                    let prefix = format!("prompt.layer.{layer}");
                    if !self.weights.contains_key(&format!("{prefix}.mlp.up.weight")) {
                        break;
                    }
                    let value = self.linear(&format!("{prefix}.attention.value"), &v);
                    let attention = self.linear(&format!("{prefix}.attention.out"), &value).remove(0);
                    c.iter_mut().for_each(|row| add(row, &attention));
                    let h: Rows = c.iter().map(|row| self.norm(&format!("{prefix}.norm2"), row)).collect();
                    let mut h = self.linear(&format!("{prefix}.mlp.up"), &h);
                    h.iter_mut().flatten().for_each(|x| *x /= 1.0 + (-1.702 * *x).exp());
                    let h = self.linear(&format!("{prefix}.mlp.down"), &h);
                    c.iter_mut().zip(&h).for_each(|(row, h)| add(row, h));
                }
                let bend = |(t, c): (&Vec<f32>, &Vec<f32>)| {
                    t.iter().zip(c).zip(alpha).map(|((t, c), a)| t + a * c).collect()
                };
                text.iter().zip(&c).map(bend).collect()
            })
            .collect()
    }

    fn norm(&self, name: &str, row: &[f32]) -> Vec<f32> {
        let mut row = row.to_vec();
        normalise(&mut row);
        let (weight, bias) =
            (&self.weights[&format!("{name}.weight")], &self.weights[&format!("{name}.bias")]);
        row.iter().zip(weight).zip(bias).map(|((x, w), b)| x * w + b).collect()
    }

    /// Probabilities of the labels for one person.
    pub fn scores(&self, visual: &[f32], labels: &Rows) -> Vec<f32> {
        let length = |row: &[f32]| dot(row, row).sqrt();
        let cosine = |label: &Vec<f32>| dot(visual, label) / length(visual) / length(label) / self.tau;
        softmax(labels.iter().map(cosine).collect())
    }
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn add(a: &mut [f32], b: &[f32]) {
    a.iter_mut().zip(b).for_each(|(a, b)| *a += b);
}

fn softmax(logits: Vec<f32>) -> Vec<f32> {
    let top = logits.iter().copied().fold(f32::MIN, f32::max);
    let exps: Vec<f32> = logits.iter().map(|x| (x - top).exp()).collect();
    let sum: f32 = exps.iter().sum();
    exps.iter().map(|x| x / sum).collect()
}

fn normalise(row: &mut [f32]) {
    let count = row.len() as f32;
    let mean = row.iter().sum::<f32>() / count;
    let variance = row.iter().map(|x| (x - mean).powi(2)).sum::<f32>() / count;
    row.iter_mut().for_each(|x| *x = (*x - mean) / (variance + 1e-5).sqrt());
}
