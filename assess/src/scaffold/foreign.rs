//! References between tables, as the seal makes them.

use mapping::name::foreign_key;

use super::{
    Room,
    draft::{EntityDraft, Made},
    names::{literal, sql},
    notes::{Note, Syntax, write},
};

/// A reference, its names as SQL.
struct Key {
    child: String,
    column: String,
    parent: String,
    /// The parent's domain, which has to be handed over too.
    domain: String,
    name: String,
}

pub(super) fn keys(
    room: &Room<'_>,
    ours: &[&EntityDraft<'_>],
    all: &[EntityDraft<'_>],
    out: &mut String,
) {
    let mut keys = Vec::new();
    let mut allowed = Vec::new();
    for entity in ours {
        for column in &entity.columns {
            let Made::Ref { to, orphans } = &column.made else { continue };
            if *orphans == "allow" {
                allowed.push(format!("{}.{}", entity.name, column.name));
                continue;
            }
            let Some((parent, domain)) = parent(room, all, to) else { continue };
            keys.push(Key {
                child: sql(&entity.name),
                column: sql(&column.name),
                parent,
                domain,
                name: foreign_key(&entity.name, &column.name),
            });
        }
    }
    if !allowed.is_empty() {
        let why = format!("No constraint, because orphans are allowed: {}.", allowed.join(", "));
        out.push('\n');
        write(&[Note::Remark(why)], Syntax::Sql, out);
    }
    if !keys.is_empty() {
        out.push('\n');
        make(&keys, out);
    }
}

/// Table and domain of an entity, of this draft or of other files.
fn parent(room: &Room<'_>, all: &[EntityDraft<'_>], to: &str) -> Option<(String, String)> {
    if let Some(drafted) = all.iter().find(|entity| entity.name == to) {
        return Some((sql(&drafted.name), drafted.domain.clone()));
    }
    let known = room.choices.known.iter().find(|known| known.entity == to)?;
    let words: Vec<String> = known.target.split('.').map(sql).collect();
    Some((words.join("."), known.domain.clone()))
}

/// One statement for all, because Postgres has no `add constraint if not exists`.
fn make(keys: &[Key], out: &mut String) {
    let why = "References, where the cutover has not made them: what it left out had orphans that somebody \
               waived, so old rows are not checked and new ones are.";
    write(&[Note::remark(why)], Syntax::Sql, out);
    let rows: Vec<String> = keys
        .iter()
        .map(|key| {
            let words = [&key.child, &key.column, &key.parent, &key.domain, &key.name];
            let quoted: Vec<String> = words.iter().map(|word| literal(word)).collect();
            format!("            ({})", quoted.join(", "))
        })
        .collect();
    out.push_str(&format!(
        "do $$
declare
    wanted record;
begin
    for wanted in
        select key.* from (values
{}
        ) as key (child, child_column, parent, parent_domain, name)
        join ficus.domain on domain.name = key.parent_domain
        where domain.state in ('cut_over', 'retired')
          and not exists (
            select from pg_constraint
            where conrelid = to_regclass(key.child) and conname = key.name)
    loop
        execute format('alter table %s add constraint %I foreign key (%s) references %s (id) not valid',
            wanted.child, wanted.name, wanted.child_column, wanted.parent);
    end loop;
end
$$;
",
        rows.join(",\n")
    ));
}
