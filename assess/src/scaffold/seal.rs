//! What is sealed at a domain's cutover: NOT NULLs, unique rules and references (law 7).

use mapping::name::suffixed;

use super::{
    File, Room,
    draft::EntityDraft,
    foreign,
    names::{Names, literal, sql},
    notes::{Note, Syntax, WIDTH, write},
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
    foreign::keys(room, &ours, entities, &mut rules);
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
             ficus_owner: psql -v ON_ERROR_STOP=1 -f seal/{domain}.sql. It may run again."
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
            let statement = statement(entity, &rule, &name);
            if rule.is_open {
                out.extend(statement.lines().map(|line| format!("-- {line}\n")));
            } else {
                out.push_str(&statement);
                made.push(name);
            }
        }
    }
    made
}

fn statement(entity: &EntityDraft<'_>, rule: &Rule, name: &str) -> String {
    let table = sql(&entity.name);
    let mut on = format!("    on {table} ({})", rule.expressions.join(", "));
    if on.chars().count() > WIDTH {
        on = format!("    on {table} (\n        {})", rule.expressions.join(",\n        "));
    }
    let mut statement = format!("create unique index if not exists {name}\n{on}");
    if rule.may_be_null {
        statement.push_str(" nulls not distinct");
    }
    if !rule.conditions.is_empty() {
        statement.push_str(&format!("\n    where {}", rule.conditions.join(" and ")));
    }
    statement.push_str(";\n");
    statement
}
