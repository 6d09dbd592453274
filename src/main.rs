//! The `resguardo` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    resguardo::cli::main(std::env::args_os())
}
