//! The machine underneath: what the kernel says in /proc and /sys of the board, its heat, its power and its disks.
//!
//! Everything is read below one root, so that a test can show any board. Has never heard of cameras, networks or MQTT.

mod disk;
mod identity;
mod pace;
mod power;
mod thermal;
mod tree;
mod watch;

pub use disk::{Disk, Wear, disk_of};
pub use identity::{Identity, Soc};
pub use pace::{Pace, SlowedBy};
pub use power::{NoPower, PowerMeter};
pub use thermal::{Zone, zones};
pub use tree::Tree;
pub(crate) use watch::remedy;
pub use watch::{Sample, Watch};
