//! Clocks that lie.

use std::time::Duration;

use parking_lot::Mutex;

use super::control::Control;

/// What is wrong with a process's clocks. The boot clock may run fast or slow but never goes back; the wall
/// clock does whatever it is told.
pub struct Skew(Mutex<State>);

struct State {
    /// Where the line of the boot clock begins: the system's time and what was shown for it.
    from: Duration,
    shown: Duration,
    rate: f64,
    offset_ms: i64,
    strobe_ms: i64,
    strobe_period_ms: u64,
    /// The rate to go on with from the next look at the clock.
    next_rate: f64,
}

impl Skew {
    pub(super) fn new() -> Self {
        Self(Mutex::new(State {
            from: Duration::ZERO,
            shown: Duration::ZERO,
            rate: 1.0,
            offset_ms: 0,
            strobe_ms: 0,
            strobe_period_ms: 1,
            next_rate: 1.0,
        }))
    }

    pub(super) fn set(&self, control: &Control) {
        let mut state = self.0.lock();
        state.next_rate = control.clock_rate;
        state.offset_ms = control.clock_offset_ms;
        state.strobe_ms = control.clock_strobe_ms;
        state.strobe_period_ms = control.clock_strobe_period_ms.max(1);
    }

    /// The boot clock; the system's is asked under the lock, so that what is shown only grows.
    pub(crate) fn boot(&self, system: impl FnOnce() -> Duration) -> Duration {
        let mut state = self.0.lock();
        let now = system();
        let since = now.saturating_sub(state.from);
        // Exact at full speed: floats lose nanoseconds after weeks.
        let grown = if is_one(state.rate) {
            since
        } else {
            since.mul_f64(state.rate)
        };
        let shown = state.shown + grown;
        if !same(state.rate, state.next_rate) {
            (state.from, state.shown, state.rate) = (now, shown, state.next_rate);
        }
        shown
    }

    /// The wall clock, from the system's.
    pub(crate) fn wall_ms(&self, system_ms: u64) -> u64 {
        let state = self.0.lock();
        let jumped = (system_ms / state.strobe_period_ms) % 2 == 1;
        let strobe = if jumped { state.strobe_ms } else { 0 };
        system_ms.saturating_add_signed(state.offset_ms.saturating_add(strobe))
    }

    /// How long the system has to wait for this interval to pass.
    pub(crate) fn to_system(&self, interval: Duration) -> Duration {
        let rate = self.0.lock().next_rate;
        if is_one(rate) {
            return interval;
        }
        Duration::try_from_secs_f64(interval.as_secs_f64() / rate).unwrap_or(Duration::MAX)
    }
}

fn same(a: f64, b: f64) -> bool {
    (a - b).abs() < f64::EPSILON
}

fn is_one(rate: f64) -> bool {
    same(rate, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(skew: &Skew, text: &str) {
        skew.set(&Control::parse(text).unwrap());
    }

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn the_boot_clock_changes_its_pace_and_never_jumps() {
        let skew = Skew::new();
        let boot = |at| skew.boot(|| s(at));
        assert_eq!(boot(100), s(100));
        set(&skew, r#"{"clock_rate": 2.0, "clock_offset_ms": -3600000}"#);
        assert_eq!(boot(100), s(100), "no jump");
        assert_eq!(boot(110), s(120));
        assert_eq!(skew.to_system(s(4)), s(2));
        set(&skew, r#"{"clock_rate": 0.5}"#);
        assert_eq!(boot(110), s(120));
        assert_eq!(boot(130), s(130));
        assert_eq!(skew.to_system(s(4)), s(8));
        set(&skew, "");
        assert_eq!(boot(130), s(130));
        assert_eq!(boot(131), s(131));
        assert_eq!(skew.to_system(s(4)), s(4));
    }

    #[test]
    fn whatever_is_said_the_boot_clock_never_goes_back() {
        let skew = Skew::new();
        let mut last = Duration::ZERO;
        for step in 0..2000_u64 {
            if step % 7 == 0 {
                let rate = [0.1, 1.0, 3.7, 0.9, 10.0][(step / 7) as usize % 5];
                set(&skew, &format!(r#"{{"clock_rate": {rate}}}"#));
            }
            let now = skew.boot(|| s(50) + Duration::from_micros(step * 13));
            assert!(now >= last, "{now:?} after {last:?}");
            last = now;
        }
        // A system clock that goes back itself changes nothing.
        assert!(skew.boot(|| s(1)) <= last);
    }

    #[test]
    fn the_wall_clock_is_moved_and_strobes() {
        let skew = Skew::new();
        assert_eq!(skew.wall_ms(5_000), 5_000);
        set(&skew, r#"{"clock_offset_ms": 250}"#);
        assert_eq!(skew.wall_ms(5_000), 5_250);
        set(&skew, r#"{"clock_offset_ms": -6000}"#);
        assert_eq!(skew.wall_ms(5_000), 0, "no time before 1970");
        set(
            &skew,
            r#"{"clock_strobe_ms": 400, "clock_strobe_period_ms": 100}"#,
        );
        let shown: Vec<_> = (0..4).map(|tenth| skew.wall_ms(5_000 + tenth * 100)).collect();
        assert_eq!(shown, [5_000, 5_500, 5_200, 5_700]);
    }
}
