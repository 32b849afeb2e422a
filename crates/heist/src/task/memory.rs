//! The memory of tasks: what a thread that makes them frees it uses again.
//!
//! With thousands of tasks alive the allocator's own lists for a thread are too short, and its longer way was a quarter of
//! what spawning and joining a task costs. So a thread that has made a task keeps what it frees from then on, by size and
//! up to [`MOST`] bytes, and takes from there first; when it ends, or is done with playing a worker, it gives that back.
//! A block may be freed anywhere, since each is one of the allocator's. Under `--cfg heist_plain_memory` nothing is kept,
//! for tools that watch the allocator.
//!
//! Tests: `task/tests/memory.rs`.
#![expect(unsafe_code, reason = "memory by its layout")]

use std::alloc::{self, Layout};
use std::cell::RefCell;
use std::mem::ManuallyDrop;
use std::ptr::NonNull;

/// Blocks have eight bytes more than a multiple of this: then they cost the usual allocators no more than what is asked for.
const STEP: usize = 16;
const CLASSES: usize = 32;
/// What every allocator aligns to anyway.
const ALIGN: usize = 2 * size_of::<usize>();
/// So many bytes of blocks a thread keeps at most.
const MOST: usize = 1 << 20;

/// What a thread keeps, by size.
#[derive(Debug, Default)]
struct Kept {
    blocks: [Vec<NonNull<u8>>; CLASSES],
    bytes: usize,
}

thread_local! {
    /// Never dropped, so that no look at it has to ask whether it is there: `UNTIL_EXIT` empties it.
    static KEPT: RefCell<ManuallyDrop<Option<Kept>>> =
        const { RefCell::new(ManuallyDrop::new(None)) };
    static UNTIL_EXIT: Keeping = Keeping::begin();
}

/// While it lives, this thread keeps what it frees.
#[derive(Debug)]
struct Keeping(());

impl Keeping {
    fn begin() -> Self {
        KEPT.with_borrow_mut(|here| **here = Some(Kept::default()));
        Self(())
    }
}

impl Drop for Keeping {
    fn drop(&mut self) {
        drop(KEPT.with_borrow_mut(|here| here.take()));
    }
}

/// This thread makes a task, and none that it has freed fits: it keeps what it frees, if it does not yet.
#[cold]
fn keep() {
    let is_idle = |here: &RefCell<ManuallyDrop<Option<Kept>>>| {
        // Borrowed: the allocator is the program's own, and spawns.
        here.try_borrow().is_ok_and(|here| here.is_none())
    };
    if KEPT.with(is_idle) && !cfg!(heist_plain_memory) {
        // An error: the thread ends.
        let _ = UNTIL_EXIT.try_with(|_| ());
    }
}

/// Gives back what this thread keeps: it runs no tasks for a while.
pub(crate) fn give_back() {
    let kept = KEPT.with_borrow_mut(|here| here.as_mut().map(std::mem::take));
    // Apart: the allocator may be the program's own.
    drop(kept);
}

impl Drop for Kept {
    fn drop(&mut self) {
        for (class, blocks) in self.blocks.iter().enumerate() {
            for block in blocks {
                // SAFETY: `free` put it here: it is of this class, and nobody else knows it.
                unsafe { alloc::dealloc(block.as_ptr(), layout_of(class)) };
            }
        }
    }
}

/// Which blocks a layout gets, if they are kept.
#[inline(always)]
const fn class_of(layout: Layout) -> Option<usize> {
    let class = (layout.size() + STEP / 2 - 1) / STEP;
    if class < CLASSES && layout.align() <= ALIGN {
        Some(class)
    } else {
        None
    }
}

#[inline(always)]
const fn bytes_of(class: usize) -> usize {
    class * STEP + STEP / 2
}

const fn layout_of(class: usize) -> Layout {
    match Layout::from_size_align(bytes_of(class), ALIGN) {
        Ok(layout) => layout,
        Err(_) => panic!("no class is too large"),
    }
}

#[inline(always)]
fn with_kept<R>(f: impl FnOnce(&mut Kept) -> Option<R>) -> Option<R> {
    // Borrowed: the allocator is the program's own, and spawns.
    let answer = KEPT.try_with(|here| here.try_borrow_mut().ok()?.as_mut().and_then(f));
    answer.ok().flatten()
}

/// A block for a value of this layout.
#[inline]
pub(super) fn allocate(layout: Layout) -> NonNull<u8> {
    let Some(class) = class_of(layout) else {
        return allocate_anew(layout);
    };
    let kept = with_kept(|kept| {
        let block = kept.blocks[class].pop()?;
        kept.bytes -= bytes_of(class);
        Some(block)
    });
    kept.unwrap_or_else(|| {
        keep();
        allocate_anew(layout_of(class))
    })
}

fn allocate_anew(layout: Layout) -> NonNull<u8> {
    assert!(layout.size() > 0, "a task has a header");
    // SAFETY: the size is not zero.
    let block = unsafe { alloc::alloc(layout) };
    NonNull::new(block).unwrap_or_else(|| alloc::handle_alloc_error(layout))
}

/// Takes a block back.
///
/// # Safety
///
/// It came from `allocate`, for the same layout, and nobody uses it any more.
#[inline]
pub(super) unsafe fn free(block: NonNull<u8>, layout: Layout) {
    let Some(class) = class_of(layout) else {
        // SAFETY: by the duty it was allocated with this layout.
        return unsafe { alloc::dealloc(block.as_ptr(), layout) };
    };
    let kept = with_kept(|kept| {
        let bytes = kept.bytes + bytes_of(class);
        (bytes <= MOST).then(|| {
            kept.bytes = bytes;
            kept.blocks[class].push(block);
        })
    });
    if kept.is_none() {
        // SAFETY: by the duty it was allocated with the layout of its class.
        unsafe { alloc::dealloc(block.as_ptr(), layout_of(class)) };
    }
}

#[cfg(all(test, not(any(heist_loom, heist_plain_memory))))]
pub(super) fn kept_bytes() -> Option<usize> {
    with_kept(|kept| Some(kept.bytes))
}
