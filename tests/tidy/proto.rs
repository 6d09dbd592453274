//! A rule of the protocol: a comment right above each service, call, message, field, `oneof`, enum and value.

use crate::assert_none;
use crate::tree::{self, Source};

/// First words of statements that declare nothing of the protocol's own.
const PLAIN: [&str; 6] = ["syntax", "package", "import", "option", "reserved", "extensions"];

fn uncommented(source: &Source) -> Vec<String> {
    let mut findings = Vec::new();
    let mut commented = false;
    let mut within_statement = false;
    for (number, line) in (1..).zip(source.text.lines()) {
        let line = line.trim();
        if line.starts_with("//") {
            commented = !line.trim_start_matches('/').trim().is_empty() || commented;
            continue;
        }
        let code = line.split("//").next().unwrap_or_default().trim();
        let first = code.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default();
        let declares = !within_statement && !first.is_empty() && !PLAIN.contains(&first);
        if declares && !commented {
            findings.push(format!("{}:{number}: {code} has no comment above it", source.path));
        }
        commented = false;
        within_statement = !code.is_empty() && !code.ends_with([';', '{', '}']);
    }
    findings
}

#[test]
fn everything_in_the_protocol_has_a_comment() {
    let findings: Vec<_> = tree::sources(&[".proto"]).iter().flat_map(uncommented).collect();
    assert_none(&findings);
}

#[test]
fn a_bare_declaration_is_found() {
    let good = "\
syntax = \"proto3\";
// A service.
service S {
  // A call
  // of two lines.
  rpc Call(A)
      returns (B);
}
// Nothing in it.
message A {}
// An enum.
enum E {
  // None.
  E_UNSPECIFIED = 0;
  reserved 1;
}
// A message.
message B {
  // One of:
  oneof which {
    // A field.
    repeated uint64 field = 1; // more
  }
}
";
    let source = |text: &str| Source { path: "a.proto".to_owned(), text: text.to_owned() };
    assert_none(&uncommented(&source(good)));
    let comments: Vec<_> =
        (1..).zip(good.lines()).filter(|(_, line)| line.trim().starts_with("//")).collect();
    for (number, _) in comments.iter().filter(|(number, _)| *number != 5) {
        let bare: Vec<_> =
            good.lines().zip(1..).filter(|(_, at)| at != number).map(|(line, _)| line).collect();
        let bare =
            if *number == 4 { bare.join("\n").replace("  // of two lines.\n", "") } else { bare.join("\n") };
        assert_eq!(uncommented(&source(&bare)).len(), 1, "without the comment in line {number}");
    }
    let late = "// Far above.\n\nmessage A {}\n";
    assert_eq!(uncommented(&source(late)), ["a.proto:3: message A {} has no comment above it"]);
}
