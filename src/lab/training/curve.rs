//! Loss and mAP over the steps, as a picture.

use std::fmt::Write as _;

use super::Phase;
use super::record::Entry;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 320.0;
/// Left, right, top and bottom, for the axes' words.
const MARGIN: [f64; 4] = [56.0, 56.0, 28.0, 40.0];

/// An SVG: the loss of each phase, left, and the mAP on the labels held out, right.
pub fn svg(history: &[Entry]) -> String {
    let steps = history.iter().map(|entry| entry.step).max().unwrap_or(0).max(1);
    let most = history.iter().map(|entry| entry.loss).filter(|loss| loss.is_finite()).fold(1e-6, f64::max);
    let [left, right, top, bottom] = MARGIN;
    let x = |step: usize| left + (WIDTH - left - right) * step as f64 / steps as f64;
    let y = |share: f64| HEIGHT - bottom - (HEIGHT - top - bottom) * share;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" \
         font-size=\"11\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    // A String takes whatever is written to it.
    for tick in 0..=4 {
        let share = f64::from(tick) / 4.0;
        let (at, step) = (y(share), steps * tick as usize / 4);
        let _ = writeln!(
            svg,
            "<path d=\"M{left} {at:.1}H{:.1}\" stroke=\"#ddd\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\" fill=\"#1f5fa8\">{:.2}</text>\
             <text x=\"{:.1}\" y=\"{:.1}\" fill=\"#b0410e\">{:.0}</text>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{step}</text>",
            WIDTH - right,
            left - 6.0,
            at + 4.0,
            most * share,
            WIDTH - right + 6.0,
            at + 4.0,
            100.0 * share,
            x(step),
            HEIGHT - bottom + 16.0,
        );
    }
    let of = |phase| history.iter().filter(move |entry: &&Entry| entry.phase == phase);
    let loss = |entry: &Entry| (x(entry.step), y(entry.loss / most));
    let map = |entry: &Entry| Some((x(entry.step), y(entry.map? / 100.0)));
    line(&mut svg, of(Phase::Search).map(loss), "#1f5fa8", "");
    line(&mut svg, of(Phase::Refit).map(loss), "#1f5fa8", " stroke-dasharray=\"4 3\"");
    line(&mut svg, history.iter().filter_map(map), "#b0410e", "");
    let _ = writeln!(
        svg,
        "<text x=\"{left}\" y=\"16\" fill=\"#1f5fa8\">loss (dashed: on all labels)</text>\
         <text x=\"{:.1}\" y=\"16\" text-anchor=\"end\" fill=\"#b0410e\">mAP on labels held out, %</text>\
         <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">steps</text>\n</svg>",
        WIDTH - right,
        WIDTH / 2.0,
        HEIGHT - 6.0
    );
    svg
}

fn line(svg: &mut String, points: impl Iterator<Item = (f64, f64)>, colour: &str, more: &str) {
    let points: Vec<String> =
        points.filter(|(_, y)| y.is_finite()).map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    if !points.is_empty() {
        let _ = writeln!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\"{more}/>",
            points.join(" ")
        );
    }
}
