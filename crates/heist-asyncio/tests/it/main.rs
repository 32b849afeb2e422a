//! The facade's integration tests: one module per source file of CPython's tests, and the scenario programs.

#[path = "../../examples/scenario/exec.rs"]
mod exec;
#[path = "../../examples/scenario/ops.rs"]
mod ops;
#[path = "../../examples/scenario/program.rs"]
mod program;
#[path = "../../examples/scenario/run.rs"]
mod run;
#[path = "../../examples/scenario/value.rs"]
mod value;
#[path = "../../examples/scenario/world.rs"]
mod world;

mod asyncgens;
mod barriers;
mod cells;
mod eager;
mod exits;
mod foreign;
mod futures;
mod gather_macro;
mod locks;
mod queues;
mod runners;
mod scenarios;
mod stress;
mod support;
mod taskgroups;
mod tasks;
mod tasks_many;
mod threads;
mod timeouts;
mod waitfor;
