//! Starting tasks: handed in, so that a simulation can run all of them on one thread.
//!
//! Owns names, threads and the news of a panic. Never stops a task: a task ends when what it waits on says so.

use std::any::Any;
use std::future::Future;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::runtime::Handle;
use tokio::sync::oneshot;

/// A future that may move between threads.
pub type SendFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A future that stays on the thread that made it.
pub type LocalFuture = Pin<Box<dyn Future<Output = ()>>>;

/// Makes a [`LocalFuture`] on the thread that will run it.
pub type MakeLocal = Box<dyn FnOnce() -> LocalFuture + Send>;

/// Starts tasks.
pub trait Tasks: Send + Sync {
    /// Starts a task beside the others. It must not block.
    fn spawn(&self, name: &str, task: SendFuture) -> Task;

    /// Starts a task that may block: in reality on an OS thread of its own, in a simulation beside the others.
    ///
    /// What blocks in it must be disk or arithmetic, never the wait for another task.
    ///
    /// # Errors
    /// The system gives no further thread.
    fn spawn_dedicated(&self, name: &str, make: MakeLocal) -> io::Result<Task>;
}

/// A started task: await it to learn how it ended. Dropping it leaves the task running.
#[derive(Debug)]
pub struct Task {
    name: String,
    ended: oneshot::Receiver<Result<(), String>>,
}

/// How a task ended that did not end well.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TaskError {
    /// It panicked.
    #[error("task {name} panicked: {message}")]
    Panicked {
        /// The task's name.
        name: String,
        /// What the panic said.
        message: String,
    },
    /// Its runtime ended before it did.
    #[error("task {name} was dropped before its end")]
    Dropped {
        /// The task's name.
        name: String,
    },
}

impl Future for Task {
    type Output = Result<(), TaskError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let ended = std::task::ready!(Pin::new(&mut self.ended).poll(context));
        let name = || self.name.clone();
        Poll::Ready(match ended {
            Ok(Ok(())) => Ok(()),
            Ok(Err(message)) => Err(TaskError::Panicked { name: name(), message }),
            Err(_) => Err(TaskError::Dropped { name: name() }),
        })
    }
}

/// Tasks on a tokio runtime, dedicated ones on threads of their own.
#[derive(Clone, Debug)]
pub struct TokioTasks {
    runtime: Handle,
}

impl TokioTasks {
    /// Starts tasks on this runtime.
    pub fn on(runtime: Handle) -> Self {
        Self { runtime }
    }
}

impl Tasks for TokioTasks {
    fn spawn(&self, name: &str, task: SendFuture) -> Task {
        let (watched, handle) = watch(name, task);
        self.runtime.spawn(watched);
        handle
    }

    fn spawn_dedicated(&self, name: &str, make: MakeLocal) -> io::Result<Task> {
        let (report, handle) = ending(name);
        let runtime = self.runtime.clone();
        std::thread::Builder::new().name(name.into()).spawn(move || {
            runtime.block_on(Watched { inner: Some(made_when_polled(make)), report: Some(report) });
        })?;
        Ok(handle)
    }
}

/// Tasks on the thread that starts them, inside a [`tokio::task::LocalSet`]: for simulations.
#[derive(Clone, Copy, Debug, Default)]
pub struct LocalTasks;

impl Tasks for LocalTasks {
    fn spawn(&self, name: &str, task: SendFuture) -> Task {
        let (watched, handle) = watch(name, task);
        tokio::task::spawn_local(watched);
        handle
    }

    fn spawn_dedicated(&self, name: &str, make: MakeLocal) -> io::Result<Task> {
        let (report, handle) = ending(name);
        tokio::task::spawn_local(Watched { inner: Some(made_when_polled(make)), report: Some(report) });
        Ok(handle)
    }
}

type Report = oneshot::Sender<Result<(), String>>;

fn ending(name: &str) -> (Report, Task) {
    let (report, ended) = oneshot::channel();
    (report, Task { name: name.to_owned(), ended })
}

fn watch(name: &str, task: SendFuture) -> (Watched<SendFuture>, Task) {
    let (report, handle) = ending(name);
    (Watched { inner: Some(task), report: Some(report) }, handle)
}

/// Puts off the making into the first poll, so that a panic there is told like any other.
fn made_when_polled(make: MakeLocal) -> LocalFuture {
    Box::pin(async move { make().await })
}

/// Runs a future and reports its end or its panic.
struct Watched<F> {
    inner: Option<F>,
    report: Option<Report>,
}

impl<F: Future<Output = ()> + Unpin> Future for Watched<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let Some(inner) = self.inner.as_mut() else { return Poll::Ready(()) };
        // After a panic the future is dropped and never looked at again, so its broken state is seen by nobody.
        let end = match catch_unwind(AssertUnwindSafe(|| Pin::new(inner).poll(context))) {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(())) => Ok(()),
            Err(panic) => Err(message_of(panic.as_ref())),
        };
        self.inner = None;
        if let Some(report) = self.report.take() {
            // Nobody may be waiting for it.
            let _ = report.send(end);
        }
        Poll::Ready(())
    }
}

fn message_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".into())
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use tokio::runtime::Builder;
    use tokio::task::LocalSet;

    use super::*;

    /// The contract that every way of starting tasks fulfils.
    async fn keeps_the_contract(tasks: &dyn Tasks) {
        let (tell, told) = oneshot::channel();
        let sender = tasks.spawn("sender", Box::pin(async move { tell.send(7).unwrap() }));
        assert_eq!(told.await, Ok(7));
        assert_eq!(sender.await, Ok(()));

        let bad = tasks.spawn("bad", Box::pin(async { panic!("found {}", 3) }));
        let expected = TaskError::Panicked { name: "bad".into(), message: "found 3".into() };
        assert_eq!(bad.await, Err(expected));

        let (tell, told) = oneshot::channel();
        let make: MakeLocal = Box::new(move || {
            let stays = Rc::new(5);
            Box::pin(async move {
                tokio::task::yield_now().await;
                tell.send(*stays).unwrap();
            })
        });
        let dedicated = tasks.spawn_dedicated("dedicated", make).unwrap();
        assert_eq!(told.await, Ok(5));
        assert_eq!(dedicated.await, Ok(()));

        let unmade = tasks.spawn_dedicated("unmade", Box::new(|| panic!("never made"))).unwrap();
        let expected = TaskError::Panicked { name: "unmade".into(), message: "never made".into() };
        assert_eq!(unmade.await, Err(expected));
    }

    #[test]
    fn tokio_tasks_keep_the_contract() {
        let runtime = Builder::new_multi_thread().worker_threads(1).build().unwrap();
        runtime.block_on(keeps_the_contract(&TokioTasks::on(runtime.handle().clone())));
    }

    #[test]
    fn local_tasks_keep_the_contract() {
        let runtime = Builder::new_current_thread().build().unwrap();
        LocalSet::new().block_on(&runtime, keeps_the_contract(&LocalTasks));
    }

    #[test]
    fn dedicated_task_runs_on_its_own_named_thread() {
        let runtime = Builder::new_current_thread().build().unwrap();
        let (tell, told) = oneshot::channel();
        let make: MakeLocal = Box::new(|| {
            Box::pin(async move { tell.send(std::thread::current().name().map(String::from)).unwrap() })
        });
        let _task = TokioTasks::on(runtime.handle().clone()).spawn_dedicated("journal-1", make).unwrap();
        assert_eq!(runtime.block_on(told).unwrap().as_deref(), Some("journal-1"));
    }

    #[test]
    fn task_of_an_ended_runtime_is_told_as_dropped() {
        let runtime = Builder::new_multi_thread().worker_threads(1).build().unwrap();
        let tasks = TokioTasks::on(runtime.handle().clone());
        let task = tasks.spawn("waits", Box::pin(std::future::pending()));
        drop(runtime);
        let other = Builder::new_current_thread().build().unwrap();
        assert_eq!(other.block_on(task), Err(TaskError::Dropped { name: "waits".into() }));
    }
}
