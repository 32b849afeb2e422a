//! Linux: a wait for events whose timeout is not rounded (`epoll_pwait2`, from kernel 5.11 on). The kernel may add a
//! thousandth of it, at most 100 ms, to save a wake-up.
//!
//! `rustix` makes this call only in a build that needs it on every kernel, and otherwise rounds up to milliseconds
//! without a word: each timer would be half a millisecond late on average.
#![expect(
    unsafe_code,
    reason = "no safe wrapper makes this system call and lives without it"
)]

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::Duration;

/// An event: its bits, and the token.
pub(super) type Record = libc::epoll_event;

/// As the kernel has it on every architecture.
#[repr(C)]
struct Timespec {
    seconds: i64,
    nanos: i64,
}

/// Waits for events until the timeout.
///
/// # Errors
///
/// As the system call; `ENOSYS` from an older kernel.
pub(super) fn wait<'a>(
    epoll: BorrowedFd<'_>,
    room: &'a mut [MaybeUninit<Record>],
    timeout: Duration,
) -> io::Result<impl Iterator<Item = Record> + 'a> {
    let timeout = Timespec {
        seconds: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
        nanos: i64::from(timeout.subsec_nanos()),
    };
    let room_len = libc::c_int::try_from(room.len()).unwrap_or(libc::c_int::MAX);
    // SAFETY: the descriptor is open while it is borrowed; the kernel writes at most `room_len` records to `room`,
    // which is exclusively ours, and reads the timeout, which is laid out as it expects; there is no signal mask.
    let taken = unsafe {
        libc::syscall(
            libc::SYS_epoll_pwait2,
            epoll.as_raw_fd(),
            room.as_mut_ptr(),
            room_len,
            &raw const timeout,
            std::ptr::null::<libc::sigset_t>(),
            0_usize,
        )
    };
    // It is negative where the call has failed.
    let taken = usize::try_from(taken).map_err(|_| io::Error::last_os_error())?;
    // SAFETY: so many records were written by the kernel.
    let record = |record: &MaybeUninit<Record>| unsafe { record.assume_init() };
    Ok(room[..taken].iter().map(record))
}
