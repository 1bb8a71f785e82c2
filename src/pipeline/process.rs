//! This process as the kernel counts it.

use std::fs;
use std::time::Duration;

use rustix::param::{clock_ticks_per_second, page_size};
use rustix::time::{ClockId, clock_gettime};

/// Bytes of memory it holds in RAM; 0 where the kernel does not say.
pub fn resident_memory() -> u64 {
    let pages = fs::read_to_string("/proc/self/statm")
        .ok()
        .and_then(|text| text.split_whitespace().nth(1)?.parse::<u64>().ok());
    pages.unwrap_or(0) * page_size() as u64
}

/// The most that it ever held; 0 where the kernel does not say.
pub fn peak_memory() -> u64 {
    let kib = fs::read_to_string("/proc/self/status").ok().and_then(|text| {
        let value = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        value.split_whitespace().next()?.parse::<u64>().ok()
    });
    kib.unwrap_or(0) * 1024
}

/// For how long it has been there, to the hundredth of a second; `None` where the kernel does not say.
pub fn age() -> Option<Duration> {
    // Field 22 of proc_pid_stat(5). A program's name, in parentheses, may hold anything.
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    let ticks: f64 = stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()?;
    let started = Duration::try_from_secs_f64(ticks / clock_ticks_per_second() as f64).ok()?;
    let now = clock_gettime(ClockId::Boottime);
    Duration::try_from(now).ok()?.checked_sub(started)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_touched_is_held_and_was_held_when_it_is_given_back() {
        const SIZE: usize = 128 << 20;
        let block = vec![1_u8; SIZE];
        assert!(resident_memory() >= SIZE as u64 && block.iter().all(|byte| *byte == 1));
        drop(block);
        assert!(peak_memory() >= SIZE as u64);
    }

    #[test]
    fn a_process_grows_older() {
        let before = age().unwrap();
        std::thread::sleep(Duration::from_millis(30));
        let after = age().unwrap();
        assert!(after > before && after < Duration::from_secs(24 * 60 * 60), "{before:?}, {after:?}");
    }
}
