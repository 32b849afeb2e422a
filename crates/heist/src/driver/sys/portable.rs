//! Everywhere but Linux: `polling` alone. Edge-triggered where it can be, else oneshot with a new
//! arming for each wait.
#![expect(
    unsafe_code,
    reason = "`polling` cannot know that a source is deleted before it is dropped"
)]

use super::super::source::Readiness;
use super::AsSource;
use polling::{Event, PollMode};
use std::io;
use std::time::Duration;

/// Sources are armed anew for each wait: the one mode that every poller has.
pub(crate) const IS_ONESHOT: bool = true;
/// `polling` folds the end of a stream into readability.
pub(crate) const TELLS_READ_CLOSED: bool = false;

/// See the module.
#[derive(Debug)]
pub(crate) struct Poller(polling::Poller);

/// Room for the events of one wait.
pub(crate) struct Events(polling::Events);

impl Events {
    pub(crate) fn new() -> Self {
        Self(polling::Events::new())
    }

    /// Tokens and what came for them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, Readiness)> {
        self.0.iter().map(|event| {
            let mut ready = Readiness::NONE;
            if event.readable {
                ready |= Readiness::READABLE;
            }
            if event.writable {
                ready |= Readiness::WRITABLE;
            }
            (event.key as u64, ready)
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

impl Poller {
    pub(crate) fn new() -> io::Result<Self> {
        polling::Poller::new().map(Self)
    }

    /// Registers `source`, armed for nothing yet.
    pub(crate) fn add(&self, source: &impl AsSource, token: u64) -> io::Result<()> {
        let interest = Event::none(token as usize);
        #[cfg(unix)]
        let raw = std::os::fd::AsRawFd::as_raw_fd(&source.as_fd());
        #[cfg(windows)]
        let raw = std::os::windows::io::AsRawSocket::as_raw_socket(&source.as_socket());
        // SAFETY: the source must be deleted before it is closed: `Registration` is dropped before
        // the source that it was made of, by the field rule of `IoSource` (registration.rs).
        unsafe { self.0.add_with_mode(raw, interest, PollMode::Oneshot) }
    }

    /// Arms `source` for what is waited for.
    pub(crate) fn arm(
        &self,
        source: &impl AsSource,
        token: u64,
        interest: Readiness,
    ) -> io::Result<()> {
        let event = Event::new(
            token as usize,
            interest.intersects(Readiness::READ),
            interest.intersects(Readiness::WRITE),
        );
        self.0.modify_with_mode(source, event, PollMode::Oneshot)
    }

    pub(crate) fn delete(&self, source: &impl AsSource) -> io::Result<()> {
        self.0.delete(source)
    }

    /// Waits for events. `true`: something came, or a signal; a notification is not told from nothing.
    pub(crate) fn wait(&self, events: &mut Events, timeout: Option<Duration>) -> io::Result<bool> {
        events.0.clear();
        match self.0.wait(&mut events.0, timeout) {
            Ok(n) => Ok(n > 0),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// It differs from system to system.
    pub(crate) fn is_exact(&self) -> bool {
        false
    }

    /// Interrupts the wait, or the next one.
    pub(crate) fn notify(&self) {
        // It fails only when the poller is closed, and then nobody waits.
        let _ = self.0.notify();
    }
}
