//! What the project promises about itself, kept: floors, sizes, docs, words, commands, dependencies.
//!
//! Each rule is a function from text to findings. It runs over the real files, and over a small bad example,
//! so that it is seen to fail. What is allowed stands in `ARCHITECTURE.md`, in tables that are read here.

mod commands;
mod dependencies;
mod floors;
mod markdown;
mod proto;
mod rust;
mod text;
mod tree;
mod unit;

/// Fails with every finding on a line of its own.
fn assert_none(findings: &[String]) {
    assert!(findings.is_empty(), "{} found:\n  {}", findings.len(), findings.join("\n  "));
}
