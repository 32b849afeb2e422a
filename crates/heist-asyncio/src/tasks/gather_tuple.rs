//! `gather!`: [`gather`](crate::gather()) for awaitables whose results differ in type; the results are a tuple.
//!
//! The macros only make a tuple of their arguments; the rules are the function's, in `gather.rs`.

use crate::exceptions::Result;
use crate::node::Node;
use crate::tasks::gather::outcome;
use crate::tasks::{Child, Gathering, IntoTask, gather_nodes};
use crate::wait::value_of;

/// Runs awaitables of different types concurrently; the results are a tuple, in the order of the arguments
/// (`asyncio.gather`).
///
/// The rules are those of the function [`gather`](crate::gather()): coroutines become tasks at the call, the first
/// exception goes to the one who awaits, and cancelling the [`Gathering`](crate::Gathering) cancels every child. At
/// most twelve; longer lists are of one type, or of [`Item`](crate::Item)s.
///
/// ```
/// use heist_asyncio as asyncio;
///
/// let (answer, name) = asyncio::run(async {
///     let name = asyncio::create_task(async { Ok("ada".to_owned()) });
///     asyncio::gather!(async { Ok(42) }, name).await
/// })
/// .unwrap();
/// assert_eq!((answer, name.as_str()), (42, "ada"));
/// ```
///
/// # Panics
/// Where a coroutine is given and no loop is running.
#[macro_export]
macro_rules! gather {
    ($($awaitable:expr),* $(,)?) => {
        $crate::GatherTuple::gather(($($awaitable,)*))
    };
}

/// As [`gather!`](crate::gather!), with exceptions and cancellations as results (`return_exceptions=True`).
///
/// ```
/// use heist_asyncio as asyncio;
///
/// let (answer, failure) = asyncio::run(async {
///     let fails = async { asyncio::Result::<()>::Err(asyncio::TimeoutError.into()) };
///     asyncio::gather_return_exceptions!(async { Ok(42) }, fails).await
/// })
/// .unwrap();
/// assert_eq!(answer.unwrap(), 42);
/// assert!(failure.unwrap_err().is::<asyncio::TimeoutError>());
/// ```
///
/// # Panics
/// As there.
#[macro_export]
macro_rules! gather_return_exceptions {
    ($($awaitable:expr),* $(,)?) => {
        $crate::GatherTuple::gather_return_exceptions(($($awaitable,)*))
    };
}

/// A tuple of awaitables: what the macros make.
#[doc(hidden)]
pub trait GatherTuple<R: Send + 'static> {
    /// The results, each with its exception.
    type Outcomes: Send + 'static;

    #[track_caller]
    fn gather(self) -> Gathering<R>;

    #[track_caller]
    fn gather_return_exceptions(self) -> Gathering<Self::Outcomes>;
}

/// Reads a child's result, once.
fn read<T: Send + 'static>(Child(cell, fetch): Child<T>) -> Result<T> {
    value_of(fetch(cell.typed(), cell.lock()))
}

macro_rules! tuple {
    ($($kind:ident $value:ident $child:ident),*) => {
        impl<$($kind, $value,)*> GatherTuple<($($value,)*)> for ($($kind,)*)
        where
            $($kind: IntoTask<$value>, $value: Send + 'static,)*
        {
            type Outcomes = ($(Result<$value>,)*);

            #[track_caller]
            fn gather(self) -> Gathering<($($value,)*)> {
                let ($($child,)*) = self;
                $(let $child = $child.into_task();)*
                let nodes: Vec<Node> = vec![$($child.0.node()),*];
                gather_nodes(nodes, false, Box::new(move |_| Ok(($(read($child)?,)*))))
            }

            #[track_caller]
            fn gather_return_exceptions(self) -> Gathering<Self::Outcomes> {
                let ($($child,)*) = self;
                $(let $child = $child.into_task();)*
                let nodes: Vec<Node> = vec![$($child.0.node()),*];
                let finish = move |nodes: &[Node]| {
                    let mut outcomes = nodes.iter().map(outcome);
                    Ok(($(
                        outcomes.next().unwrap_or(Ok(())).and_then(|()| read($child)),
                    )*))
                };
                gather_nodes(nodes, true, Box::new(finish))
            }
        }
    };
}

tuple!(A TA a);
tuple!(A TA a, B TB b);
tuple!(A TA a, B TB b, C TC c);
tuple!(A TA a, B TB b, C TC c, D TD d);
tuple!(A TA a, B TB b, C TC c, D TD d, E TE e);
tuple!(A TA a, B TB b, C TC c, D TD d, E TE e, F TF f);
tuple!(A TA a, B TB b, C TC c, D TD d, E TE e, F TF f, G TG g);
tuple!(A TA a, B TB b, C TC c, D TD d, E TE e, F TF f, G TG g, H TH h);
tuple!(A TA a, B TB b, C TC c, D TD d, E TE e, F TF f, G TG g, H TH h, I TI i);
tuple!(A TA a, B TB b, C TC c, D TD d, E TE e, F TF f, G TG g, H TH h, I TI i, J TJ j);
tuple!(A TA a, B TB b, C TC c, D TD d, E TE e, F TF f, G TG g, H TH h, I TI i, J TJ j, K TK k);
tuple!(A TA a, B TB b, C TC c, D TD d, E TE e, F TF f, G TG g, H TH h, I TI i, J TJ j, K TK k, L TL l);

/// Without arguments the result is there at once.
impl GatherTuple<()> for () {
    type Outcomes = ();

    fn gather(self) -> Gathering<()> {
        gather_nodes(Vec::new(), false, Box::new(|_| Ok(())))
    }

    fn gather_return_exceptions(self) -> Gathering<()> {
        self.gather()
    }
}
