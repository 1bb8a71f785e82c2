//! The curves of all actions as one SVG: false alarms an hour and clips found, against the threshold.

use std::fmt::{Result, Write};
use std::time::Duration;

use super::findings::{AtThreshold, Finding};

const WIDTH: f64 = 640.0;
/// Of one action.
const HEIGHT: f64 = 240.0;
/// Around the plot: left, right, above, below.
const MARGIN: [f64; 4] = [70.0, 60.0, 46.0, 40.0];
const ALARMS: &str = "#c0392b";
const FOUND: &str = "#2471a3";

/// One panel for each finding. `per_hour` is the rate wished for.
pub fn svg(
    findings: &[Finding<'_>],
    watched: Duration,
    per_hour: f64,
) -> std::result::Result<String, std::fmt::Error> {
    let height = HEIGHT * findings.len() as f64;
    let mut out = String::new();
    writeln!(
        out,
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" font-family="sans-serif" font-size="12">"#
    )?;
    writeln!(out, r#"<rect width="100%" height="100%" fill="white"/>"#)?;
    for (i, finding) in findings.iter().enumerate() {
        writeln!(out, r#"<g transform="translate(0 {})">"#, HEIGHT * i as f64)?;
        Panel::new(finding, watched, per_hour).draw(&mut out, finding)?;
        writeln!(out, "</g>")?;
    }
    writeln!(out, "</svg>")?;
    Ok(out)
}

/// The scales of one action's plot. Rates are on a logarithmic scale between powers of ten; below it lies 0.
struct Panel {
    hours: f64,
    wished: f64,
    /// Powers of ten at the lower and the upper end.
    decades: (f64, f64),
}

impl Panel {
    fn new(finding: &Finding<'_>, watched: Duration, wished: f64) -> Self {
        let hours = watched.as_secs_f64() / 3600.0;
        let most = finding.curve.iter().map(|at| at.false_alarms).max().unwrap_or_default();
        let low = (1.0 / hours).min(wished).log10().floor();
        let high = (most as f64 / hours).max(wished).log10().ceil().max(low + 1.0);
        Self { hours, wished, decades: (low, high) }
    }

    fn x(threshold: f64) -> f64 {
        let [left, right, ..] = MARGIN;
        left + threshold * (WIDTH - left - right)
    }

    /// `share` 0 is the bottom, 1 the top.
    fn y(share: f64) -> f64 {
        let [.., above, below] = MARGIN;
        HEIGHT - below - share * (HEIGHT - above - below)
    }

    /// One eighth is left for 0.
    fn rate_y(&self, per_hour: f64) -> f64 {
        if per_hour <= 0.0 {
            return Self::y(0.0);
        }
        let (low, high) = self.decades;
        Self::y(0.125 + 0.875 * (per_hour.log10() - low) / (high - low))
    }

    fn draw(&self, out: &mut String, finding: &Finding<'_>) -> Result {
        let (left, right) = (Self::x(0.0), Self::x(1.0));
        let title = match &finding.after {
            Some(after) => {
                format!("{}: threshold {}, was {}", finding.action, after.threshold, finding.before.threshold)
            }
            None => format!("{}: no threshold is enough", finding.action),
        };
        writeln!(out, r#"<text x="{left}" y="20" font-size="15">{title}</text>"#)?;
        let with_clips = finding.before.found.is_some();
        writeln!(out, r#"<text x="{left}" y="38" fill="{ALARMS}">false alarms an hour</text>"#)?;
        if with_clips {
            writeln!(out, r#"<text x="{right}" y="38" fill="{FOUND}" text-anchor="end">clips found</text>"#)?;
        }
        self.grid(out, with_clips)?;
        let wished = self.rate_y(self.wished);
        line(out, [left, wished, right, wished], ALARMS, "4 3")?;
        if let Some(after) = &finding.after {
            let x = Self::x(after.threshold);
            line(out, [x, Self::y(0.0), x, Self::y(1.0)], "black", "none")?;
        }
        let x = Self::x(finding.before.threshold);
        line(out, [x, Self::y(0.0), x, Self::y(1.0)], "gray", "4 3")?;
        curve(out, finding, ALARMS, |at| Some(self.rate_y(at.false_alarms as f64 / self.hours)))?;
        if with_clips {
            let found = |at: &AtThreshold| at.found.map(|(begun, all)| Self::y(begun as f64 / all as f64));
            curve(out, finding, FOUND, found)?;
        }
        Ok(())
    }

    fn grid(&self, out: &mut String, with_clips: bool) -> Result {
        let (left, right) = (Self::x(0.0), Self::x(1.0));
        for tenth in 0..=10 {
            let x = Self::x(f64::from(tenth) / 10.0);
            line(out, [x, Self::y(0.0), x, Self::y(0.0) + 4.0], "black", "none")?;
            let (y, label) = (Self::y(0.0) + 18.0, f64::from(tenth) / 10.0);
            writeln!(out, r#"<text x="{x:.1}" y="{y:.1}" text-anchor="middle">{label}</text>"#)?;
        }
        let (low, high) = self.decades;
        let decades = (0..=(high - low) as i32).map(|i| 10f64.powf(low + f64::from(i)));
        for rate in std::iter::once(0.0).chain(decades) {
            let y = self.rate_y(rate);
            line(out, [left, y, right, y], "#ddd", "none")?;
            let (x, y) = (left - 6.0, y + 4.0);
            let label = (rate * 1e6).round() / 1e6;
            writeln!(out, r#"<text x="{x:.1}" y="{y:.1}" text-anchor="end" fill="{ALARMS}">{label}</text>"#)?;
        }
        if with_clips {
            for quarter in 0..=4 {
                let (x, y) = (right + 6.0, Self::y(f64::from(quarter) / 4.0) + 4.0);
                writeln!(out, r#"<text x="{x:.1}" y="{y:.1}" fill="{FOUND}">{} %</text>"#, quarter * 25)?;
            }
        }
        line(out, [left, Self::y(0.0), right, Self::y(0.0)], "black", "none")
    }
}

fn line(out: &mut String, [x1, y1, x2, y2]: [f64; 4], colour: &str, dashes: &str) -> Result {
    writeln!(
        out,
        r#"<line x1="{x1:.1}" y1="{y1:.1}" x2="{x2:.1}" y2="{y2:.1}" stroke="{colour}" stroke-dasharray="{dashes}"/>"#
    )
}

fn curve(
    out: &mut String,
    finding: &Finding<'_>,
    colour: &str,
    y: impl Fn(&AtThreshold) -> Option<f64>,
) -> Result {
    let points = finding.curve.iter().filter_map(|at| Some((Panel::x(at.threshold), y(at)?)));
    write!(out, r#"<polyline fill="none" stroke="{colour}" stroke-width="2" points=""#)?;
    points.clone().try_for_each(|(x, y)| write!(out, "{x:.1},{y:.1} "))?;
    writeln!(out, r#""/>"#)
}
