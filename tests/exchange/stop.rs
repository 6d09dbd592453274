//! The ordered stop, health and reflection.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use resguardo::host::tasks::{MakeLocal, SendFuture, Task, Tasks, TokioTasks};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::stage::audit::{assert_same, everything};
use crate::stage::client::Desk;
use crate::stage::draft::Draft;
use crate::stage::host::{InProcess, MINUTE_US};
use crate::stage::raw::request;
use crate::stage::told::Told;
use crate::stage::wait::{until, within};
use crate::stage::{Setup, Stage};
use crate::{HONDURAS, IACHR, MEXICO};

#[tokio::test]
async fn sigterm_ends_streams_keeps_what_was_confirmed_and_exits_0() {
    let mut stage = Stage::open().await;
    let sender = stage.desk(HONDURAS).await;
    let mut confirmed: Vec<Draft> = Vec::new();
    for _ in 0..20 {
        let draft = sender.draft(&[IACHR, MEXICO]);
        sender.send(&draft).await;
        confirmed.push(draft);
    }
    let before = everything(&stage).await;
    let open = [stage.desk(IACHR).await.subscribe().await, stage.desk(MEXICO).await.subscribe().await];
    let status = stage.stop().await;
    assert_eq!(status.code(), Some(0), "{status}");
    for subscription in open {
        let end = Told::of(&subscription.end().await);
        assert_eq!(end.reason, "STOPPING", "{end:?}");
    }
    let trust = std::fs::read_to_string(stage.home().join("ledger/trust")).unwrap();
    assert_eq!(trust, "closed\n", "the ledger was closed in order, so another boot of the machine keeps it");
    stage.start().await;
    assert_same(&before, &everything(&stage).await, "after an ordered stop");
}

#[tokio::test]
async fn stop_comes_in_its_grace_period_also_when_clients_hang() {
    let mut stage = Stage::open_with(Setup::limits("grace_ms = 500")).await;
    let desk = stage.desk(IACHR).await;
    let sender = stage.desk(HONDURAS).await;
    let stuck =
        desk.subscribe_with(resguardo::wire::proto::Start { credit: 65_536, ..Default::default() }).await;
    let publishing = sender.publish_stream().await.unwrap();
    let drafts: Vec<Draft> = (0..200).map(|_| sender.draft(&[IACHR]).payload(vec![1; 100_000])).collect();
    sender.send_all(&drafts, 5).await;
    let silent = tokio::net::TcpStream::connect(stage.address()).await.unwrap();
    // Less than the hub's own 10 s.
    let stopped = tokio::time::timeout(Duration::from_secs(8), stage.stop()).await;
    let status = stopped.expect("it stops in the grace period that is configured");
    assert_eq!(status.code(), Some(0), "{status}");
    drop((stuck, publishing, silent));
    stage.start().await;
    assert_eq!(stage.desk(IACHR).await.subscribe().await.started.outstanding, 200);
}

#[tokio::test]
async fn publishes_under_way_at_a_stop_are_confirmed_and_kept_or_not_confirmed() {
    let mut stage = Stage::open().await;
    let sender = stage.desk(HONDURAS).await;
    let mut publishing = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let desk: Desk = sender.clone();
        publishing.spawn(async move {
            let mut confirmed = Vec::new();
            loop {
                let draft = desk.draft(&[IACHR]);
                match desk.publish(&draft).await {
                    Ok(accepted) => confirmed.push((draft.id(), accepted.index)),
                    Err(_) => return confirmed,
                }
            }
        });
    }
    let auditor = stage.auditor("iachr").await;
    until("publishing is in full swing", async || {
        let rows = auditor.deliveries(crate::stage::audit::all()).await.unwrap();
        (rows.len() > 100).then_some(())
    })
    .await;
    assert_eq!(stage.stop().await.code(), Some(0));
    let confirmed: Vec<_> = within("publishers see the stop", publishing.join_all()).await.concat();
    stage.start().await;
    let rows = stage.auditor("iachr").await.deliveries(crate::stage::audit::all()).await.unwrap();
    for (id, index) in confirmed {
        let found: Vec<_> =
            rows.iter().filter_map(|row| row.message.as_ref()).filter(|it| it.message_id == id).collect();
        assert!(found.len() == 1 && found[0].index == index, "{id:02x?} at {index}: {found:?}");
    }
}

#[tokio::test]
async fn health_is_served() {
    let stage = Stage::open().await;
    let desk = stage.desk(IACHR).await;
    let mut health = HealthClient::new(desk.channel.clone());
    for service in ["", "resguardo.v1.ExchangeService"] {
        let call = health.check(HealthCheckRequest { service: service.to_owned() });
        let answer = within("health is told", call).await.unwrap().into_inner();
        assert_eq!(answer.status(), ServingStatus::Serving, "{service:?}");
    }
}

#[tokio::test]
async fn reflection_tells_of_the_services() {
    let stage = Stage::open().await;
    let desk = stage.desk(IACHR).await;
    // ServerReflectionRequest { list_services: "" }, framed.
    let body = "\0\0\0\0\x02\x3a\0".to_owned();
    let path = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
    let answer = request(&desk.channel, "POST", path, "application/grpc", body).await.unwrap();
    assert_eq!(answer.grpc(), Some(0), "{:?}", answer.headers);
    let told = String::from_utf8_lossy(&answer.body);
    for service in [
        "resguardo.v1.ExchangeService",
        "resguardo.v1.AuditService",
        "resguardo.v1.DirectoryService",
        "grpc.health.v1.Health",
    ] {
        assert!(told.contains(service), "{service} is not told: {told:?}");
    }
}

/// Tasks of which the one that keeps the logs takes its time at the end.
struct SlowLogs {
    tasks: TokioTasks,
    ended: Arc<AtomicBool>,
}

impl Tasks for SlowLogs {
    fn spawn(&self, name: &str, task: SendFuture) -> Task {
        self.tasks.spawn(name, task)
    }

    fn spawn_dedicated(&self, name: &str, make: MakeLocal) -> io::Result<Task> {
        if name != "logs" {
            return self.tasks.spawn_dedicated(name, make);
        }
        let ended = Arc::clone(&self.ended);
        let slow: MakeLocal = Box::new(move || {
            let work = make();
            Box::pin(async move {
                work.await;
                tokio::time::sleep(Duration::from_millis(500)).await;
                ended.store(true, Ordering::Release);
            })
        });
        self.tasks.spawn_dedicated(name, slow)
    }
}

#[tokio::test]
async fn a_hub_has_ended_when_nothing_of_it_reads_its_ledger_any_more() {
    let stage = Stage::prepare(Setup::fast()).await;
    let ended = Arc::new(AtomicBool::new(false));
    InProcess::run(async |host| {
        let host = host.with_tasks(|tasks| Arc::new(SlowLogs { tasks, ended: Arc::clone(&ended) }));
        host.clock.advance_us(12 * 60 * MINUTE_US);
        host.start(&stage).await.stop().await;
    })
    .await;
    assert!(ended.load(Ordering::Acquire), "the thread of the logs goes on");
}
