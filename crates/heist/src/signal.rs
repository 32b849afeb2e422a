//! Signals of the operating system, on Unix.
//!
//! The handler is that of the `signal-hook` crate, which others may share; it writes a byte to a
//! socket that the reactor watches, so a signal is an IO event like any other.

use crate::io::AsyncReadExt;
use crate::net::UnixStream;
use signal_hook::SigId;
use signal_hook::consts;
use std::fmt;
use std::io;
use std::os::unix::net;

/// Which signal.
///
/// ```
/// use heist::signal::SignalKind;
/// assert_eq!(SignalKind::interrupt(), SignalKind::from_raw(2));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SignalKind(i32);

impl SignalKind {
    /// A signal by its number.
    pub const fn from_raw(number: i32) -> Self {
        Self(number)
    }

    /// SIGINT: Ctrl-C at the terminal.
    pub const fn interrupt() -> Self {
        Self(consts::SIGINT)
    }

    /// SIGTERM: the usual request to end.
    pub const fn terminate() -> Self {
        Self(consts::SIGTERM)
    }

    /// SIGHUP: the terminal is gone; servers often read their configuration again.
    pub const fn hangup() -> Self {
        Self(consts::SIGHUP)
    }

    /// SIGQUIT: Ctrl-\ at the terminal.
    pub const fn quit() -> Self {
        Self(consts::SIGQUIT)
    }

    /// SIGUSR1.
    pub const fn user_defined1() -> Self {
        Self(consts::SIGUSR1)
    }

    /// SIGUSR2.
    pub const fn user_defined2() -> Self {
        Self(consts::SIGUSR2)
    }

    /// SIGCHLD: a child process has ended.
    pub const fn child() -> Self {
        Self(consts::SIGCHLD)
    }

    /// SIGWINCH: the terminal's size has changed.
    pub const fn window_change() -> Self {
        Self(consts::SIGWINCH)
    }
}

/// Listens for a signal, from now on.
///
/// The first listener of a kind replaces the signal's default action for the rest of the process's
/// life, also after it is dropped: a program that listened for SIGINT once is not ended by Ctrl-C
/// any more.
///
/// # Errors
///
/// Those of the system, and for signals that cannot be caught.
///
/// # Panics
///
/// Outside a runtime.
#[track_caller]
pub fn signal(kind: SignalKind) -> io::Result<Signal> {
    if consts::FORBIDDEN.contains(&kind.0) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("signal {} cannot be caught", kind.0),
        ));
    }
    let (handler, ours) = net::UnixStream::pair()?;
    ours.set_nonblocking(true)?;
    let received = UnixStream::from_std(ours)?;
    let id = signal_hook::low_level::pipe::register(kind.0, handler)?;
    Ok(Signal { received, id })
}

/// A listener for a signal; see [`signal`].
///
/// ```
/// use heist::signal::{SignalKind, signal};
///
/// # heist::runtime::Runtime::new()?.block_on(async {
/// let mut usr1 = signal(SignalKind::user_defined1())?;
/// signal_hook::low_level::raise(signal_hook::consts::SIGUSR1)?;
/// usr1.recv().await;
/// # Ok::<(), std::io::Error>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Signal {
    received: UnixStream,
    id: SigId,
}

impl Signal {
    /// Waits for the signal. Several that come before they are received may count as one.
    /// `None`: the runtime has shut down.
    ///
    /// # Cancel safety
    ///
    /// No signal is lost by dropping it.
    pub async fn recv(&mut self) -> Option<()> {
        let mut bytes = [0; 64];
        match self.received.read(&mut bytes).await {
            Ok(n) if n > 0 => Some(()),
            _ => None,
        }
    }
}

impl Drop for Signal {
    fn drop(&mut self) {
        signal_hook::low_level::unregister(self.id);
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signal").finish_non_exhaustive()
    }
}

/// Waits for Ctrl-C. What [`signal`] says of the default action holds.
///
/// # Errors
///
/// Those of the system.
///
/// # Cancel safety
///
/// A Ctrl-C that comes after the first poll and before the drop is lost with it; hold a
/// [`Signal`] to lose none.
///
/// # Panics
///
/// Outside a runtime.
pub async fn ctrl_c() -> io::Result<()> {
    match signal(SignalKind::interrupt())?.recv().await {
        Some(()) => Ok(()),
        None => Err(io::Error::other("the runtime has shut down")),
    }
}
