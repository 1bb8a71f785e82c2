//! How often somebody may try to log in, or show a wrong token.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

/// At once ..
const BURST: NonZeroU32 = NonZeroU32::new(10).unwrap();
/// .. and then one in this time.
const PERIOD: Duration = Duration::from_secs(6);
/// Addresses that are remembered. With more, others have to wait until some of them are forgotten.
const MOST: usize = 1024;

/// Counts tries by address, of IPv6 by network, as whoever has one has many addresses.
pub(super) struct Limiter {
    tries: DefaultKeyedRateLimiter<IpAddr>,
    /// Who tried too often, and when the next try would have been welcome.
    shut: Mutex<HashMap<IpAddr, Instant>>,
    clock: DefaultClock,
}

type Instant = <DefaultClock as Clock>::Instant;

impl Limiter {
    pub fn new() -> Self {
        let quota = Quota::with_period(PERIOD).unwrap_or(Quota::per_minute(BURST)); // it is not 0
        let tries = RateLimiter::keyed(quota.allow_burst(BURST));
        Self { tries, shut: Mutex::default(), clock: DefaultClock::default() }
    }

    /// Counts a try.
    ///
    /// # Errors
    /// If there were too many: how long to wait.
    pub fn count(&self, address: IpAddr) -> Result<(), Duration> {
        if self.tries.len() >= MOST {
            self.tries.retain_recent();
            if self.tries.len() >= MOST {
                return Err(PERIOD);
            }
        }
        let (address, now) = (network(address), self.clock.now());
        self.tries.check_key(&address).map_err(|early| {
            let mut shut = self.shut();
            shut.retain(|_, until| *until > now);
            shut.insert(address, early.earliest_possible());
            early.wait_time_from(now)
        })
    }

    /// Whether tries from `address` are looked at now; without counting one.
    ///
    /// # Errors
    /// If there were too many before: how long to wait.
    pub fn is_open(&self, address: IpAddr) -> Result<(), Duration> {
        let (until, now) = (self.shut().get(&network(address)).copied(), self.clock.now());
        match until.filter(|until| *until > now) {
            Some(until) => Err(until.duration_since(now)),
            None => Ok(()),
        }
    }

    fn shut(&self) -> MutexGuard<'_, HashMap<IpAddr, Instant>> {
        self.shut.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_tries_too_often_waits_and_nobody_else() {
        let limiter = Limiter::new();
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        for _ in 0..BURST.get() {
            assert_eq!(limiter.count(address("2001:db8::1")), Ok(()));
        }
        let wait = limiter.count(address("2001:db8::2")).unwrap_err();
        assert!(wait > Duration::ZERO && wait <= PERIOD, "{wait:?}");
        assert_eq!(limiter.count(address("2001:db8:0:1::1")), Ok(()));
        assert_eq!(network(address("::ffff:192.0.2.1")), address("192.0.2.1"));
    }

    #[test]
    fn a_flood_of_addresses_takes_no_more_memory() {
        let limiter = Limiter::new();
        for n in 0..2 * MOST as u32 {
            _ = limiter.count(std::net::Ipv4Addr::from_bits(n).into());
        }
        assert!(limiter.tries.len() <= MOST);
    }
}
