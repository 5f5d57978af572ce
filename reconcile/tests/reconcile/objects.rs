//! Columns whose content is in an object store: what is compared is the address, which is the
//! content's hash.

use reconcile::{DifferenceKind, Verdict};

use crate::lab::Lab;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn objects_are_compared_by_their_content() {
    let store = |text: String| {
        text.replace("as = \"xpo-file\", lob = \"inline\"", "as = \"xpo-file\", lob = \"object-store\"")
            .replace(
                "photo      = { from = \"Photo\", as = \"bytea\", lob = \"inline\" }",
                "photo      = { from = \"Photo\", as = \"bytea\", lob = \"skip: they stay on the share\" }",
            )
    };
    let folder = tempfile::tempdir().unwrap();
    let url = format!("file://{}", folder.path().display());
    let objects = target::ObjectStore::open(&url, []).unwrap();
    let sql = "alter table files alter column content type text using null";
    let lab = Lab::filled_with(2_000, &store, (sql, Some(objects))).await;
    let stored = lab
        .text("select count(distinct content)::text from files where content like 'sha256/__/%'")
        .await;
    assert_ne!(stored, "0", "the demo has files");
    assert_eq!(walk(folder.path()), stored.parse::<usize>().unwrap());
    let report = lab.run(&Lab::settings(), &["attachments", "properties"]).await;
    assert_eq!(report.verdict, Verdict::Equal, "{}", report.to_text());
    let text = report.to_text();
    assert!(
        text.contains("dbo.Property.Photo") && text.contains("they stay on the share"),
        "{text}"
    );
    assert_eq!(
        lab.text("select count(*)::text from properties where photo is not null").await,
        "0"
    );

    let other = "(select content from files where content is not null order by id desc limit 1)";
    let changed = lab
        .sql(&format!(
            "update files set content = {other}
             where id = (select id from files where content is not null order by id limit 1)"
        ))
        .await;
    assert_eq!(changed, 1);
    let report = lab.run(&Lab::settings(), &["attachments"]).await;
    let found: Vec<_> = report.entities.iter().flat_map(|entity| &entity.differences).collect();
    assert_eq!(found.len(), 1, "{}", report.to_text());
    assert_eq!(found[0].kind, DifferenceKind::Changed);
    let columns: Vec<&str> = found[0].columns.iter().map(|pair| &*pair.column).collect();
    assert_eq!(columns, ["content"]);
}

/// How many files are below a folder.
fn walk(folder: &std::path::Path) -> usize {
    let entries = std::fs::read_dir(folder).unwrap().flatten();
    entries.map(|entry| if entry.path().is_dir() { walk(&entry.path()) } else { 1 }).sum()
}
