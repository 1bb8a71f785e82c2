//! The progress bars of the commands that take long.

use indicatif::{ProgressBar, ProgressStyle};

/// A bar over `frames`, with the time left; a spinner that counts if nobody knows how many there are.
/// Hidden where standard error is not a terminal.
pub fn bar(frames: Option<u64>) -> ProgressBar {
    let (bar, template) = match frames {
        Some(frames) => (ProgressBar::new(frames), "{bar:32} {pos}/{len} frames  {per_sec}  {eta} left"),
        None => (ProgressBar::new_spinner(), "{spinner} {pos} frames  {per_sec}  {elapsed}"),
    };
    bar.with_style(style(template))
}

/// A bar over `count` steps of a computation, with what is going on behind it.
#[cfg(feature = "lab")]
pub fn steps(count: usize) -> ProgressBar {
    ProgressBar::new(count as u64).with_style(style("{bar:32} {pos}/{len}  {eta} left  {msg}"))
}

/// A bar over `count` videos, with the one that is looked at behind it.
#[cfg(feature = "lab")]
pub fn videos(count: usize) -> ProgressBar {
    ProgressBar::new(count as u64).with_style(style("{bar:32} {pos}/{len} videos  {eta} left  {msg}"))
}

/// A bar over the bytes of a download, with its message before it.
pub fn bytes() -> ProgressBar {
    ProgressBar::new(0)
        .with_style(style("{msg:36} {bar:24} {bytes}/{total_bytes}  {bytes_per_sec}  {eta} left"))
}

/// Templates are constants; a bad one would show in every run.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
