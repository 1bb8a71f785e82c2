//! Something that takes long to load and much memory to keep, kept for a while after it was used.

use std::time::Duration;

/// Whoever types has paused, and goes on.
const WHILE: Duration = Duration::from_secs(60);

/// Of the text tower: words are tried as somebody types them.
#[derive(Debug)]
pub(super) struct Kept<T>(Option<(T, Duration)>);

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T> Kept<T> {
    /// Uses what is kept at the monotonic time `now`, or what `load` loads.
    pub fn use_at<E>(&mut self, now: Duration, load: impl FnOnce() -> Result<T, E>) -> Result<&mut T, E> {
        let kept = match self.0.take() {
            Some((kept, _)) => kept,
            None => load()?,
        };
        Ok(&mut self.0.insert((kept, now)).0)
    }

    /// Lets go of what was not used for long.
    pub fn look(&mut self, now: Duration) {
        self.0.take_if(|(_, used)| now.saturating_sub(*used) >= WHILE);
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::rc::Rc;

    use super::*;

    #[test]
    fn what_is_used_again_is_not_loaded_again_and_what_is_not_is_let_go() {
        let (mut kept, tower, mut loads) = (Kept::default(), Rc::new(()), 0);
        let mut use_at = |kept: &mut Kept<Rc<()>>, second| {
            let load = || {
                loads += 1;
                Ok::<_, Infallible>(Rc::clone(&tower))
            };
            kept.use_at(Duration::from_secs(second), load).unwrap();
            loads
        };
        assert_eq!((use_at(&mut kept, 0), use_at(&mut kept, 50)), (1, 1));
        kept.look(Duration::from_secs(109));
        assert_eq!(use_at(&mut kept, 109), 1, "a minute from the last use");
        kept.look(Duration::from_secs(169));
        assert_eq!(Rc::strong_count(&tower), 1, "the memory is given back");
        assert_eq!(use_at(&mut kept, 170), 2);
        assert!(Kept::<()>::default().use_at(Duration::ZERO, || Err("gone")).is_err());
    }
}
