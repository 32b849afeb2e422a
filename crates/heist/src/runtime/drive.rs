//! Where the scheduler meets the driver: how a worker parks.
//!
//! Tests: `runtime/drive/tests.rs`, `driver/tests/loom.rs`.

#[cfg(test)]
mod tests;

use crate::blocking::Pool;
use crate::clock::Nanos;
use crate::driver::Driver;
use crate::driver::lead::Until;
use crate::driver::sleeper::Sleeper;
use crate::scheduler::park::Parker;
use crate::scheduler::{Drive, Parked};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// The driver as the scheduler sees it.
#[derive(Debug)]
pub(super) struct RuntimeDrive {
    driver: Arc<Driver>,
    sleeper: Sleeper,
    /// Asked whether blocking calls are under way, under a virtual clock.
    pool: OnceLock<Pool>,
}

impl RuntimeDrive {
    pub(super) fn new(driver: Arc<Driver>) -> Arc<Self> {
        Arc::new(Self {
            driver,
            sleeper: Sleeper::new(),
            pool: OnceLock::new(),
        })
    }

    pub(super) fn set_pool(&self, pool: Pool) {
        let set = self.pool.set(pool);
        debug_assert!(set.is_ok(), "a runtime has one pool");
    }

    /// Blocks in the poller if nobody else is there, else on the parker. Until when is asked once it is known who has the
    /// poller: what is armed later notifies whoever has it, and nobody else can take that notification.
    fn block(&self, worker: usize, parker: &Parker, until: impl FnOnce() -> Option<Until>) {
        let turning = self.driver.try_turn();
        let until = until();
        match turning {
            None => (self.driver).sleep(worker, until, |timeout| parker.park(timeout)),
            Some(mut turning) => {
                // The deadline itself, and not the sum of a clock and what is left: a timer that is watched already is
                // not before it.
                (self.sleeper).lie_down(worker, until.map(|until| until.moment));
                (self.driver).sleep(worker, until, |timeout| {
                    let mut came = false;
                    parker.park_in_driver(|| came = turning.wait(timeout)) || came
                });
                // Before anything of somebody else's runs [L1].
                self.sleeper.get_up();
                turning.dispatch();
            }
        }
    }

    fn park_virtual(&self, worker: usize, parker: &Parker) -> Parked {
        let mut events = 0;
        if let Some(mut turning) = self.driver.try_turn() {
            turning.wait(Some(Duration::ZERO));
            events = turning.dispatch();
        }
        if events > 0 {
            return Parked::Woke;
        }
        let in_flight = self.pool.get().map_or(0, |pool| pool.load().in_flight);
        if in_flight > 0 {
            self.block(worker, parker, || None);
            return Parked::Woke;
        }
        // A call wakes whom it wakes before it is counted out: the last one may just have done so.
        if parker.take_token() {
            return Parked::Woke;
        }
        if let Some(deadline) = self.driver.next_deadline(worker) {
            self.driver.clock().jump_to(deadline);
            self.driver.fire(worker);
            return Parked::Woke;
        }
        if self.driver.n_sources() > 0 {
            self.block(worker, parker, || None);
            return Parked::Woke;
        }
        Parked::Deadlock
    }
}

impl Drive for RuntimeDrive {
    fn turn(&self, worker: usize) {
        if let Some(mut turning) = self.driver.try_turn() {
            turning.wait(Some(Duration::ZERO));
            turning.dispatch();
        }
        self.driver.fire(worker);
    }

    fn fire(&self, worker: usize) {
        self.driver.fire(worker);
    }

    fn park_aside(&self, worker: usize, parker: &Parker) {
        let until = self.driver.sleeps_until(worker);
        (self.driver).sleep(worker, until, |timeout| parker.park(timeout));
        self.driver.fire(worker);
    }

    fn park(&self, worker: usize, watch: &dyn Fn() -> bool, parker: &Parker) -> Parked {
        if self.driver.clock().is_virtual() {
            return self.park_virtual(worker, parker);
        }
        let mut watches = false;
        self.block(worker, parker, || {
            watches = watch();
            match watches {
                true => self.driver.all_sleep_until(),
                false => self.driver.sleeps_until(worker),
            }
        });
        if watches {
            self.driver.fire_all();
        } else {
            self.driver.fire(worker);
        }
        Parked::Woke
    }

    fn entrust_timers(&self, worker: usize) {
        let until = self.sleeper.until().unwrap_or(Nanos::MAX);
        let next = self.driver.next_deadline(worker);
        if next.is_some_and(|next| next < until) {
            self.driver.notify();
        }
    }

    fn has_timers(&self, worker: usize) -> bool {
        self.driver.has_timers(worker)
    }

    fn notify(&self) {
        self.driver.notify();
    }

    fn wakes_in(&self) -> Option<Duration> {
        let until = self.sleeper.until()?;
        let left = until.saturating_sub(self.driver.clock().nanos());
        Some(Duration::from_nanos(left))
    }

    fn is_exact(&self) -> bool {
        self.driver.is_exact()
    }

    fn hold_if_late(&self, by: Duration, meanwhile: &mut dyn FnMut(usize, &dyn Fn())) {
        let by = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
        if let Some(then) = self.driver.clock().nanos().checked_sub(by) {
            // One that is on its way already would leave the notification to the next wait, which would end at once.
            let wake = || {
                if self.sleeper.is_held() {
                    self.driver.notify();
                }
            };
            self.sleeper.hold(then, |worker| meanwhile(worker, &wake));
        }
    }

    fn poller(&self) -> Option<usize> {
        self.sleeper.worker()
    }
}
