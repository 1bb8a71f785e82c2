//! Who may look: whoever knows the password and is remembered by a cookie, and scripts that show the token.

mod limiter;
mod login;
pub mod password;
mod sessions;

use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use axum::http::{HeaderMap, header};
use axum_extra::extract::cookie::CookieJar;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tokio::sync::Semaphore;
use tracing::warn;

use self::limiter::Limiter;
use self::sessions::Sessions;
use super::state::Page;

pub(super) use login::routes;

/// The cookie that a session is known by.
const COOKIE: &str = "watchword_session";

/// What the settings and the files that they name say about who may look.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Access {
    /// Whether nothing is shown to others.
    pub needed: bool,
    /// As `watchword web password` prints it; `None`: there is no password.
    pub password: Option<String>,
    /// `None`: there is none.
    pub token: Option<String>,
    /// Names by which browsers may call this box, besides `localhost` and addresses.
    pub hosts: Vec<String>,
}

/// Where a request comes from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer {
    pub address: IpAddr,
    /// Whether it came by TLS.
    pub encrypted: bool,
}

/// By what a request has shown that it may see things.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    Nothing,
    Cookie,
    Token,
}

/// Keeps the door.
pub(super) struct Auth {
    access: RwLock<Access>,
    sessions: Mutex<Sessions>,
    /// Of passwords; and of wrong tokens, so that a script's do not keep anybody from logging in.
    limiter: Limiter,
    tokens: Limiter,
    /// To compute a hash takes a processor and many megabytes: one at a time.
    verifying: Semaphore,
}

impl Auth {
    /// As long as nobody says otherwise, nobody may look.
    pub fn new() -> Self {
        let access = RwLock::new(Access { needed: true, ..Access::default() });
        let (sessions, verifying) = (Mutex::default(), Semaphore::new(1));
        Self { access, sessions, limiter: Limiter::new(), tokens: Limiter::new(), verifying }
    }

    pub fn access(&self) -> Access {
        self.access.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// From now on `access` counts. Whoever logged in by another password has to do so again.
    pub fn set(&self, access: Access) {
        let mut known = self.access.write().unwrap_or_else(PoisonError::into_inner);
        if known.password != access.password {
            *self.sessions() = Sessions::default();
        }
        *known = access;
    }

    /// What a request of these headers has shown at `now`.
    pub fn shown(&self, headers: &HeaderMap, now: Duration) -> Shown {
        if let Some(token) = bearer(headers) {
            // Digests have one length, so that not even that of the token can be measured.
            let known = self.access().token.map(Sha256::digest);
            let same = known.is_some_and(|known| known.ct_eq(&Sha256::digest(token)).into());
            return if same { Shown::Token } else { Shown::Nothing };
        }
        let jar = CookieJar::from_headers(headers);
        let session = jar.get(COOKIE).is_some_and(|cookie| self.sessions().is_open(cookie.value(), now));
        if session { Shown::Cookie } else { Shown::Nothing }
    }

    /// What a request of these headers from `address` has shown at `now`. Where wrong tokens come from too often none is
    /// looked at for a while, so that the right one is not found by trying.
    ///
    /// # Errors
    /// How long.
    pub fn admit(&self, headers: &HeaderMap, address: IpAddr, now: Duration) -> Result<Shown, Duration> {
        let token = bearer(headers).is_some();
        if token {
            self.tokens.is_open(address)?;
        }
        let shown = self.shown(headers, now);
        if token && shown != Shown::Token {
            self.tokens.count(address)?;
            warn!(from = %address, "somebody showed a wrong token");
        }
        Ok(shown)
    }

    fn sessions(&self) -> MutexGuard<'_, Sessions> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What stands behind `Bearer`.
pub(super) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

impl Page {
    /// What a request of these headers has shown now.
    pub(super) fn shown(&self, headers: &HeaderMap) -> Shown {
        self.auth.shown(headers, self.clock.monotonic())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(name: header::HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, value.parse().unwrap())])
    }

    #[test]
    fn a_token_is_right_or_wrong_and_none_is_always_wrong() {
        let auth = Auth::new();
        let shown = |value| auth.shown(&asked(header::AUTHORIZATION, value), Duration::ZERO);
        assert_eq!(shown("Bearer "), Shown::Nothing, "there is none to show");
        auth.set(Access { token: Some("0123456789abcdef".into()), ..Access::default() });
        assert_eq!(shown("bearer 0123456789abcdef"), Shown::Token);
        for wrong in ["Bearer 0123456789abcde", "Bearer", "Bearer ", "Basic 0123456789abcdef"] {
            assert_eq!(shown(wrong), Shown::Nothing, "{wrong}");
        }
    }

    #[test]
    fn whoever_shows_wrong_tokens_waits_also_with_the_right_one_and_nobody_else() {
        let auth = Auth::new();
        auth.set(Access { token: Some("0123456789abcdef".into()), ..Access::default() });
        let show = |token: &str, from: &str| {
            let headers = asked(header::AUTHORIZATION, &format!("Bearer {token}"));
            auth.admit(&headers, from.parse().unwrap(), Duration::ZERO)
        };
        let mut tries = 0;
        while show("wrong", "192.0.2.1").is_ok() {
            assert_eq!(
                show("0123456789abcdef", "192.0.2.1"),
                Ok(Shown::Token),
                "the right one does not count"
            );
            tries += 1;
        }
        assert!((10..15).contains(&tries), "{tries}");
        assert!(show("0123456789abcdef", "192.0.2.1").is_err());
        assert_eq!(show("0123456789abcdef", "192.0.2.2"), Ok(Shown::Token));
        assert!(
            auth.admit(&HeaderMap::new(), "192.0.2.1".parse().unwrap(), Duration::ZERO).is_ok(),
            "no token"
        );
        assert!(auth.limiter.is_open("192.0.2.1".parse().unwrap()).is_ok(), "a password may be tried");
    }

    #[test]
    fn another_password_ends_every_session_and_another_token_does_not() {
        let auth = Auth::new();
        let access = Access { needed: true, password: Some("one".into()), ..Access::default() };
        auth.set(access.clone());
        let id = auth.sessions().open(Duration::ZERO);
        let shown = || auth.shown(&asked(header::COOKIE, &format!("{COOKIE}={id}")), Duration::ZERO);
        assert_eq!(shown(), Shown::Cookie);
        auth.set(Access { token: Some("0123456789abcdef".into()), ..access.clone() });
        assert_eq!(shown(), Shown::Cookie);
        auth.set(Access { password: Some("another".into()), ..access });
        assert_eq!(shown(), Shown::Nothing);
    }
}
