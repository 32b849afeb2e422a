//! Our claim on an OS object: registered while it lives, and every operation on it.
//!
//! [`IoSource`] owns the object and its registration. The field order matters: dropping it
//! deregisters first and closes second, which is what `polling` demands.
//!
//! Operations are optimistic: tried at once while the source is taken for ready, and only on
//! `WouldBlock` does the task wait. The protocol is in `source.rs`.

use super::source::{Readiness, Seen, Side, Source};
use super::sys::{self, AsSource};
use super::{Driver, Slot, token};
use crate::budget;
use std::fmt;
use std::io;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// An OS object that is registered with a driver.
pub(crate) struct IoSource<T: AsSource> {
    /// `None` only while dropping or taken back.
    io: Option<T>,
    source: Arc<Source>,
    driver: Arc<Driver>,
    token: u64,
}

impl<T: AsSource> IoSource<T> {
    /// Registers `io`, which must be non-blocking. `assumed` is what it is taken to be ready for
    /// until tried.
    ///
    /// # Errors
    ///
    /// Those of the poller; the object is then dropped.
    pub(crate) fn new(driver: &Arc<Driver>, io: T, assumed: Readiness) -> io::Result<Self> {
        let source = Arc::new(Source::new(assumed));
        let (index, token) = {
            let mut sources = driver.sources.lock();
            if sources.closed {
                return Err(shut_down());
            }
            sources.generation = sources.generation.wrapping_add(1) & 0x7fff_ffff;
            let generation = sources.generation;
            let index = sources.slots.insert(Slot {
                source: source.clone(),
                generation,
            });
            (index, token(index, generation))
        };
        if let Err(error) = driver.poller.add(&io, token) {
            driver.sources.lock().slots.remove(index);
            return Err(error);
        }
        Ok(Self {
            io: Some(io),
            source,
            driver: driver.clone(),
            token,
        })
    }

    /// Takes the object back, deregistered.
    ///
    /// # Errors
    ///
    /// Those of the poller.
    pub(crate) fn into_io(mut self) -> io::Result<T> {
        self.deregister()?;
        Ok(self.io.take().expect("the object is here until now"))
    }

    fn deregister(&self) -> io::Result<()> {
        let (index, generation) = super::split(self.token);
        let slot = {
            let slots = &mut self.driver.sources.lock().slots;
            // A failed `into_io` comes here twice, and another object may have the slot by then.
            let ours = slots
                .get(index)
                .is_some_and(|slot| slot.generation == generation);
            ours.then(|| slots.remove(index))
        };
        drop(slot);
        match &self.io {
            Some(io) => self.driver.poller.delete(io),
            None => Ok(()),
        }
    }

    /// Waits on one side. The other calls of that side lose their place.
    pub(crate) fn poll_ready(&self, side: Side, cx: &mut Context<'_>) -> Poll<io::Result<Seen>> {
        match self.source.poll_ready(side, cx) {
            Poll::Ready(seen) => Poll::Ready(check(seen)),
            Poll::Pending => {
                self.arm()?;
                Poll::Pending
            }
        }
    }

    /// In oneshot mode a wait must be told to the poller.
    #[cfg(any(not(target_os = "linux"), heist_portable_poller))]
    fn arm(&self) -> io::Result<()> {
        debug_assert!(sys::IS_ONESHOT);
        self.driver
            .poller
            .arm(&**self, self.token, self.source.interest())
    }

    #[cfg(all(target_os = "linux", not(heist_portable_poller)))]
    fn arm(&self) -> io::Result<()> {
        const { assert!(!sys::IS_ONESHOT) };
        Ok(())
    }

    /// Tries `op` while the side is taken for ready, and waits when it says `WouldBlock`.
    #[inline]
    pub(crate) fn poll_io<R>(
        &self,
        side: Side,
        cx: &mut Context<'_>,
        mut op: impl FnMut(&T) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        ready!(budget::poll_proceed(cx));
        loop {
            let seen = ready!(self.poll_ready(side, cx))?;
            match op(self) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.source.clear(seen),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                done => return Poll::Ready(done),
            }
        }
    }

    /// As `poll_io`, for a transfer of at most `len` bytes on a stream: a short one means that
    /// there is no more, so the next need not be tried \[I4\].
    #[inline]
    pub(crate) fn poll_transfer(
        &self,
        side: Side,
        len: usize,
        cx: &mut Context<'_>,
        mut op: impl FnMut(&T) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        ready!(budget::poll_proceed(cx));
        loop {
            let seen = ready!(self.poll_ready(side, cx))?;
            match op(self) {
                Ok(n) => {
                    if 0 < n && n < len {
                        self.clear_after_short(seen);
                    }
                    return Poll::Ready(Ok(n));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.source.clear(seen),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    /// As `poll_io`, for any number of callers at once.
    pub(crate) async fn io<R>(
        &self,
        interest: Readiness,
        mut op: impl FnMut(&T) -> io::Result<R>,
    ) -> io::Result<R> {
        loop {
            let seen = self.ready(interest).await?;
            match op(self) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.source.clear(seen),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                done => return done,
            }
        }
    }

    /// Tries `op` once, if the source is taken for ready.
    pub(crate) fn try_io<R>(
        &self,
        interest: Readiness,
        op: impl FnOnce(&T) -> io::Result<R>,
    ) -> io::Result<R> {
        let seen = check(self.source.seen(interest))?;
        if seen.ready == Readiness::NONE {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let done = op(self);
        if matches!(&done, Err(error) if error.kind() == io::ErrorKind::WouldBlock) {
            self.source.clear(seen);
        }
        done
    }

    /// The source turned out not to be ready for what was seen.
    pub(crate) fn clear(&self, seen: Seen) {
        self.source.clear(seen);
    }

    /// A transfer moved less than it could have: there is no more now \[I4\].
    #[inline]
    pub(crate) fn clear_after_short(&self, seen: Seen) {
        if sys::TELLS_READ_CLOSED {
            self.source.clear(seen);
        }
    }

    /// Waits for any of `interest`, with any number of callers at once.
    pub(crate) fn ready(&self, interest: Readiness) -> Ready<'_, T> {
        Ready {
            io: self,
            interest,
            id: None,
        }
    }
}

fn check(seen: Seen) -> io::Result<Seen> {
    match seen.ready.intersects(Readiness::SHUTDOWN) {
        true => Err(shut_down()),
        false => Ok(seen),
    }
}

fn shut_down() -> io::Error {
    io::Error::other("the runtime that this IO object belongs to has shut down")
}

impl<T: AsSource> Deref for IoSource<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.io.as_ref().expect("the object is here until dropped")
    }
}

impl<T: AsSource> Drop for IoSource<T> {
    fn drop(&mut self) {
        if self.io.is_some() {
            // The kernel forgets a descriptor that it does not know; there is nobody to tell.
            let _ = self.deregister();
        }
    }
}

impl<T: AsSource + fmt::Debug> fmt::Debug for IoSource<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.io {
            Some(io) => io.fmt(f),
            None => f.write_str("IoSource(taken)"),
        }
    }
}

/// The future of [`IoSource::ready`].
pub(crate) struct Ready<'a, T: AsSource> {
    io: &'a IoSource<T>,
    interest: Readiness,
    id: Option<u64>,
}

impl<T: AsSource> Future for Ready<'_, T> {
    type Output = io::Result<Seen>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        ready!(budget::poll_proceed(cx));
        let seen = self.io.source.seen(self.interest);
        if seen.ready != Readiness::NONE && self.id.is_none() {
            return Poll::Ready(check(seen));
        }
        let Self { io, interest, id } = &mut *self;
        match io.source.poll_shared(*interest, id, cx) {
            Poll::Ready(seen) => Poll::Ready(check(seen)),
            Poll::Pending => {
                io.arm()?;
                Poll::Pending
            }
        }
    }
}

impl<T: AsSource> Drop for Ready<'_, T> {
    fn drop(&mut self) {
        if self.id.is_some() {
            self.io.source.cancel_shared(&mut self.id);
        }
    }
}
