//! A time of day of a program's own, which a test sets while it runs.

use std::fs;
use std::path::{Path, PathBuf};

use super::preload;

/// A program's time of day.
pub(crate) struct OtherClock {
    path: PathBuf,
}

impl OtherClock {
    /// One that is right; how far it is off stands in a new file.
    pub(crate) fn right(path: &Path) -> Self {
        let clock = Self { path: path.to_owned() };
        clock.set_off(0);
        clock
    }

    /// What stands in the environment of a program that goes by it.
    pub(crate) fn environment(&self) -> [(String, String); 2] {
        let text =
            |path: &Path| path.to_str().expect("the test's own folders have names in ASCII").to_owned();
        [
            ("LD_PRELOAD".to_owned(), text(preload::library("clock", include_str!("clock.c")))),
            ("CLOCK_OFF".to_owned(), text(&self.path)),
        ]
    }

    /// Makes it so many seconds ahead from now on.
    pub(crate) fn set_off(&self, seconds: i64) {
        let new = self.path.with_extension("new");
        fs::write(&new, seconds.to_string()).expect("it is written");
        fs::rename(new, &self.path).expect("it is renamed");
    }
}
