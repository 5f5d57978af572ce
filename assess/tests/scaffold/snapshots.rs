//! (d) What a reviewer gets to read.

use assess::scaffold::{Choices, Scaffold, scaffold};

use crate::world::{assessment, catalog, chosen, said};

fn text(draft: &Scaffold) -> String {
    let files = draft.files.iter().map(|file| format!("==> {} <==\n{}", file.path, file.text));
    let questions =
        draft.questions().into_iter().map(|q| format!("{}:{}: {}\n", q.file, q.line, q.text));
    files.chain(["==> questions <==\n".to_owned()]).chain(questions).collect::<Vec<_>>().join("")
}

#[test]
fn contracts_and_their_items() {
    let catalog = catalog();
    let tables = chosen(&catalog, &["Contract", "ContractItem"]);
    insta::assert_snapshot!(text(&scaffold(&catalog, &tables, Some(&assessment()), &said())));
}

#[test]
fn contracts_and_their_items_with_nothing_known() {
    let catalog = catalog();
    let tables = chosen(&catalog, &["Contract", "ContractItem"]);
    insta::assert_snapshot!(text(&scaffold(&catalog, &tables, None, &Choices::default())));
}

#[test]
fn parties_and_owners() {
    let catalog = catalog();
    let tables = chosen(&catalog, &["Party", "Owner"]);
    insta::assert_snapshot!(text(&scaffold(&catalog, &tables, Some(&assessment()), &said())));
}
