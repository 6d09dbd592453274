//! The schema and the programs that judge our documents from outside.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Returns the folder of the schema and of real documents, or says what is left out.
pub(crate) fn folder(left_out: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("RESGUARDO_CAP_DIR").map(PathBuf::from).filter(|folder| folder.is_dir());
    if folder.is_none() {
        println!("left out: {left_out} (RESGUARDO_CAP_DIR names no folder)");
    }
    folder
}

/// What `xmllint` says of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The schema accepts it.
    Valid,
    /// It is XML, and the schema refuses it.
    Invalid,
    /// It is not XML.
    IllFormed,
}

/// A schema validator that is not ours.
pub(crate) struct Validator {
    schema: PathBuf,
}

impl Validator {
    /// Finds `xmllint` and the schema, or says what is left out.
    pub(crate) fn find(left_out: &str) -> Option<Self> {
        let schema = folder(left_out)?.join("CAP-v1.2.xsd");
        let runs =
            Command::new("xmllint").arg("--version").output().is_ok_and(|output| output.status.success());
        if !runs || !schema.is_file() {
            println!("left out: {left_out} (no xmllint, or no CAP-v1.2.xsd in RESGUARDO_CAP_DIR)");
            return None;
        }
        Some(Self { schema })
    }

    /// Judges documents, in order.
    pub(crate) fn judge<D: AsRef<[u8]>>(&self, documents: &[D]) -> Vec<Verdict> {
        let folder = tempfile::tempdir().unwrap();
        let files: Vec<PathBuf> =
            (0..documents.len()).map(|n| folder.path().join(format!("{n}.xml"))).collect();
        for (file, document) in files.iter().zip(documents) {
            fs::write(file, document).unwrap();
        }
        files.chunks(200).flat_map(|files| self.judge_files(files)).collect()
    }

    fn judge_files(&self, files: &[PathBuf]) -> Vec<Verdict> {
        let mut xmllint = Command::new("xmllint");
        xmllint.args(["--noout", "--nonet", "--huge", "--schema"]).arg(&self.schema).args(files);
        let said = String::from_utf8_lossy(&xmllint.output().unwrap().stderr).into_owned();
        let says =
            |file: &Path, what: &str| said.lines().any(|line| line == format!("{} {what}", file.display()));
        let verdict = |file: &PathBuf| match (says(file, "validates"), says(file, "fails to validate")) {
            (true, _) => Verdict::Valid,
            (_, true) => Verdict::Invalid,
            _ => Verdict::IllFormed,
        };
        files.iter().map(verdict).collect()
    }
}

#[test]
fn validator_tells_valid_invalid_and_ill_formed_apart() {
    let Some(validator) = Validator::find("a check of the validator itself") else { return };
    let valid = include_str!("../../examples/alerts/death-threat.xml");
    let documents = [valid, &valid.replace("Exercise</status>", "Drill</status>"), "<alert>", valid];
    let verdicts = [Verdict::Valid, Verdict::Invalid, Verdict::IllFormed, Verdict::Valid];
    assert_eq!(validator.judge(&documents), verdicts);
}
