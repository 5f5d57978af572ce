//! What is sealed at a domain's cutover: NOT NULLs, unique rules and references (law 7).

use mapping::name::{foreign_key, suffixed};

use super::{
    File, Room,
    draft::{EntityDraft, Made},
    names::{Names, literal, sql},
    notes::{Note, Syntax, write},
    unique::{self, FOLDING, Found, Rule},
};

pub(super) fn file(
    room: &Room<'_>,
    domain: &str,
    entities: &[EntityDraft<'_>],
    names: &mut Names,
) -> Option<File> {
    let ours: Vec<&EntityDraft<'_>> =
        entities.iter().filter(|entity| entity.domain == domain).collect();
    let mut rules = String::new();
    not_nulls(&ours, &mut rules);
    let made = unique_rules(room, &ours, names, &mut rules);
    foreign_keys(room, &ours, entities, &mut rules);
    if rules.is_empty() {
        return None;
    }
    let mut text = String::new();
    head(domain, &mut text);
    text.push_str(&rules);
    text.push_str("\ncommit;\n");
    if !made.is_empty() {
        text.push('\n');
        let why = format!(
            "Before `ficus domain rollback {domain}`, because the stream will move unique values from row to \
             row again:"
        );
        write(&[Note::Remark(why)], Syntax::Sql, &mut text);
        for name in made {
            text.push_str(&format!("-- drop index if exists {name};\n"));
        }
    }
    Some(File { path: format!("seal/{domain}.sql"), text })
}

fn head(domain: &str, out: &mut String) {
    let notes = [
        format!(
            "What holds across the rows of {domain}, for the hour of its cutover: no migration, because \
             `ficus migrate` would make it while two sources still race. Drafted by `ficus mapping scaffold`."
        ),
        String::new(),
        format!(
            "`ficus domain cutover {domain}` makes the references itself, under the names below, in the \
             transaction that hands the domain over, and it leaves out those whose orphans were waived. It \
             knows nothing of NOT NULLs and unique rules. So run this file right after it, as a member of \
             ficus_owner: psql -v ON_ERROR_STOP=1 -f seal/{domain}.sql. It may run again: a reference to a \
             domain that is not handed over yet is made then."
        ),
    ];
    write(&notes.map(Note::Remark), Syntax::Sql, out);
    out.push_str(&format!(
        "begin;
set local role ficus_owner;
set local lock_timeout = '10s';

do $$
begin
    if not exists (
        select from ficus.domain where name = {name} and state in ('cut_over', 'retired')
    ) then
        raise exception 'the domain % is not handed over yet', {name}
            using hint = 'run ficus domain cutover first: until then rows come in any order';
    end if;
end
$$;
",
        name = literal(domain)
    ));
}

/// Columns that no legacy row can leave NULL.
fn not_nulls(entities: &[&EntityDraft<'_>], out: &mut String) {
    for entity in entities {
        let columns = entity.columns.iter().filter(|column| column.is_never_null());
        let lines: Vec<String> = columns
            .map(|column| format!("    alter column {} set not null", sql(&column.name)))
            .collect();
        if !lines.is_empty() {
            out.push_str(&format!("\nalter table {}\n{};\n", sql(&entity.name), lines.join(",\n")));
        }
    }
}

/// The names of the indexes that are made.
fn unique_rules(
    room: &Room<'_>,
    entities: &[&EntityDraft<'_>],
    names: &mut Names,
    out: &mut String,
) -> Vec<String> {
    let mut made = Vec::new();
    let rules: Vec<(&EntityDraft<'_>, Vec<Found>)> =
        entities.iter().map(|entity| (*entity, unique::rules(room, entity))).collect();
    let folds = |rule: &Found| {
        rule.as_ref().is_ok_and(|rule| rule.expressions.iter().any(|e| e.contains(FOLDING)))
    };
    if rules.iter().flat_map(|(_, rules)| rules).any(folds) {
        let why = format!(
            "The legacy collation does not look at case. {FOLDING} knows the letters of every script, \
             whatever the database's own locale is; a look-up that is to use the index says the same."
        );
        out.push('\n');
        write(&[Note::Remark(why)], Syntax::Sql, out);
    }
    for (entity, rules) in rules {
        for rule in rules {
            out.push('\n');
            let rule = match rule {
                Ok(rule) => rule,
                Err(why) => {
                    let ask = format!("a unique rule that can't be kept as it is: {why}");
                    write(&[Note::Question(ask)], Syntax::Sql, out);
                    continue;
                }
            };
            let stem = format!("{}_{}", entity.name, rule.columns.join("_"));
            let name = names.take(&[suffixed(&stem, "_key")]);
            let mut notes = vec![Note::remark(format!("{}.", rule.from))];
            notes.extend(rule.question.as_ref().map(Note::question));
            write(&notes, Syntax::Sql, out);
            out.push_str(&statement(entity, &rule, &name));
            made.push(name);
        }
    }
    made
}

fn statement(entity: &EntityDraft<'_>, rule: &Rule, name: &str) -> String {
    let mut sql_text = format!(
        "create unique index if not exists {name}\n    on {} ({})",
        sql(&entity.name),
        rule.expressions.join(", ")
    );
    if rule.may_be_null {
        sql_text.push_str(" nulls not distinct");
    }
    if !rule.conditions.is_empty() {
        sql_text.push_str(&format!("\n    where {}", rule.conditions.join(" and ")));
    }
    sql_text.push_str(";\n");
    sql_text
}

/// A reference, as the seal makes it.
struct Key {
    child: String,
    column: String,
    parent: String,
    domain: String,
}

fn foreign_keys(
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
            let drafted =
                all.iter().find(|e| e.name == *to).map(|e| (e.name.clone(), e.domain.clone()));
            let known = room.choices.known.iter().find(|known| known.entity == *to);
            let known = known.map(|known| (known.target.clone(), known.domain.clone()));
            let Some((parent, domain)) = drafted.or(known) else { continue };
            if *orphans == "allow" {
                allowed.push(format!("{}.{}", entity.name, column.name));
                continue;
            }
            let (child, column) = (entity.name.clone(), column.name.clone());
            keys.push(Key { child, column, parent, domain });
        }
    }
    if !allowed.is_empty() {
        out.push('\n');
        let why = format!("No constraint, because orphans are allowed: {}.", allowed.join(", "));
        write(&[Note::Remark(why)], Syntax::Sql, out);
    }
    if !keys.is_empty() {
        out.push('\n');
        loop_over(&keys, out);
    }
}

/// One statement for all, because Postgres has no `add constraint if not exists`.
fn loop_over(keys: &[Key], out: &mut String) {
    let why = "References, where the cutover has not made them: what it left out had orphans that somebody \
               waived, so old rows are not checked and new ones are.";
    write(&[Note::remark(why)], Syntax::Sql, out);
    let rows: Vec<String> = keys
        .iter()
        .map(|key| {
            let name = foreign_key(&key.child, &key.column);
            let words = [&key.child, &key.column, &key.parent, &key.domain, &name];
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
            where conrelid = to_regclass(quote_ident(key.child)) and conname = key.name)
    loop
        execute format('alter table %I add constraint %I foreign key (%I) references %I (id) not valid',
            wanted.child, wanted.name, wanted.child_column, wanted.parent);
    end loop;
end
$$;
",
        rows.join(",\n")
    ));
}
