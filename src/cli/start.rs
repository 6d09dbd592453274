//! The program's beginning and end: arguments, runtime, signals, outputs, exit code.
//!
//! Owns the composition of the real machine. At a signal the command is asked to end; it ends what it has begun.

use std::ffi::OsString;
use std::io::{self, IsTerminal as _, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anstream::AutoStream;
use clap::Parser as _;
use jiff::tz::TimeZone;
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};

use super::Cli;
use super::context::{Context, Stop};
use super::exit::{Exit, Failure};
use super::objects;
use super::screen::{Heedless, Screen, Tone, harmless};
use crate::host::clock::SystemClock;
use crate::host::disk::OsDisk;
use crate::host::random::OsRandom;
use crate::host::tasks::TokioTasks;

/// How long the end waits for what cannot be ended, like a read of the terminal.
const LAST_MOMENT: Duration = Duration::from_millis(200);

/// Runs the program on the real machine.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    leave_no_core();
    let arguments: Vec<_> = arguments.into_iter().collect();
    let cli = match Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
        Err(error) => return ExitCode::from(not_understood(&arguments, &error) as u8),
    };
    let runtime = match Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let _ = writeln!(io::stderr(), "error: the system gives no threads: {error}");
            return ExitCode::from(Exit::Fault as u8);
        }
    };
    let context = context(&cli, &runtime);
    watch_signals(&context);
    let json = cli.json;
    let exit = match runtime.block_on(cli.run(&context)) {
        Ok(exit) => exit,
        Err(failure) => told(&context, json, &failure),
    };
    // What is still running is dropped, and with it the commands of `--exec`; a read that nothing ends is left.
    runtime.shutdown_timeout(LAST_MOMENT);
    ExitCode::from(exit as u8)
}

/// Has the system write nothing of this process's memory anywhere: keys and what was opened with them lie in it.
fn leave_no_core() {
    // Where the system knows neither, there is nothing more to be done; both are lowered, which everybody may.
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    let _ = setrlimit(Resource::Core, none);
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
}

/// Prints the help that was asked for, or what is wrong with the arguments.
fn not_understood(arguments: &[OsString], error: &clap::Error) -> Exit {
    // What cannot be printed cannot be told either.
    let _ = error.print();
    if !error.use_stderr() {
        return Exit::Done;
    }
    if arguments.iter().any(|argument| argument == "--json") {
        let failure = Failure::usage(error.to_string());
        let _ = writeln!(io::stdout(), "{}", objects::error(&failure));
    }
    Exit::Usage
}

fn told(context: &Context, json: bool, failure: &Failure) -> Exit {
    if failure.exit != Exit::Done {
        if json {
            // Standard error says it too.
            let _ = context.screen.object(&objects::error(failure));
        }
        context.screen.aside(Tone::Bad, &format!("error: {}", harmless(&failure.message)));
    }
    failure.exit
}

fn context(cli: &Cli, runtime: &Runtime) -> Context {
    let (out, err) = (AutoStream::auto(io::stdout()), AutoStream::auto(io::stderr()));
    let out: Box<dyn Write + Send> =
        if cli.command.only_tells() { Box::new(out) } else { Box::new(Heedless(out)) };
    Context {
        screen: Screen::new(out, err, cli.json, TimeZone::system()).live(io::stderr().is_terminal()),
        disk: Arc::new(OsDisk),
        clock: Arc::new(SystemClock::new()),
        random: Arc::new(OsRandom),
        tasks: Arc::new(TokioTasks::on(runtime.handle().clone())),
        home: cli.home.clone(),
        languages: languages(|name| std::env::var(name).ok()),
        stop: Stop::default(),
    }
}

/// The reader's languages, as the environment says: `LANGUAGE` lists them, else the first of the others that is set.
/// Who prefers the Spanish of Honduras takes any Spanish next.
fn languages(variable: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let set = |name| variable(name).filter(|value| !value.is_empty());
    let locales = set("LANGUAGE").or_else(|| ["LC_ALL", "LC_MESSAGES", "LANG"].into_iter().find_map(set));
    let tags = locales.unwrap_or_default();
    let tags = tags.split(':').filter_map(|locale| locale.split(['.', '@']).next());
    let mut languages = Vec::new();
    for tag in tags.filter(|tag| !tag.is_empty() && !matches!(*tag, "C" | "POSIX")) {
        let tag = tag.replace('_', "-");
        let general = tag.split_once('-').map(|(language, _)| language.to_owned());
        languages.extend([Some(tag), general].into_iter().flatten());
    }
    languages
}

fn watch_signals(context: &Context) {
    for (kind, exit) in
        [(SignalKind::interrupt(), Exit::Interrupted), (SignalKind::terminate(), Exit::Terminated)]
    {
        let stop = context.stop.clone();
        let watch = async move {
            // Where the system does not give signals, they end the program as they always did.
            let Ok(mut signals) = signal(kind) else { return };
            while signals.recv().await.is_some() {
                stop.ask(exit);
            }
        };
        drop(context.tasks.spawn("signals", Box::pin(watch)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages_come_from_the_environment() {
        let read = |pairs: &[(&str, &str)]| {
            languages(|name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
        };
        assert_eq!(read(&[("LANG", "es_HN.UTF-8")]), ["es-HN", "es"]);
        assert_eq!(read(&[("LANG", "es_HN.UTF-8"), ("LANGUAGE", "pt_BR:es")]), ["pt-BR", "pt", "es"]);
        assert_eq!(read(&[("LC_ALL", "fr_FR@euro"), ("LANG", "en_US")]), ["fr-FR", "fr"]);
        assert!(read(&[("LANG", "C.UTF-8")]).is_empty() && read(&[]).is_empty());
    }
}
