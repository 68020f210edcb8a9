//! Slows down who guesses a token: after a few wrong ones, an address must wait longer and longer.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

/// Wrong tokens that an address may send without waiting.
const FREE: u32 = 5;
/// The longest wait, in seconds.
const LONGEST: u64 = 60;
/// After this time without a wrong token an address begins anew.
const FORGOTTEN: Duration = Duration::from_secs(600);
/// Addresses that are remembered. A further one takes the place of the one that failed longest ago.
const ADDRESSES: usize = 1024;

/// The wrong tokens of each address.
#[derive(Default)]
pub(super) struct Attempts(Mutex<HashMap<IpAddr, Failures>>);

struct Failures {
    count: u32,
    last: Instant,
}

impl Attempts {
    /// Returns how long the address must still wait; `None` if it may try now.
    fn wait(&self, address: IpAddr, now: Instant) -> Option<Duration> {
        let failures = self.lock();
        let Failures { count, last } = failures.get(&network(address))?;
        let seconds = 1_u64.checked_shl(count.checked_sub(FREE)?).map_or(LONGEST, |seconds| seconds.min(LONGEST));
        (*last + Duration::from_secs(seconds)).checked_duration_since(now).filter(|wait| !wait.is_zero())
    }

    /// Adds a wrong token.
    fn failed(&self, address: IpAddr, now: Instant) {
        let mut failures = self.lock();
        failures.retain(|_, failures| now.duration_since(failures.last) < FORGOTTEN);
        let address = network(address);
        if failures.len() >= ADDRESSES
            && !failures.contains_key(&address)
            && let Some(oldest) = failures.iter().min_by_key(|(_, failures)| failures.last).map(|(address, _)| *address)
        {
            failures.remove(&oldest);
        }
        let own = failures.entry(address).or_insert(Failures { count: 0, last: now });
        (own.count, own.last) = (own.count.saturating_add(1), now);
    }

    /// Forgets the wrong tokens of an address that knows the right one.
    fn succeeded(&self, address: IpAddr) {
        self.lock().remove(&network(address));
    }

    /// Returns the response to who gave a token: `None` if it is right, `wrong` if it is not, and another one, without looking at
    /// the token, while the address must wait. `name` is that of the token.
    pub fn refusal(
        &self,
        address: IpAddr,
        name: &str,
        is_right: impl FnOnce() -> bool,
        wrong: impl FnOnce() -> Response,
    ) -> Option<Response> {
        let now = Instant::now();
        if let Some(wait) = self.wait(address, now) {
            let seconds = wait.as_millis().div_ceil(1000).to_string();
            let text = format!("too many wrong {name}s; try again later\n");
            return Some((StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, seconds)], text).into_response());
        }
        if is_right() {
            self.succeeded(address);
            return None;
        }
        self.failed(address, now);
        Some(wrong())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, Failures>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns what counts as one address: of IPv6 the network, since one machine has many addresses in it.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) if v6.to_ipv4_mapped().is_none() => {
            IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)))
        }
        other => other.to_canonical(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn an_address_waits_longer_and_longer() {
        let (attempts, now) = (Attempts::default(), Instant::now());
        let [one, other] = ["192.0.2.1", "192.0.2.2"].map(|text| text.parse().unwrap());
        let mut waits = Vec::new();
        for _ in 0..13 {
            attempts.failed(one, now);
            waits.push(attempts.wait(one, now).map_or(0, |wait| wait.as_secs()));
        }
        assert_eq!(waits, [0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert_eq!(attempts.wait(one, now + 59 * SECOND), Some(SECOND));
        assert_eq!((attempts.wait(one, now + 60 * SECOND), attempts.wait(other, now)), (None, None));
        attempts.succeeded(one);
        assert_eq!(attempts.wait(one, now), None);
    }

    #[test]
    fn an_ipv6_network_counts_as_one_and_old_failures_are_forgotten() {
        let (attempts, now) = (Attempts::default(), Instant::now());
        let [one, near, far] = ["2001:db8::1", "2001:db8::ffff:1", "2001:db8:0:1::1"].map(|text| text.parse().unwrap());
        (0..6).for_each(|_| attempts.failed(one, now));
        assert!(attempts.wait(near, now).is_some() && attempts.wait(far, now).is_none());
        attempts.failed(one, now + FORGOTTEN);
        assert_eq!(attempts.wait(one, now + FORGOTTEN), None);
    }

    #[test]
    fn the_number_of_addresses_is_limited() {
        let (attempts, now) = (Attempts::default(), Instant::now());
        let address = |number: usize| IpAddr::V4(std::net::Ipv4Addr::from_bits(number as u32));
        (0..FREE).for_each(|_| attempts.failed(address(0), now));
        (1..=ADDRESSES).for_each(|number| attempts.failed(address(number), now + SECOND));
        assert_eq!(attempts.lock().len(), ADDRESSES);
        assert_eq!(attempts.wait(address(0), now), None);
    }
}
