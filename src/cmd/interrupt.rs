//! SIGINT and SIGTERM: the first asks for an orderly stop, the second ends the process at once. SIGHUP, for the daemon:
//! read the configuration again.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::Context;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

use crate::camera::Stop;

/// A flag that is set by the first signal.
pub fn stop_on_signals() -> anyhow::Result<Stop> {
    let flag = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // The order matters: on the first signal the flag is still unset when the shutdown looks at it.
        flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&flag))
            .and_then(|_| flag::register(signal, Arc::clone(&flag)))
            .context("cannot watch for signals")?;
    }
    Ok(Stop::from(flag))
}

/// A flag that is set by each SIGHUP, which would end the process otherwise.
pub fn hangup() -> anyhow::Result<Arc<AtomicBool>> {
    let flag = Arc::new(AtomicBool::new(false));
    flag::register(SIGHUP, Arc::clone(&flag)).context("cannot watch for SIGHUP")?;
    Ok(flag)
}
