//! Context variables: [`ContextVar`], [`Token`], [`Context`], [`copy_context`] (Python's `contextvars`).
//!
//! A context is a small map behind a pointer: copying is one reference more, setting copies the map. Each task owns
//! a copy of its creator's context, made at creation; callbacks keep the context of their registration. A task that
//! sets nothing allocates nothing. Where the current context is kept: `events.rs`.

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::events::with_context;
use crate::exceptions::{LookupError, Result, runtime_error};

type Value = Arc<dyn Any + Send + Sync>;
type Map = Option<Arc<Vec<(u64, Value)>>>;

/// A variable whose value belongs to the running task or callback (`contextvars.ContextVar`).
///
/// ```
/// use heist_asyncio::contextvars::ContextVar;
///
/// let user = ContextVar::<String>::new("user");
/// assert!(user.get().is_err());
/// let token = user.set("ada".to_owned());
/// assert_eq!(user.get().unwrap(), "ada");
/// user.reset(token).unwrap();
/// assert!(user.get().is_err());
/// ```
pub struct ContextVar<T> {
    id: u64,
    name: &'static str,
    default: Option<T>,
}

impl<T: Clone + Send + Sync + 'static> ContextVar<T> {
    /// A variable without a default.
    pub fn new(name: &'static str) -> ContextVar<T> {
        static NEXT_ID: AtomicU64 = AtomicU64::new(0);
        // ORDERING: only uniqueness matters, nothing is published.
        ContextVar {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            name,
            default: None,
        }
    }

    /// A variable with a default.
    pub fn with_default(name: &'static str, default: T) -> ContextVar<T> {
        ContextVar {
            default: Some(default),
            ..ContextVar::new(name)
        }
    }

    /// The variable's name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The value in the current context, else the default.
    ///
    /// # Errors
    /// [`LookupError`] where there is neither.
    pub fn get(&self) -> Result<T> {
        self.value()
            .or_else(|| self.default.clone())
            .ok_or_else(|| LookupError(self.name).into())
    }

    /// The value in the current context, else the one given here (`var.get(default)`).
    pub fn get_or(&self, default: T) -> T {
        self.value().unwrap_or(default)
    }

    /// The value that a context holds (`context[var]`).
    pub fn get_in(&self, context: &Context) -> Option<T> {
        context
            .find(self.id)
            .and_then(|value| value.downcast_ref::<T>().cloned())
    }

    /// Sets the value in the current context; the token undoes it.
    #[must_use = "the token is what `reset` takes; drop it to leave the value set"]
    pub fn set(&self, value: T) -> Token<T> {
        with_context(|context| {
            let old = self.get_in(context);
            context.insert(self.id, Some(Arc::new(value)));
            Token {
                id: self.id,
                old,
                context: context.clone(),
            }
        })
    }

    /// Gives the variable the value that it had before the `set` that made the token.
    ///
    /// # Errors
    /// `ValueError` where the token was made by another variable or in another context.
    pub fn reset(&self, token: Token<T>) -> Result<()> {
        if token.id != self.id {
            return Err(crate::exceptions::value_error(
                "the token was created by a different variable",
            ));
        }
        with_context(|context| {
            if !Arc::ptr_eq(&context.0, &token.context.0) {
                return Err(crate::exceptions::value_error(
                    "the token was created in a different context",
                ));
            }
            context.insert(self.id, token.old.map(|old| Arc::new(old) as Value));
            Ok(())
        })
    }

    fn value(&self) -> Option<T> {
        with_context(|context| self.get_in(context))
    }
}

impl<T> fmt::Debug for ContextVar<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ContextVar")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// What [`ContextVar::set`] gives, to undo it once (`contextvars.Token`).
pub struct Token<T> {
    id: u64,
    old: Option<T>,
    context: Context,
}

impl<T> Token<T> {
    /// The value before the `set`, `None` where there was none (`Token.MISSING`).
    pub fn old_value(&self) -> Option<&T> {
        self.old.as_ref()
    }
}

impl<T> fmt::Debug for Token<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").finish_non_exhaustive()
    }
}

/// A set of values of context variables (`contextvars.Context`). A clone is the same context; [`Context::copy`]
/// makes another.
#[derive(Clone)]
pub struct Context(Arc<Shared>);

#[derive(Default)]
struct Shared {
    map: Mutex<Map>,
    entered: AtomicBool,
}

impl Context {
    /// An empty context.
    pub fn new() -> Context {
        Context(Arc::default())
    }

    /// Another context with the same values. It costs the same however many there are.
    #[must_use]
    pub fn copy(&self) -> Context {
        Context(Arc::new(Shared {
            map: Mutex::new(self.0.map.lock().clone()),
            entered: AtomicBool::new(false),
        }))
    }

    /// A copy, unless it is empty.
    pub(crate) fn copy_of_some(&self) -> Option<Context> {
        let map = self
            .0
            .map
            .lock()
            .as_ref()
            .filter(|map| !map.is_empty())?
            .clone();
        Some(Context(Arc::new(Shared {
            map: Mutex::new(Some(map)),
            entered: AtomicBool::new(false),
        })))
    }

    /// Calls a function in this context: what it sets stays here.
    ///
    /// # Errors
    /// `RuntimeError` where the context is entered already.
    pub fn run<R>(&self, function: impl FnOnce() -> R) -> Result<R> {
        // ORDERING: a flag of its own; the values are behind the map's lock.
        if self.0.entered.swap(true, Ordering::Relaxed) {
            return Err(runtime_error("cannot enter context: it is already entered"));
        }
        let leave = Leave(self);
        let result = crate::events::in_context(self.clone(), function);
        drop(leave);
        Ok(result)
    }

    /// How many variables have a value.
    pub fn len(&self) -> usize {
        self.0.map.lock().as_ref().map_or(0, |map| map.len())
    }

    /// True where no variable has a value.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// True where both are the same context.
    pub fn is_same(&self, other: &Context) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    fn find(&self, id: u64) -> Option<Value> {
        let map = self.0.map.lock();
        map.as_ref().and_then(|map| {
            map.iter()
                .find(|(key, _)| *key == id)
                .map(|(_, value)| value.clone())
        })
    }

    fn insert(&self, id: u64, value: Option<Value>) {
        let mut map = self.0.map.lock();
        let mut next: Vec<(u64, Value)> = map
            .iter()
            .flat_map(|map| map.iter())
            .filter(|(key, _)| *key != id)
            .cloned()
            .collect();
        next.extend(value.map(|value| (id, value)));
        let old = map.replace(Arc::new(next));
        drop(map);
        // A value's destructor is user code: it runs after the lock is given back.
        drop(old);
    }
}

/// Leaves an entered context, after a panic too.
struct Leave<'a>(&'a Context);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        // ORDERING: see `Context::run`.
        self.0.0.entered.store(false, Ordering::Relaxed);
    }
}

impl Default for Context {
    fn default() -> Context {
        Context::new()
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("len", &self.len()).finish()
    }
}

/// A copy of the current context (`contextvars.copy_context`).
pub fn copy_context() -> Context {
    with_context(|context| context.copy())
}
