//! The progress bar of the commands that go through a recording.

use indicatif::{ProgressBar, ProgressStyle};

/// A bar over `frames`, with the time left; a spinner that counts if nobody knows how many there are.
/// Hidden where standard error is not a terminal.
pub fn bar(frames: Option<u64>) -> ProgressBar {
    let (bar, template) = match frames {
        Some(frames) => (ProgressBar::new(frames), "{bar:32} {pos}/{len} frames  {per_sec}  {eta} left"),
        None => (ProgressBar::new_spinner(), "{spinner} {pos} frames  {per_sec}  {elapsed}"),
    };
    // The template is a constant; a bad one would show in every run.
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    bar.with_style(style)
}
