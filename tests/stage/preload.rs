//! Small libraries in C that are loaded before the program under test, compiled once a process.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock};

/// The library made of this source, by a name of its own.
pub(crate) fn library(name: &'static str, source: &str) -> &'static Path {
    static MADE: OnceLock<Mutex<HashMap<&str, &Path>>> = OnceLock::new();
    let mut made = MADE.get_or_init(Mutex::default).lock().expect("a library compiles");
    made.entry(name).or_insert_with(|| Box::leak(compiled(name, source).into_boxed_path()))
}

fn compiled(name: &str, source: &str) -> PathBuf {
    let to = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let own = |ending: &str| to.join(format!("{name}-{}.{ending}", std::process::id()));
    let (text, made, used) = (own("c"), own("so"), to.join(format!("{name}.so")));
    fs::write(&text, source).expect("its source is written");
    let mut compile = Command::new("cc");
    compile.args(["-Wall", "-Wextra", "-U_FORTIFY_SOURCE", "-O1", "-shared", "-fPIC", "-pthread", "-o"]);
    let compiled = compile.arg(&made).arg(&text).output().expect("a C compiler is here");
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
    fs::remove_file(text).expect("its source was written");
    // Another run of the tests may use the one that is there.
    fs::rename(made, &used).expect("it can be renamed");
    used
}
