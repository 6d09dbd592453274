//! Comma-separated values (RFC 4180), for spreadsheets: the same names and values as the objects for programs.

use std::io;

use serde_json::Value;

use crate::cli::screen::{Screen, harmless};

/// A table of objects that all have the same names.
#[derive(Default)]
pub(super) struct Csv {
    begun: bool,
}

impl Csv {
    /// Prints an object as a row, under the names of the first one. What is a list or an object itself is left out, and so
    /// is the name of the kind: a file holds one kind.
    ///
    /// # Errors
    /// Any of the output.
    pub(super) fn row(&mut self, screen: &Screen, object: &Value) -> io::Result<()> {
        let fields = object.as_object().into_iter().flatten();
        let fields =
            fields.filter(|(name, value)| *name != "object" && !value.is_array() && !value.is_object());
        let (names, values): (Vec<_>, Vec<_>) = fields.map(|(name, value)| (field(name), of(value))).unzip();
        if !self.begun {
            self.begun = true;
            screen.line(&names.join(","))?;
        }
        screen.line(&values.join(","))
    }
}

fn of(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => field(text),
        other => other.to_string(),
    }
}

/// One field. A spreadsheet would take what begins so for a formula.
fn field(text: &str) -> String {
    let text = harmless(text);
    let text = if text.starts_with(['=', '+', '-', '@']) { format!("'{text}") } else { text };
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_quoted_and_never_formulas() {
        for (text, shown) in [
            ("iachr", "iachr"),
            ("a, b", "\"a, b\""),
            ("say \"no\"", "\"say \"\"no\"\"\""),
            ("=1+1", "'=1+1"),
        ] {
            assert_eq!(field(text), shown);
        }
        assert_eq!(of(&Value::Null), "");
        assert_eq!(of(&Value::from(7)), "7");
    }
}
