//! Reads tables and blocks of code out of Markdown.

/// A fenced block.
pub(crate) struct Block {
    /// What stands after the fence; empty when nothing does.
    pub(crate) language: String,
    /// Its lines, each with its number in the file, from 1.
    pub(crate) lines: Vec<(usize, String)>,
}

/// Gives the rows of the first table under a heading, cell by cell, without the table's own head.
pub(crate) fn table(text: &str, heading: &str) -> Vec<Vec<String>> {
    let rows: Vec<Vec<String>> = text
        .lines()
        .skip_while(|line| line.trim_start_matches('#').trim() != heading || !line.starts_with('#'))
        .skip(1)
        .take_while(|line| !line.starts_with('#'))
        .skip_while(|line| !line.starts_with('|'))
        .take_while(|line| line.starts_with('|'))
        .skip(2)
        .map(|line| line.trim().trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect())
        .collect();
    assert!(!rows.is_empty(), "no table stands under the heading {heading:?}");
    rows
}

/// Gives what stands between backticks, in order.
pub(crate) fn quoted(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

/// Gives all fenced blocks.
pub(crate) fn blocks(text: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut open = false;
    for (number, line) in (1..).zip(text.lines()) {
        if let Some(language) = line.trim_start().strip_prefix("```") {
            if !open {
                blocks.push(Block { language: language.trim().to_owned(), lines: Vec::new() });
            }
            open = !open;
        } else if let Some(block) = blocks.last_mut().filter(|_| open) {
            block.lines.push((number, line.to_owned()));
        }
    }
    blocks
}

#[test]
fn the_table_under_its_own_heading_is_read() {
    let text = "# A\n\n| x | y |\n|---|---|\n| 1 | 2 |\n\n## B\nwords\n\n| x |\n|---|\n| `p`, `q` |\n| |\n";
    assert_eq!(table(text, "A"), [["1", "2"]]);
    assert_eq!(table(text, "B"), [["`p`, `q`"], [""]]);
    assert_eq!(quoted("`p` → `q`"), ["p", "q"]);
}

#[test]
fn blocks_are_read_with_their_language_and_lines() {
    let blocks = blocks("a\n```sh\nb\nc\n```\nd\n```\ne\n```\n");
    let read: Vec<_> = blocks.iter().map(|block| (block.language.as_str(), block.lines.clone())).collect();
    assert_eq!(
        read,
        [("sh", vec![(3, "b".to_owned()), (4, "c".to_owned())]), ("", vec![(8, "e".to_owned())])]
    );
}
