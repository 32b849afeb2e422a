//! Linux: registration and wait go to epoll directly, all edge-triggered.
//!
//! `polling` makes and owns the epoll descriptor. The notifier is an eventfd of our own, registered
//! once in edge mode and never read: each write is an edge, and its counter cannot overflow before
//! 2^64 - 1 notifications.
//!
//! A wait with a timeout is the kernel's exact one (`exact.rs`), where it knows that.

use super::super::source::Readiness;
use super::exact::{self, Record};
use crate::sync::AtomicBool;
use crate::sync::atomic::Ordering::Relaxed;
use rustix::event::epoll::{self, Event, EventData, EventFlags};
use rustix::event::{EventfdFlags, Timespec, eventfd};
use rustix::io::Errno;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

/// Sources stay armed.
pub(crate) const IS_ONESHOT: bool = false;
/// EPOLLRDHUP is asked for, so the end of a stream has a bit of its own.
pub(crate) const TELLS_READ_CLOSED: bool = true;

/// Never a source's token.
const NOTIFIER: u64 = u64::MAX;

/// See the module.
#[derive(Debug)]
pub(crate) struct Poller {
    owner: polling::Poller,
    notifier: OwnedFd,
    /// The kernel knows milliseconds only.
    is_coarse: AtomicBool,
}

/// The events of one wait: tokens and what came for them. The kernel's own records hold a pointer
/// in a union and so cannot change threads; they live on the stack during the wait.
#[derive(Debug)]
pub(crate) struct Events(Vec<(u64, Readiness)>);

/// The longest timeout of a wait in milliseconds.
const COARSE_MAX: Duration = Duration::from_millis(i32::MAX as u64);
/// Events taken in one wait.
const BATCH: usize = 256;

impl Events {
    pub(crate) fn new() -> Self {
        Self(Vec::with_capacity(BATCH))
    }

    /// Tokens and what came for them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, Readiness)> {
        self.0.iter().copied()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

fn readiness(flags: EventFlags) -> Readiness {
    let mut ready = Readiness::NONE;
    let mut set = |on: bool, bit| {
        if on {
            ready |= bit;
        }
    };
    let hangup = flags.contains(EventFlags::HUP);
    set(
        flags.intersects(EventFlags::IN | EventFlags::RDHUP),
        Readiness::READABLE,
    );
    set(flags.contains(EventFlags::OUT), Readiness::WRITABLE);
    set(flags.contains(EventFlags::PRI), Readiness::PRIORITY);
    set(
        hangup || flags.contains(EventFlags::RDHUP),
        Readiness::READ_CLOSED,
    );
    set(hangup, Readiness::WRITE_CLOSED);
    set(flags.contains(EventFlags::ERR), Readiness::ERROR);
    ready
}

impl Poller {
    pub(crate) fn new() -> io::Result<Self> {
        let owner = polling::Poller::new()?;
        let notifier = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let flags = EventFlags::IN | EventFlags::ET;
        epoll::add(&owner, &notifier, EventData::new_u64(NOTIFIER), flags)?;
        Ok(Self {
            owner,
            notifier,
            is_coarse: AtomicBool::new(false),
        })
    }

    /// Watches everything about `source`.
    pub(crate) fn add(&self, source: &impl AsFd, token: u64) -> io::Result<()> {
        let flags =
            EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::PRI | EventFlags::ET;
        epoll::add(&self.owner, source, EventData::new_u64(token), flags)?;
        Ok(())
    }

    pub(crate) fn delete(&self, source: &impl AsFd) -> io::Result<()> {
        epoll::delete(&self.owner, source)?;
        Ok(())
    }

    /// Waits for events. `true`: something came, a notification or a signal included.
    pub(crate) fn wait(&self, events: &mut Events, timeout: Option<Duration>) -> io::Result<bool> {
        events.0.clear();
        let mut came = false;
        let mut add = |token: u64, flags: EventFlags| {
            came = true;
            if token != NOTIFIER {
                events.0.push((token, readiness(flags)));
            }
        };
        // Relaxed: a flag of its own.
        if let Some(timeout) = timeout.filter(|t| !t.is_zero() && !self.is_coarse.load(Relaxed)) {
            let mut room = [const { MaybeUninit::uninit() }; BATCH];
            match exact::wait(self.owner.as_fd(), &mut room, timeout) {
                Ok(records) => {
                    let flags = |record: &Record| EventFlags::from_bits_retain(record.events);
                    records.for_each(|record| add(record.u64, flags(&record)));
                    return Ok(came);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(true),
                // Unknown to the kernel, or to a sandbox; what else may be wrong, the call below tells.
                Err(_) => self.is_coarse.store(true, Relaxed),
            }
        }
        let mut room = [const { MaybeUninit::<Event>::uninit() }; BATCH];
        // It rounds up to milliseconds, of which it takes so many; waking early is no harm.
        let timeout = timeout.map(|timeout| timeout.min(COARSE_MAX));
        let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
        match epoll::wait(&self.owner, &mut room[..], timeout.as_ref()) {
            Ok((taken, _)) => {
                let taken = taken.iter();
                taken.for_each(|event| add(event.data.u64(), event.flags));
                Ok(came)
            }
            Err(Errno::INTR) => Ok(true),
            Err(error) => Err(error.into()),
        }
    }

    /// Timeouts are exact, as far as is known.
    pub(crate) fn is_exact(&self) -> bool {
        // Relaxed: a flag of its own.
        !self.is_coarse.load(Relaxed)
    }

    /// Interrupts the wait, or the next one.
    pub(crate) fn notify(&self) {
        let written = rustix::io::write(self.notifier.as_fd(), &1_u64.to_ne_bytes());
        debug_assert!(written.is_ok(), "eventfd: {written:?}");
    }
}
