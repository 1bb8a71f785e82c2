//! Documents that stand on the broker: retained, and told again to every connection. As with a state (see
//! [`super::levels`]), only the present one counts.

/// All documents that were set.
#[derive(Default)]
pub(super) struct Documents(Vec<Document>);

struct Document {
    topic: String,
    /// Empty: the broker is to forget it.
    payload: Vec<u8>,
    /// Whether the present connection knows it.
    told: bool,
}

impl Documents {
    /// From now on `payload` stands on `topic`; an empty one takes away what stood there.
    pub fn set(&mut self, topic: &str, payload: Vec<u8>) {
        match self.0.iter_mut().find(|document| document.topic == topic) {
            Some(document) if document.payload == payload => {}
            Some(document) => (document.payload, document.told) = (payload, false),
            None => self.0.push(Document { topic: topic.to_owned(), payload, told: false }),
        }
    }

    /// The present connection is to be told once more what stands on `topic`.
    pub fn tell_again(&mut self, topic: &str) {
        if let Some(document) = self.0.iter_mut().find(|document| document.topic == topic) {
            document.told = false;
        }
    }

    /// The next topic and payload that the present connection was not told; it counts as told then.
    pub fn tell_next(&mut self) -> Option<(&str, &[u8])> {
        // What is gone need not be told to the next connection.
        self.0.retain(|document| !(document.told && document.payload.is_empty()));
        let document = self.0.iter_mut().find(|document| !document.told)?;
        document.told = true;
        Some((&document.topic, &document.payload))
    }

    /// Whether the present connection was told everything.
    pub fn is_told(&self) -> bool {
        self.0.iter().all(|document| document.told)
    }

    /// There is a new connection, which was told nothing.
    pub fn rewind(&mut self) {
        for document in &mut self.0 {
            document.told = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_connection_is_told_what_stands_and_once_what_is_gone() {
        let mut documents = Documents::default();
        let told = |documents: &mut Documents| {
            let next = || documents.tell_next().map(|(topic, payload)| (topic.to_owned(), payload.to_vec()));
            std::iter::from_fn(next).collect::<Vec<_>>()
        };
        let text = |topic: &str, payload: &str| (topic.to_owned(), payload.as_bytes().to_vec());
        documents.set("a", b"1".into());
        documents.set("b", b"1".into());
        documents.set("a", b"2".into());
        assert_eq!(told(&mut documents), [text("a", "2"), text("b", "1")]);
        documents.set("b", b"1".into());
        assert!(documents.is_told(), "nothing new");
        documents.tell_again("b");
        assert_eq!(told(&mut documents), [text("b", "1")]);
        documents.set("b", Vec::new());
        documents.rewind();
        assert_eq!(told(&mut documents), [text("a", "2"), text("b", "")]);
        documents.rewind();
        assert_eq!(told(&mut documents), [text("a", "2")]);
    }
}
