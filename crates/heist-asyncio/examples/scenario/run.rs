//! One run of a program: on the exact loop, with the virtual clock.

use std::sync::Arc;

use heist_asyncio as asyncio;
use serde_json::{Map, Value};

use crate::program::Program;
use crate::value::{dumps, show};
use crate::world::{World, state_of};

/// The program's outcome, trace and tasks as JSON; an error where it is malformed.
pub(crate) fn run_program(program: Program) -> Result<Value, String> {
    let name = program.name.clone();
    let mut runner = asyncio::Runner::virtual_clock();
    let event_loop = runner.get_loop().map_err(|error| error.to_string())?;
    event_loop.set_exception_handler(Some(Arc::new(|_, _| {})));
    let world = World::new(program, event_loop);
    let result = runner.run(world.clone().main());
    let closed = runner.close();
    if let Some(fault) = world.fault.lock().take() {
        return Err(format!("program {name}: {fault}"));
    }
    let is_deadlock = |error: &asyncio::Exception| error.is::<asyncio::DeadlockError>();
    let mut answer = Map::new();
    answer.insert("name".to_owned(), name.into());
    if closed.as_ref().is_err_and(is_deadlock) || result.as_ref().is_err_and(is_deadlock) {
        answer.insert("reject".to_owned(), "deadlock".into());
        world.things.lock().clear();
        return Ok(Value::Object(answer));
    }
    let outcome = match &result {
        Ok(value) => format!("returned {}", dumps(value)),
        Err(error) => format!("raised {}", show(error)),
    };
    answer.insert("outcome".to_owned(), outcome.into());
    let event = |(time, who, text): (i64, String, String)| {
        Value::from(vec![Value::from(time), Value::from(who), Value::from(text)])
    };
    let trace: Vec<Value> = std::mem::take(&mut *world.trace.lock())
        .into_iter()
        .map(event)
        .collect();
    answer.insert("trace".to_owned(), trace.into());
    let tasks: Map<String, Value> = world
        .named
        .lock()
        .iter()
        .map(|(name, future)| (name.clone(), state_of(future).into()))
        .collect();
    answer.insert("tasks".to_owned(), tasks.into());
    // Callbacks and tasks hold the world: it goes in one piece.
    world.things.lock().clear();
    world.named.lock().clear();
    Ok(Value::Object(answer))
}
