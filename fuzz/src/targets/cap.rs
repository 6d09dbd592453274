//! An alert in CAP, as an office hands it in or another sends it. What is taken is written and read back to the same, and shown to
//! people without a character that acts on a terminal.

use resguardo::cap::{Facts, acts_or_hides, export, import, render};

/// Runs it.
pub fn run(bytes: &[u8]) {
    let Ok(imported) = import(bytes) else { return };
    let again = import(export(&imported.alert).as_bytes()).map(|it| it.alert);
    assert_eq!(again.as_ref(), Ok(&imported.alert));
    assert_eq!(Facts::of(&imported.alert).sender, imported.alert.sender);
    for languages in [&[][..], &["es", "pt-BR"]] {
        let card = render::text(&imported.alert, languages);
        assert!(!card.chars().any(|it| it != '\n' && acts_or_hides(it)), "{card:?}");
    }
}
