//! The floor: bare epoll loops.

use super::Pair;
use crate::echo::{BYTES, message};
use heist_benches::runner::Entry;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use std::io::{self, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;

pub(super) fn entry<const N: u64>() -> Entry {
    Entry {
        name: "floor: bare epoll loops",
        run: |options| {
            super::run(options, N, |pairs, each| {
                let mut prepared = Loop::new(pairs, each)?;
                Ok(move || prepared.run())
            })
        },
    }
}

struct Loop {
    epoll: OwnedFd,
    each: u64,
    pairs: Vec<Pair>,
}

impl Loop {
    fn new(pairs: Vec<Pair>, each: u64) -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        for (index, pair) in (0..).zip(&pairs) {
            for (end, stream) in [&pair.asking, &pair.answering].into_iter().enumerate() {
                stream.set_nonblocking(true)?;
                // The asking end has an even number.
                let data = EventData::new_u64(index * 2 + end as u64);
                epoll::add(&epoll, stream, data, EventFlags::IN | EventFlags::ET)?;
            }
        }
        Ok(Self { epoll, each, pairs })
    }

    /// Runs until each connection has had its messages; counts those that came back as they went.
    fn run(&mut self) -> io::Result<u64> {
        for pair in &mut self.pairs {
            pair.asking.write_all(&message(pair.first))?;
        }
        let mut same = 0;
        let mut open = self.pairs.len();
        let mut numbers: Vec<u64> = self.pairs.iter().map(|pair| pair.first).collect();
        let mut room = [MaybeUninit::uninit(); 256];
        while open > 0 {
            let (events, _) = epoll::wait(&self.epoll, &mut room, None)?;
            for event in events {
                let data = event.data.u64();
                let index = (data / 2) as usize;
                let (pair, number) = (&mut self.pairs[index], &mut numbers[index]);
                let mut bytes = [0; BYTES];
                if data % 2 == 1 {
                    // A message is one segment on loopback, so it comes whole.
                    pair.answering.read_exact(&mut bytes)?;
                    pair.answering.write_all(&bytes)?;
                    continue;
                }
                pair.asking.read_exact(&mut bytes)?;
                same += u64::from(bytes == message(*number));
                *number += 1;
                if *number == pair.first + self.each {
                    open -= 1;
                } else {
                    pair.asking.write_all(&message(*number))?;
                }
            }
        }
        Ok(same)
    }
}
