//! The `resguardo` program.

fn main() {}
