//! What to wait for, and what came.

use crate::driver::source::Readiness;
use std::ops::BitOr;

/// What to wait for on an IO object.
///
/// ```
/// use heist::io::Interest;
///
/// let both = Interest::READABLE | Interest::WRITABLE;
/// assert!(both.is_readable() && both.is_writable());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interest(Readiness);

impl Interest {
    /// Data, a connection to accept, or the end.
    pub const READABLE: Self = Self(Readiness::READ);
    /// Room to write, a connection made, or the end.
    pub const WRITABLE: Self = Self(Readiness::WRITE);
    /// Urgent data.
    pub const PRIORITY: Self = Self(Readiness::PRIORITY);
    /// An error alone.
    pub const ERROR: Self = Self(Readiness::ERROR);

    /// It includes readability.
    pub fn is_readable(self) -> bool {
        self.0.intersects(Readiness::READABLE)
    }

    /// It includes writability.
    pub fn is_writable(self) -> bool {
        self.0.intersects(Readiness::WRITABLE)
    }

    pub(crate) fn readiness(self) -> Readiness {
        // An end of any kind ends every wait.
        self.0 | Readiness::SHUTDOWN
    }
}

impl BitOr for Interest {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// What an IO object was ready for. Being ready is a hint: the operation may still say
/// `WouldBlock`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ready(pub(crate) Readiness);

impl Ready {
    /// Reading will not block: there is data, or the end.
    pub fn is_readable(self) -> bool {
        self.0
            .intersects(Readiness::READABLE | Readiness::READ_CLOSED)
    }

    /// Writing will not block: there is room, or the end.
    pub fn is_writable(self) -> bool {
        self.0
            .intersects(Readiness::WRITABLE | Readiness::WRITE_CLOSED)
    }

    /// The other side writes no more.
    pub fn is_read_closed(self) -> bool {
        self.0.intersects(Readiness::READ_CLOSED)
    }

    /// The other side reads no more.
    pub fn is_write_closed(self) -> bool {
        self.0.intersects(Readiness::WRITE_CLOSED)
    }

    /// There is urgent data.
    pub fn is_priority(self) -> bool {
        self.0.intersects(Readiness::PRIORITY)
    }

    /// There is an error to be taken.
    pub fn is_error(self) -> bool {
        self.0.intersects(Readiness::ERROR)
    }
}
