//! Who wants to hear what others publish: the subscriptions of every connection, and where each message goes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Filters at most; they share the way to the connection with everything that is published.
pub(super) const MOST: usize = 8;

/// A message that somebody else published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incoming {
    pub topic: String,
    pub payload: Vec<u8>,
    /// It was published before we subscribed, perhaps long before.
    pub retained: bool,
}

/// What is to be done with a message, on the connection's thread: it must neither block nor take long.
type Handler = Arc<dyn Fn(Incoming) + Send + Sync>;

/// All listeners.
#[derive(Default)]
pub(super) struct Listeners(Mutex<Vec<Listener>>);

struct Listener {
    filter: String,
    handler: Handler,
}

impl Listeners {
    /// Has `handler` called for every message whose topic fits `filter`, in place of who listened to that filter before.
    /// `false` if there are too many.
    pub fn listen(&self, filter: &str, handler: Handler) -> bool {
        let mut listeners = self.lock();
        listeners.retain(|listener| listener.filter != filter);
        let room = listeners.len() < MOST;
        if room {
            listeners.push(Listener { filter: filter.to_owned(), handler });
        }
        room
    }

    /// Nobody listens to `filter` any more.
    pub fn ignore(&self, filter: &str) {
        self.lock().retain(|listener| listener.filter != filter);
    }

    /// A filter that is not among `subscribed`.
    pub fn next(&self, subscribed: &[String]) -> Option<String> {
        let listeners = self.lock();
        let filter = listeners.iter().map(|listener| &listener.filter).find(|f| !subscribed.contains(f));
        filter.cloned()
    }

    /// Hands `message` to whom it concerns.
    pub fn tell(&self, message: &Incoming) {
        let concerned: Vec<_> = {
            let listeners = self.lock();
            let fitting = listeners.iter().filter(|listener| fits(&listener.filter, &message.topic));
            fitting.map(|listener| Arc::clone(&listener.handler)).collect()
        };
        for handler in concerned {
            handler(message.clone());
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Listener>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a topic fits a filter of plain levels and `+` (MQTT 3.1.1, 4.7.1.3). Ours have no `#`.
fn fits(filter: &str, topic: &str) -> bool {
    let (mut levels, mut wanted) = (topic.split('/'), filter.split('/'));
    loop {
        match (levels.next(), wanted.next()) {
            (None, None) => return true,
            (Some(level), Some(wanted)) if wanted == "+" || wanted == level => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plus_stands_for_one_level() {
        for (filter, topic, expected) in [
            ("a/b", "a/b", true),
            ("a/+", "a/b", true),
            ("a/+", "a/", true),
            ("a/+", "a/b/c", false),
            ("a/+", "a", false),
            ("ü/+", "ü/é", true),
            ("a/b", "a/c", false),
        ] {
            assert_eq!(fits(filter, topic), expected, "{filter} {topic}");
        }
    }

    #[test]
    fn a_message_goes_to_whoever_listens_now() {
        let (listeners, heard) = (Listeners::default(), Arc::new(Mutex::new(Vec::new())));
        let handler = |name: &'static str| {
            let heard = Arc::clone(&heard);
            Arc::new(move |message: Incoming| heard.lock().unwrap().push((name, message.topic)))
        };
        let message = |topic: &str| Incoming { topic: topic.into(), payload: Vec::new(), retained: false };
        assert!(listeners.listen("a/+", handler("first")) && listeners.listen("b", handler("other")));
        assert!(listeners.listen("a/+", handler("second")));
        listeners.tell(&message("a/x"));
        listeners.tell(&message("c"));
        listeners.ignore("b");
        listeners.tell(&message("b"));
        assert_eq!(*heard.lock().unwrap(), [("second", "a/x".to_owned())]);
        assert_eq!(listeners.next(&[]).as_deref(), Some("a/+"));
        assert_eq!(listeners.next(&["a/+".into()]), None);
        for n in 1..MOST {
            assert!(listeners.listen(&n.to_string(), handler("many")));
        }
        assert!(!listeners.listen("too many", handler("many")));
    }
}
