//! The `resguardo` program.

use std::process::ExitCode;

/// Memory is taken on one thread and given back on another all the time here, which the system's allocator locks for.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    resguardo::cli::main(std::env::args_os())
}
