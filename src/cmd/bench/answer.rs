//! What the measurements say to somebody who has to choose a board: a table and a sentence.

use serde::Serialize;

/// Less of the camera's frames than this is another rate.
const KEPT: f64 = 0.97;

/// The whole of it.
#[derive(Debug, Default, Serialize)]
pub(super) struct Answer {
    pub pack: String,
    pub engine: String,
    pub picture: String,
    /// Frames a second that the camera gave.
    pub fps: f64,
    /// Everybody was encoded in every frame.
    pub exact: bool,
    pub standing: bool,
    pub power: Power,
    pub rows: Vec<Row>,
    /// [`Answer::words`], once all is measured.
    pub words: String,
}

/// Whether power is measured here.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Power {
    By { sensor: String, idle_watts: Option<f64> },
    Unknown { why: String },
}

impl Default for Power {
    fn default() -> Self {
        Self::Unknown { why: String::new() }
    }
}

/// What so many people cost.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Row {
    pub people: usize,
    /// Of them scored in a frame, on average: at few frames a second the tracker loses who walks.
    pub judged: f64,
    /// Analysed.
    pub frames_per_second: f64,
    /// Analysis of one frame, hand-over to MQTT not included.
    pub frame_ms_p50: f64,
    pub frame_ms_p95: f64,
    pub crops_per_frame: f64,
    /// The oldest look that anything was judged by in any frame, before the frame's capture.
    pub oldest_look_s: f64,
    /// From the capture of a frame until what it shows is handed to MQTT.
    pub latency_ms_p50: f64,
    pub latency_ms_p95: f64,
    /// While it ran; `None`: not measured.
    pub watts: Option<f64>,
    pub resident_memory_mb: f64,
}

impl Answer {
    /// With its words, as JSON tells it.
    pub fn told(self) -> Self {
        Self { words: self.words(), ..self }
    }

    /// Prints `row`, and above the first one what the columns are.
    pub fn print_row(&self, row: &Row) {
        if self.rows.is_empty() {
            println!("{} on {}", self.pack, self.engine);
            let people = if self.standing { "people stand still" } else { "people walk to and fro" };
            let how = if self.exact { "; everybody is encoded in every frame" } else { "" };
            println!("a camera of {} at {} frames a second; {people}{how}", self.picture, self.fps);
            println!(
                "{:>6} {:>6} {:>9} {:>8} {:>12} {:>12} {:>8} {:>8} {:>8}",
                "people",
                "judged",
                "frames/s",
                "ms/frame",
                "oldest look",
                "latency p50",
                "p95",
                "power",
                "memory"
            );
        }
        let watts = row.watts.map_or("-".into(), |watts| format!("{watts:.1} W"));
        println!(
            "{:>6} {:>6.1} {:>9.1} {:>8.0} {:>10.1} s {:>9.0} ms {:>5.0} ms {:>8} {:>5.0} MB",
            row.people,
            row.judged,
            row.frames_per_second,
            row.frame_ms_p50,
            row.oldest_look_s,
            row.latency_ms_p50,
            row.latency_ms_p95,
            watts,
            row.resident_memory_mb
        );
    }

    /// Prints what is said of all.
    pub fn print_end(&self) {
        match &self.power {
            Power::By { sensor, idle_watts: Some(idle) } => {
                println!("power by {sensor}; {idle:.1} W before it began")
            }
            Power::By { sensor, idle_watts: None } => println!("power by {sensor}"),
            Power::Unknown { why } => println!("power is not measured here: {why}"),
        }
        println!("{}", self.words());
    }

    /// The buyer's question, answered.
    pub fn words(&self) -> String {
        let mut before = None;
        let clauses = self.rows.iter().map(|row| {
            let kept = row.frames_per_second >= KEPT * self.fps;
            let rate = format!("{:.1}", if kept { self.fps } else { row.frames_per_second });
            let same = before.as_ref() == Some(&rate);
            let at = if same { "at the same rate".into() } else { format!("at {rate} frames a second") };
            before = Some(rate);
            let mut people =
                if row.people == 1 { "1 person".into() } else { format!("{} people", row.people) };
            if row.judged < KEPT * row.people as f64 {
                people += &format!(", of whom {:.1} are judged in a frame,", row.judged);
            }
            let watts = row.watts.map_or(String::new(), |watts| format!(", {watts:.1} W"));
            let look = if row.oldest_look_s < 0.05 {
                "looked at in every frame".into()
            } else {
                format!("judged by looks of at most {:.1} s ago", row.oldest_look_s)
            };
            format!("{people} {at}, {look}, told within {:.2} s{watts}", row.latency_ms_p95 / 1e3)
        });
        clauses.collect::<Vec<_>>().join("; ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(people: usize, frames_per_second: f64, oldest_look_s: f64) -> Row {
        Row {
            people,
            judged: people as f64,
            frames_per_second,
            frame_ms_p50: 150.0,
            frame_ms_p95: 160.0,
            crops_per_frame: 4.0,
            oldest_look_s,
            latency_ms_p50: 155.0,
            latency_ms_p95: 172.0,
            watts: None,
            resident_memory_mb: 160.0,
        }
    }

    #[test]
    fn the_sentence_names_a_rate_once_and_is_silent_about_power_that_was_not_measured() {
        let with_power = Row { watts: Some(6.25), judged: 47.5, ..row(50, 3.21, 4.4) };
        let answer = Answer {
            fps: 5.0,
            rows: vec![row(1, 4.99, 0.0), row(20, 4.9, 1.6), with_power],
            ..Answer::default()
        };
        let words = answer.told().words;
        assert_eq!(
            words,
            "1 person at 5.0 frames a second, looked at in every frame, told within 0.17 s; \
             20 people at the same rate, judged by looks of at most 1.6 s ago, told within 0.17 s; \
             50 people, of whom 47.5 are judged in a frame, at 3.2 frames a second, judged by looks of at most 4.4 s ago, told within 0.17 s, 6.2 W"
        );
    }

    #[test]
    fn json_has_the_sensor_or_why_there_is_none() {
        let json =
            |power| serde_json::to_value(Answer { power, ..Answer::default() }).unwrap()["power"].clone();
        let by = json(Power::By { sensor: "ina3221 VDD_IN".into(), idle_watts: Some(3.1) });
        assert_eq!(by, serde_json::json!({"sensor": "ina3221 VDD_IN", "idle_watts": 3.1}));
        assert_eq!(
            json(Power::Unknown { why: "no power sensor".into() }),
            serde_json::json!({"why": "no power sensor"})
        );
    }
}
