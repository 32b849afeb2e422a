//! The same work by hand, without a runtime: what no runtime can go below on this machine.

use crate::check;
use heist_benches::Stopwatch;
use heist_benches::runner::{Entry, Measured, Options, Outcome};
use std::collections::VecDeque;
use std::hint::black_box;

/// Boxed closures through a queue of one thread.
pub(crate) const SPAWN: Entry = Entry {
    name: "floor: boxes in a queue",
    run: spawn,
};

fn spawn(options: &Options) -> Outcome {
    const TASKS: u64 = 10_000;
    let rounds = options.scaled(40);
    let mut queue: VecDeque<Box<dyn FnOnce() -> u64>> = VecDeque::with_capacity(TASKS as usize);
    let watch = Stopwatch::start();
    let mut sum = 0;
    for _ in 0..rounds {
        queue.extend((0..TASKS).map(|number| {
            let task: Box<dyn FnOnce() -> u64> = Box::new(move || black_box(number));
            task
        }));
        while let Some(task) = queue.pop_front() {
            sum += task();
        }
    }
    let sample = watch.stop(rounds * TASKS);
    check("sum of all tasks", sum, rounds * TASKS * (TASKS - 1) / 2)?;
    Ok(Measured::new(
        vec![sample.nanoseconds_each()],
        sample.cores(),
    ))
}

#[cfg(target_os = "linux")]
pub(crate) use epoll::ECHO;

#[cfg(target_os = "linux")]
mod epoll {
    //! Echo over loopback from bare epoll loops, one a worker, each with its share of the connections.

    use crate::check;
    use crate::echo::{BYTES, CONNECTIONS, message};
    use heist_benches::Stopwatch;
    use heist_benches::runner::{Entry, Measured, Options, Outcome};
    use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
    use std::io::{self, Read, Write};
    use std::mem::MaybeUninit;
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::OwnedFd;

    pub(crate) const ECHO: Entry = Entry {
        name: "floor: bare epoll loops",
        run,
    };

    /// A connection's two ends; the asking end has an even number in the poller.
    struct Pair {
        asking: TcpStream,
        answering: TcpStream,
        number: u64,
        left: u64,
    }

    struct Loop {
        epoll: OwnedFd,
        pairs: Vec<Pair>,
    }

    impl Loop {
        fn new(
            listener: &TcpListener,
            connections: u64,
            each: u64,
            first: u64,
        ) -> io::Result<Self> {
            let epoll = epoll::create(CreateFlags::CLOEXEC)?;
            let mut pairs = Vec::new();
            for index in 0..connections {
                let asking = TcpStream::connect(listener.local_addr()?)?;
                let (answering, _) = listener.accept()?;
                for (end, stream) in [&asking, &answering].into_iter().enumerate() {
                    stream.set_nodelay(true)?;
                    stream.set_nonblocking(true)?;
                    let data = EventData::new_u64(index * 2 + end as u64);
                    epoll::add(&epoll, stream, data, EventFlags::IN | EventFlags::ET)?;
                }
                let number = (first + index) * each;
                pairs.push(Pair {
                    asking,
                    answering,
                    number,
                    left: each,
                });
            }
            Ok(Self { epoll, pairs })
        }

        /// Runs until each connection has had its messages; counts those that came back as they went.
        fn run(mut self) -> io::Result<u64> {
            for pair in &mut self.pairs {
                pair.asking.write_all(&message(pair.number))?;
            }
            let mut same = 0;
            let mut open = self.pairs.len();
            let mut room = [MaybeUninit::uninit(); 256];
            while open > 0 {
                let (events, _) = epoll::wait(&self.epoll, &mut room, None)?;
                for event in events {
                    let data = event.data.u64();
                    let pair = &mut self.pairs[(data / 2) as usize];
                    let mut bytes = [0; BYTES];
                    if data % 2 == 1 {
                        // A message is one segment on loopback, so it comes whole.
                        pair.answering.read_exact(&mut bytes)?;
                        pair.answering.write_all(&bytes)?;
                        continue;
                    }
                    pair.asking.read_exact(&mut bytes)?;
                    same += u64::from(bytes == message(pair.number));
                    pair.left -= 1;
                    pair.number += 1;
                    if pair.left == 0 {
                        open -= 1;
                    } else {
                        pair.asking.write_all(&message(pair.number))?;
                    }
                }
            }
            Ok(same)
        }
    }

    fn run(options: &Options) -> Outcome {
        let each = options.scaled(1_000);
        let outcome = || -> io::Result<_> {
            let listener = TcpListener::bind("127.0.0.1:0")?;
            let workers = options.workers as u64;
            let share = CONNECTIONS / workers;
            let loops: io::Result<Vec<Loop>> = (0..workers)
                .map(|worker| Loop::new(&listener, share, each, worker * share))
                .collect();
            let loops = loops?;
            let watch = Stopwatch::start();
            let same: io::Result<Vec<u64>> = std::thread::scope(|scope| {
                let threads: Vec<_> = loops
                    .into_iter()
                    .map(|each| scope.spawn(move || each.run()))
                    .collect();
                threads
                    .into_iter()
                    .map(|thread| thread.join().expect("the loop does not panic"))
                    .collect()
            });
            let count = workers * share * each;
            Ok((watch.stop(count), same?.iter().sum::<u64>(), count))
        };
        let (sample, same, count) = outcome().map_err(|error| error.to_string())?;
        check("messages that came back", same, count)?;
        Ok(Measured::new(vec![sample.per_second()], sample.cores()))
    }
}
