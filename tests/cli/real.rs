//! Real CAP files from the folder that `RESGUARDO_CAP_DIR` names, all the way: published, delivered, exported.

use std::fs;
use std::path::PathBuf;

use resguardo::cap::{Alert, Facts, Scope, export, import};
use serde_json::Value;

use super::stage::Stage;

/// What the hub takes, by its default.
const PAYLOAD_BYTES_MAX: usize = 256 * 1024;

#[test]
fn accepted_files_go_from_publish_over_delivery_to_export() {
    let folder = std::env::var_os("RESGUARDO_CAP_DIR").map(PathBuf::from).filter(|folder| folder.is_dir());
    let Some(folder) = folder else {
        println!("left out: real documents from publish to export (RESGUARDO_CAP_DIR names no folder)");
        return;
    };
    let stage = Stage::set();
    let mut sent: Vec<(String, Value, Alert)> = Vec::new();
    for file in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        let is_document = file.extension().is_some_and(|extension| extension == "xml" || extension == "cap");
        let Some(imported) = is_document.then(|| import(&fs::read(&file).unwrap()).ok()).flatten() else {
            continue;
        };
        let file = file.to_str().unwrap().to_owned();
        if export(&imported.alert).len() > PAYLOAD_BYTES_MAX {
            println!("left out: {file} is larger than what the hub takes");
            continue;
        }
        let mut command = vec!["publish", "alert", &file, "--to", "iachr"];
        if imported.alert.scope == Scope::Public {
            let refused = stage.run("ohchr-honduras", &command);
            assert!(refused.code == 2 && refused.err.contains("--allow-public"), "{file}: {refused:?}");
            command.push("--allow-public");
        }
        let told = stage.objects("ohchr-honduras", &command);
        let published = told.iter().find(|object| object["object"] == "published").unwrap();
        let warned = told.iter().any(|object| {
            object["object"] == "warning" && object["message"].as_str().unwrap().contains("signature")
        });
        let signed = imported.warnings.iter().any(|warning| warning.notice.to_string().contains("signature"));
        assert_eq!(warned, signed, "{file}: a signature that is dropped is reported");
        sent.push((file.clone(), published["message_id"].clone(), imported.alert));
    }
    assert!(!sent.is_empty(), "the folder has no document that is accepted");
    stage.well("iachr", &["subscribe", "--count", &sent.len().to_string()]);
    let inbox = stage.objects("iachr", &["inbox", "--limit", "1000"]);
    for (file, id, alert) in sent {
        let came = inbox.iter().find(|message| message["message_id"] == id).expect(&file);
        let facts = Facts::of(&alert);
        let shown =
            [&came["status"], &came["msg_type"], &came["priority"]].map(|word| word.as_str().unwrap());
        let priority = format!("{:?}", facts.priority).to_lowercase();
        assert_eq!(shown, [alert.status.as_str(), alert.msg_type.as_str(), &priority], "{file}");
        assert_eq!(came["expires_at"].is_null(), facts.expires_unix_micros.is_none(), "{file}");
        let exported = stage.well("iachr", &["export", id.as_str().unwrap()]);
        assert_eq!(import(exported.as_bytes()).unwrap().alert, alert, "{file}");
    }
}
