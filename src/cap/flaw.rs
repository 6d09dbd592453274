//! Where in the text a fault is: an offset while reading, line and column when it is told.

use super::error::{CapError, Fault};

/// A fault at an offset of the decoded text.
#[derive(Debug)]
pub(super) struct Flaw {
    /// Byte offset in the decoded text.
    pub at: usize,
    /// The element, without prefix.
    pub element: String,
    /// What is wrong.
    pub fault: Fault,
}

impl Flaw {
    /// A fault outside of all elements.
    pub(super) fn document(at: usize, fault: Fault) -> Self {
        Self { at, element: "document".to_owned(), fault }
    }

    /// Tells it in lines and columns of `text`.
    pub(super) fn told(self, text: &str) -> CapError {
        let (line, column) = place(text, self.at);
        CapError { line, column, element: self.element, fault: self.fault }
    }
}

/// Returns line and column (in characters), both from 1, of a byte offset.
pub(super) fn place(text: &str, at: usize) -> (usize, usize) {
    let before = &text[..text.floor_char_boundary(at)];
    let line_start = before.rfind('\n').map_or(0, |end| end + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn place_counts_lines_and_characters_from_one() {
        let text = "añb\n日本<x>\n";
        for (needle, expected) in
            [("a", (1, 1)), ("b", (1, 3)), ("\n", (1, 4)), ("日", (2, 1)), ("<", (2, 3))]
        {
            assert_eq!(place(text, text.find(needle).unwrap()), expected);
        }
        assert_eq!(place(text, text.len()), (3, 1));
        assert_eq!(place(text, 10_000), (3, 1));
        assert_eq!(place("é", 1), (1, 1), "inside a character");
    }
}
