//! Who has logged in. In memory alone: a restart ends every session.

use std::collections::HashMap;
use std::time::Duration;

use sha2::{Digest, Sha256};

/// More browsers than look at one box; one more ends the session that was used longest ago.
const MOST: usize = 64;
/// A session that is not used so long has ended.
const IDLE: Duration = Duration::from_secs(12 * 3600);
/// A session that is so old has ended.
const LIFETIME: Duration = Duration::from_secs(7 * 24 * 3600);

/// Sessions by the hash of what their browsers show, so that how long it takes to look one up tells nothing of use.
#[derive(Default)]
pub(super) struct Sessions(HashMap<[u8; 32], Session>);

struct Session {
    begun: Duration,
    used: Duration,
}

impl Sessions {
    /// A new session; what the browser is to show.
    pub fn open(&mut self, now: Duration) -> String {
        self.0.retain(|_, session| session.is_open(now));
        if self.0.len() >= MOST
            && let Some(idlest) = self.0.iter().min_by_key(|(_, session)| session.used).map(|(key, _)| *key)
        {
            self.0.remove(&idlest);
        }
        let id = hex::encode(rand::random::<[u8; 32]>());
        self.0.insert(key(&id), Session { begun: now, used: now });
        id
    }

    /// Whether it is one; it counts as used.
    pub fn is_open(&mut self, id: &str, now: Duration) -> bool {
        let Some(session) = self.0.get_mut(&key(id)).filter(|session| session.is_open(now)) else {
            return false;
        };
        session.used = now;
        true
    }

    pub fn close(&mut self, id: &str) {
        self.0.remove(&key(id));
    }
}

impl Session {
    fn is_open(&self, now: Duration) -> bool {
        now.saturating_sub(self.used) < IDLE && now.saturating_sub(self.begun) < LIFETIME
    }
}

fn key(id: &str) -> [u8; 32] {
    Sha256::digest(id).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn a_session_ends_when_it_is_closed_idle_or_old() {
        let mut sessions = Sessions::default();
        let (a, b) = (sessions.open(HOUR), sessions.open(HOUR));
        assert_ne!(a, b);
        assert!(sessions.is_open(&a, HOUR) && !sessions.is_open("", HOUR));
        sessions.close(&a);
        assert!(!sessions.is_open(&a, HOUR) && sessions.is_open(&b, HOUR));
        let used = |sessions: &mut Sessions, hours: u32| sessions.is_open(&b, HOUR * hours);
        assert!((1..=168).step_by(11).all(|hours| used(&mut sessions, hours)));
        assert!(!used(&mut sessions, 169), "a week is enough");
        let idle = sessions.open(HOUR * 200);
        assert!(!sessions.is_open(&idle, HOUR * 212));
    }

    #[test]
    fn the_session_that_was_used_longest_ago_makes_room() {
        let mut sessions = Sessions::default();
        let ids: Vec<_> = (0..MOST as u64).map(|n| sessions.open(Duration::from_secs(n))).collect();
        assert!(sessions.is_open(&ids[0], Duration::from_secs(100)));
        sessions.open(Duration::from_secs(101));
        assert!(sessions.is_open(&ids[0], Duration::from_secs(102)));
        assert!(!sessions.is_open(&ids[1], Duration::from_secs(102)));
        assert_eq!(sessions.0.len(), MOST);
    }
}
