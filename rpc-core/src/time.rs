//! Points in time as the session sees them: counted from an origin its driver chose, never read from a clock.

use std::{ops::Add, time::Duration};

/// Microseconds since the driver's origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) struct Time(u64);

impl Time {
    /// The origin that the driver chose.
    pub(crate) const ZERO: Self = Self(0);

    /// The time from `self` until `later`; zero if `later` is not later.
    pub(crate) fn until(self, later: Self) -> Duration {
        Duration::from_micros(later.0.saturating_sub(self.0))
    }
}

impl Time {
    /// The moment from which on a call that has waited since `self` is not started any more: after three quarters of its time until
    /// `deadline`. The last quarter is for running it and for the way back. Under overload, calls started later would all be
    /// answered too late. Never later than `deadline`, even if no time is left.
    pub(crate) fn too_late(self, deadline: Self) -> Self {
        (self + self.until(deadline) * 3 / 4 + Duration::from_micros(1)).min(deadline)
    }
}

/// Addition saturates: a peer's longest duration must not overflow a clock.
impl Add<Duration> for Time {
    type Output = Self;
    fn add(self, rhs: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(rhs.as_micros()).unwrap_or(u64::MAX)))
    }
}

#[cfg(feature = "driver")]
pub(crate) use clock::now;

/// The process's clock, for code outside sessions: stubs, contexts, drivers.
#[cfg(feature = "driver")]
mod clock {
    use std::{sync::OnceLock, time::Duration};

    use tokio::time::Instant;

    use super::Time;

    /// The time by which the origin lies before the first look at the clock.
    const MARGIN: Duration = Duration::from_secs(24 * 60 * 60);

    /// The time on tokio's clock, so that paused time in tests is honoured.
    pub(crate) fn now() -> Time {
        static ORIGIN: OnceLock<Instant> = OnceLock::new();
        let now = Instant::now();
        Time::ZERO + now.saturating_duration_since(*ORIGIN.get_or_init(|| origin(now)))
    }

    /// A paused clock begins with the real time and advances by itself. So the clock of one runtime can lie far behind that of another
    /// one in the same process, and time would stand still for it until it passed the origin.
    fn origin(now: Instant) -> Instant {
        let first = now.min(std::time::Instant::now().into());
        first.checked_sub(MARGIN).unwrap_or(first)
    }
}

#[cfg(not(feature = "driver"))]
pub(crate) fn now() -> Time {
    use std::{sync::OnceLock, time::Instant};
    static ORIGIN: OnceLock<Instant> = OnceLock::new();
    let now = Instant::now();
    Time::ZERO + now.saturating_duration_since(*ORIGIN.get_or_init(|| now))
}

#[cfg(all(test, feature = "driver"))]
mod tests;
