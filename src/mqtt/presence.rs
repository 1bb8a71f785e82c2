//! Whether each camera delivers: the value of every camera's `availability` topic. A level like a state (see
//! [`super::levels`]): only the present one counts, and every new connection is told it.

/// All cameras that were heard of.
#[derive(Default)]
pub(super) struct Presence(Vec<Camera>);

/// One camera.
pub(super) struct Camera {
    pub name: String,
    pub online: bool,
    /// What the present connection was told.
    told: Option<bool>,
    /// There is no such camera any more: the broker is to forget its topic.
    retired: bool,
}

impl Camera {
    /// The topic's payload; empty takes away what stood there.
    pub fn payload(&self) -> &'static str {
        match (self.retired, self.online) {
            (true, _) => "",
            (false, true) => "online",
            (false, false) => "offline",
        }
    }
}

impl Presence {
    /// From now on this is so.
    pub fn set(&mut self, name: &str, online: bool) {
        match self.0.iter_mut().find(|camera| camera.name == name) {
            Some(camera) => {
                camera.online = online;
                if std::mem::take(&mut camera.retired) {
                    camera.told = None;
                }
            }
            None => self.0.push(Camera { name: name.to_owned(), online, told: None, retired: false }),
        }
    }

    /// Takes a camera away.
    pub fn retire(&mut self, name: &str) {
        if let Some(camera) = self.0.iter_mut().find(|camera| camera.name == name) {
            (camera.retired, camera.told) = (true, None);
        }
    }

    /// The next camera of which the present connection has an older value or none; it counts as told then.
    pub fn tell_next(&mut self) -> Option<&Camera> {
        self.0.retain(|camera| !(camera.retired && camera.told.is_some()));
        let camera = self.0.iter_mut().find(|camera| camera.told != Some(camera.online))?;
        camera.told = Some(camera.online);
        Some(camera)
    }

    /// Whether the present connection was told everything.
    pub fn is_told(&self) -> bool {
        self.0.iter().all(|camera| camera.told == Some(camera.online))
    }

    /// There is a new connection, which was told nothing.
    pub fn rewind(&mut self) {
        for camera in &mut self.0 {
            camera.told = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_told_each_change_once_and_a_new_one_everything() {
        let mut presence = Presence::default();
        let told = |presence: &mut Presence| {
            std::iter::from_fn(|| presence.tell_next().map(|c| (c.name.clone(), c.online)))
                .collect::<Vec<_>>()
        };
        presence.set("gate", false);
        presence.set("yard", false);
        assert_eq!(told(&mut presence), [("gate".into(), false), ("yard".into(), false)]);
        presence.set("gate", true);
        presence.set("yard", false);
        assert!(!presence.is_told());
        assert_eq!(told(&mut presence), [("gate".into(), true)]);
        presence.set("gate", false);
        presence.set("gate", true);
        assert!(presence.is_told(), "back where it was");
        presence.rewind();
        assert_eq!(told(&mut presence), [("gate".into(), true), ("yard".into(), false)]);
        presence.retire("yard");
        assert_eq!(presence.tell_next().map(Camera::payload), Some(""));
        assert_eq!(told(&mut presence), []);
        presence.rewind();
        assert_eq!(told(&mut presence), [("gate".into(), true)], "what is gone is not told again");
    }
}
