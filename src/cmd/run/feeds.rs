//! From a camera's configuration to what the pipeline captures from.

use std::collections::HashMap;
use std::sync::Arc;

use crate::camera::{self, Paced, Stop};
use crate::clock::Clock;
use crate::config::{Camera, Node, Speed};
use crate::pipeline::{Delivery, Feed, Gate, Opener, Schedule};

/// Makes feeds, and keeps the gate of each camera for as long as there is one of its name.
pub(super) struct Feeds {
    clock: Arc<dyn Clock>,
    stop: Stop,
    gates: HashMap<String, Gate>,
}

impl Feeds {
    /// Feeds that stop with `stop`.
    pub fn new(clock: Arc<dyn Clock>, stop: Stop) -> Self {
        Self { clock, stop, gates: HashMap::new() }
    }

    /// A feed of `camera` of this node, paused if it was.
    pub fn feed(&mut self, camera: &Camera, node: &Node) -> Feed {
        let before = self.gates.remove(&camera.name).unwrap_or_default();
        let gate = before.rescheduled(Schedule::of(camera, node));
        self.gates.insert(camera.name.clone(), gate.clone());
        let (clock, stop, wanted) = (Arc::clone(&self.clock), self.stop.child(), camera.clone());
        let own = stop.clone();
        let open: Opener = Box::new(move || {
            let source = camera::open(&wanted, Arc::clone(&clock), own.clone())?;
            Ok(Box::new(Paced::new(source, Arc::clone(&clock), own.clone()).at(wanted.speed)))
        });
        let own_time = camera.speed == Speed::default();
        let delivery = if own_time { Delivery::Latest } else { Delivery::Replay };
        Feed { camera: camera.clone(), open, delivery, gate, stop }
    }

    /// The gate of a camera.
    pub fn gate(&self, camera: &str) -> Option<&Gate> {
        self.gates.get(camera)
    }

    /// There is no such camera any more.
    pub fn remove(&mut self, camera: &str) {
        self.gates.remove(camera);
    }
}
