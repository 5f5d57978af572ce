//! What is sealed at a domain's cutover: NOT NULLs, unique rules and references (law 7).

use mapping::name::suffixed;

use super::{
    File, Room,
    draft::{EntityDraft, Made},
    foreign,
    names::{Names, literal, sql},
    notes::{Note, Syntax, WIDTH, write},
    unique::{self, Rule},
};

/// The collation by which the seal folds cases.
const FOLDING: &str = "\"und-x-icu\"";

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
            "`ficus domain cutover {domain}` makes the references and the unique rules of the mapping file \
             itself, in the transaction that hands the domain over, and leaves out those whose orphans or \
             duplicates were waived; they are here under the same names to be looked at. It does not make \
             NOT NULLs, nor what a mapping file can't say. So run this file right after it, as a member of \
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

/// The names of the indexes that are made here, and not by the cutover.
fn unique_rules(
    room: &Room<'_>,
    entities: &[&EntityDraft<'_>],
    names: &mut Names,
    out: &mut String,
) -> Vec<String> {
    let mut made = Vec::new();
    let mut of_mapping = String::new();
    let mut others = String::new();
    for entity in entities {
        for rule in unique::rules(room, entity) {
            let rule = match rule {
                Ok(rule) => rule,
                Err(why) => {
                    let ask = format!("a unique rule that can't be kept as it is: {why}");
                    others.push('\n');
                    write(&[Note::Question(ask)], Syntax::Sql, &mut others);
                    continue;
                }
            };
            let stem = format!("{}_{}", entity.name, rule.columns.join("_"));
            let name = names.take(&[suffixed(&stem, "_key")]);
            let statement = statement(entity, &rule, &name);
            let commented = statement.lines().map(|line| format!("-- {line}\n"));
            if rule.is_said() {
                of_mapping.extend(commented);
                continue;
            }
            let mut notes = vec![Note::remark(format!("{}.", rule.from))];
            notes.extend(rule.question.as_ref().map(Note::question));
            others.push('\n');
            write(&notes, Syntax::Sql, &mut others);
            if rule.is_open {
                others.extend(commented);
            } else {
                others.push_str(&statement);
                made.push(name);
            }
        }
    }
    if !of_mapping.is_empty() {
        let why = format!(
            "Made by the cutover from the mapping file's [[entity.unique]]. {FOLDING} knows the letters of \
             every script; a look-up that is to use such an index says the same."
        );
        out.push('\n');
        write(&[Note::Remark(why)], Syntax::Sql, out);
        out.push_str(&of_mapping);
    }
    out.push_str(&others);
    made
}

fn statement(entity: &EntityDraft<'_>, rule: &Rule, name: &str) -> String {
    let table = sql(&entity.name);
    let expressions: Vec<String> =
        rule.columns.iter().map(|column| expression(entity, rule, column)).collect();
    let mut on = format!("    on {table} ({})", expressions.join(", "));
    if on.chars().count() > WIDTH {
        on = format!("    on {table} (\n        {})", expressions.join(",\n        "));
    }
    let mut statement = format!("create unique index if not exists {name}\n{on}");
    if rule.nulls_equal {
        statement.push_str(" nulls not distinct");
    }
    let live = rule.live.then(|| "deleted_at is null".to_owned());
    let conditions: Vec<String> = live.into_iter().chain(rule.filter.iter().cloned()).collect();
    if !conditions.is_empty() {
        statement.push_str(&format!("\n    where {}", conditions.join(" and ")));
    }
    statement.push_str(";\n");
    statement
}

/// A column as an index compares it: every text is folded where the rule ignores case.
fn expression(entity: &EntityDraft<'_>, rule: &Rule, column: &str) -> String {
    let is_text =
        |made: &Made| matches!(made, Made::Text(_) | Made::Enum { .. } | Made::Type { .. });
    let draft = entity.columns.iter().find(|draft| draft.name == column);
    let name = sql(column);
    if rule.ignore_case && draft.is_some_and(|draft| is_text(&draft.made)) {
        format!("lower({name} collate {FOLDING})")
    } else {
        name
    }
}
