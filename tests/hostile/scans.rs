//! The hub as tools of others see it: testssl.sh looks at its TLS from outside, h2load at its HTTP/2.
//!
//! `scripts/test` installs both. What a finding means stands in `docs/reliability.md`.

use std::fs;
use std::process::Stdio;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use serde_json::Value;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

use crate::stage::wait::within;
use crate::stage::{Stage, raw};
use crate::{ALONE, MEXICO_DESK};

/// Findings that are as they are meant to be, though the tool would have it otherwise.
const MEANT: [&str; 7] = [
    // The offices have their own authority, which no browser knows.
    "cert_chain_of_trust",
    // The hub is given the list, and offices are told by the directory: nobody asks a server on the way.
    "cert_revocation",
    // No public authority is to issue anything for a hub.
    "DNS_CAArecord",
    // A test's certificates end tomorrow.
    "cert_expirationStatus",
    "cert_notAfter",
    // Of the machine that looks.
    "engine_problem",
    // That a certificate is missing may come before the tool's own client counts itself as connected.
    "optimal_proto",
];

#[tokio::test]
async fn scan_of_tls_finds_1_3_alone_and_nothing_that_is_not_meant() {
    let _alone = ALONE.lock().await;
    let stage = Stage::open().await;
    let file = stage.folder().join("scan.json");
    let mut tool = Command::new("testssl");
    tool.args(["--quiet", "--warnings", "off", "--color", "0", "--protocols", "--std", "--pfs"]);
    tool.args(["--server-defaults", "--vulnerable", "--jsonfile"]).arg(&file);
    tool.arg(stage.address().replace("127.0.0.1", "localhost")).stdin(Stdio::null()).kill_on_drop(true);
    let scanned =
        within("the scan ends", tool.output()).await.expect("testssl runs: scripts/test installs it");
    let json = fs::read(&file).unwrap_or_else(|_| panic!("no findings: {scanned:?}"));
    let findings: Vec<Value> = serde_json::from_slice(&json).expect("findings in JSON");
    let found = |id: &str| {
        let of: Vec<_> = findings.iter().filter(|it| it["id"] == id).collect();
        assert!(!of.is_empty(), "nothing was found out about {id}");
        of[0]["finding"].as_str().expect("text").to_owned()
    };
    for old in ["SSLv2", "SSLv3", "TLS1", "TLS1_1", "TLS1_2", "NPN"] {
        assert_eq!(found(old), "not offered", "{old}");
    }
    for weak in ["NULL", "aNULL", "EXPORT", "LOW", "3DES_IDEA", "AVERAGE"] {
        assert_eq!(found(&format!("cipherlist_{weak}")), "not offered", "{weak}");
    }
    assert!(found("TLS1_3").starts_with("offered"), "{}", found("TLS1_3"));
    assert_eq!(found("ALPN_HTTP2"), "h2");
    let mut ciphers: Vec<_> = found("PFS_ciphers").split_whitespace().map(String::from).collect();
    ciphers.sort_unstable();
    assert_eq!(ciphers, ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"]);
    assert_eq!(found("sessionresumption_ticket"), "not supported");
    assert!(found("sessionresumption_ID").starts_with("No Session ID"));
    assert!(found("TLS_session_ticket").starts_with("no "));
    for harm in
        ["heartbleed", "CCS", "ROBOT", "secure_renego", "secure_client_renego", "CRIME_TLS", "POODLE_SSL"]
    {
        let of =
            findings.iter().find(|it| it["id"] == harm).unwrap_or_else(|| panic!("{harm} was not tried"));
        assert_eq!(of["severity"], "OK", "{of}");
    }
    let well = ["OK", "INFO", "DEBUG"];
    let unmeant: Vec<_> = findings
        .iter()
        .filter(|it| {
            !well.iter().any(|level| it["severity"] == *level) && !MEANT.iter().any(|id| it["id"] == *id)
        })
        .collect();
    assert!(unmeant.is_empty(), "{unmeant:#?}");
}

/// Carries plain HTTP/2 to the hub on lines of TLS with an office's papers, for a tool that has none.
async fn relay(stage: &Stage) -> (String, JoinSet<()>) {
    let papers = stage.authority.client(MEXICO_DESK);
    let tls = TlsConnector::from(Arc::new(raw::tls(stage.authority.pem(), Some(&papers), &[])));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let (address, hub) = (listener.local_addr().expect("it is bound").to_string(), stage.address());
    let mut carrying = JoinSet::new();
    carrying.spawn(async move {
        let mut lines = JoinSet::new();
        while let Ok((mut client, _)) = listener.accept().await {
            let (tls, hub) = (tls.clone(), hub.clone());
            lines.spawn(async move {
                let socket = TcpStream::connect(hub).await?;
                let mut line =
                    tls.connect(ServerName::try_from("localhost").expect("a name"), socket).await?;
                copy_bidirectional(&mut client, &mut line).await
            });
        }
    });
    (address, carrying)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn load_of_a_tool_of_others_is_answered_to_the_last_call() {
    const CALLS: &str = "20000";
    let _alone = ALONE.lock().await;
    let stage = Stage::open().await;
    let (address, _carrying) = relay(&stage).await;
    // A message without a byte: is all of it well?
    let body = stage.folder().join("body");
    fs::write(&body, [0; 5]).expect("it can be written");
    let mut load = Command::new("h2load");
    load.args([
        "-n",
        CALLS,
        "-c",
        "20",
        "-m",
        "32",
        "-H",
        "content-type: application/grpc",
        "-H",
        "te: trailers",
    ]);
    load.arg("-d").arg(&body).arg(format!("http://{address}/grpc.health.v1.Health/Check"));
    load.stdin(Stdio::null()).kill_on_drop(true);
    let loaded = within("the load ends", load.output()).await.expect("h2load runs: scripts/test installs it");
    let told = String::from_utf8_lossy(&loaded.stdout).into_owned();
    println!("{told}");
    let all = format!("{CALLS} done, {CALLS} succeeded, 0 failed, 0 errored, 0 timeout");
    assert!(told.contains(&all), "{told}");
    // Each was answered by the service, not turned down.
    let refused = stage.auditor("iachr").await.refusals().await;
    assert!(refused.is_empty(), "{refused:?}");
    let desk = stage.desk(crate::HONDURAS).await;
    desk.send(&desk.draft(&[crate::IACHR])).await;
}
