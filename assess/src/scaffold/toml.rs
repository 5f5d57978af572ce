//! Drafts as mapping files.

use super::{
    File, Room,
    draft::{ColumnDraft, EntityDraft, LeftOut, Made, TextRule},
    notes::{Note, Syntax, write},
    outline::Outlines,
    unique,
};

/// Names wider than this don't push all others to the right.
const ALIGNED_MAX: usize = 24;

/// The mapping file of a domain.
pub(super) fn mapping(room: &Room<'_>, domain: &str, entities: &[EntityDraft<'_>]) -> File {
    let mut text = String::new();
    let head = format!(
        "Drafted by `ficus mapping scaffold` from {}. A line `# ? …` asks what the schema does not tell; \
         take it out once it is answered.",
        room.catalog.database
    );
    let mut notes = vec![Note::Remark(head)];
    let ours = entities.iter().filter(|entity| entity.domain == domain);
    let is_wall = |column: &ColumnDraft<'_>| matches!(&column.made, Made::Timestamptz { zone: Some(zone), .. } if zone != "UTC");
    if ours.clone().any(|entity| entity.columns.iter().any(is_wall)) {
        let gap = "A time in an hour that summer time skipped is quarantined; gap = \"later\" takes the \
                   time after the jump.";
        notes.push(Note::remark(gap));
    }
    write(&notes, Syntax::Toml, &mut text);
    text.push_str(&format!("domain = {}\n", string(domain)));
    for draft in ours {
        text.push('\n');
        entity(draft, &mut text);
        unique_rules(room, draft, &mut text);
    }
    File { path: format!("mappings/{domain}.toml"), text }
}

fn entity(draft: &EntityDraft<'_>, out: &mut String) {
    out.push_str("[[entity]]\n");
    write(&draft.notes, Syntax::Toml, out);
    out.push_str(&format!("name = {}\n", string(&draft.name)));
    let parts: Vec<String> = draft.parts.iter().map(|table| table.table.to_string()).collect();
    match parts.as_slice() {
        [only] => out.push_str(&format!("from = {}\n", string(only))),
        several => out.push_str(&format!("parts = {}\n", array(several))),
    }
    if !draft.types.is_empty() {
        write(&draft.type_notes, Syntax::Toml, out);
        out.push_str(&format!("type = {}\n", one_or_many(&draft.types)));
    }
    if !draft.key.is_empty() {
        out.push_str(&format!("key = {}\n", array(&draft.key)));
    }
    if let Some(id_time) = &draft.id_time {
        write(&draft.id_time_notes, Syntax::Toml, out);
        out.push_str(&format!("id_time = {}\n", string(id_time)));
    }
    if draft.soft_delete {
        out.push_str("soft_delete = \"deleted_at\"\n");
    }
    if let Some(version) = &draft.version {
        out.push_str(&format!("version = {}\n", string(version)));
    }
    let is_rejected = |column: &&ColumnDraft<'_>| {
        matches!(column.made, Made::Type { .. }) && column.sources.iter().any(|s| s.nullable)
    };
    for column in draft.columns.iter().filter(is_rejected) {
        out.push_str("\n[entity.accept]\n");
        let why = string("without a type nobody can say what the row is; XPO always writes one");
        out.push_str(&format!("null-rejected.{} = {why}\n", column.name));
    }
    out.push_str("\n[entity.columns]\n");
    let widths = draft.columns.iter().map(|column| column.name.len());
    let width = widths.filter(|width| *width <= ALIGNED_MAX).max().unwrap_or(0);
    for column in &draft.columns {
        write(&column.notes, Syntax::Toml, out);
        let made = self::column(draft, column);
        out.push_str(&format!("{:width$} = {{ {made} }}\n", column.name));
    }
    left_out(&draft.left_out, out);
}

fn left_out(left: &[LeftOut], out: &mut String) {
    if left.is_empty() {
        return;
    }
    out.push_str("\n[entity.leave_out]\n");
    let mut asked: Option<&str> = None;
    // Those with the same question stand together below it.
    let mut sorted: Vec<&LeftOut> = left.iter().collect();
    sorted.sort_by_key(|left| left.question.clone());
    for left in sorted {
        let question = left.question.as_deref();
        if let Some(question) = question.filter(|question| asked != Some(*question)) {
            write(&[Note::question(question)], Syntax::Toml, out);
        }
        asked = question;
        out.push_str(&format!("{} = {}\n", key(&left.column), string(&left.reason)));
    }
}

fn unique_rules(room: &Room<'_>, draft: &EntityDraft<'_>, out: &mut String) {
    for rule in unique::said(room, draft) {
        out.push_str("\n[[entity.unique]]\n");
        let mut notes = vec![Note::remark(format!("{}.", rule.from))];
        notes.extend(rule.question.map(Note::Question));
        write(&notes, Syntax::Toml, out);
        out.push_str(&format!("columns = {}\n", array(&rule.columns)));
        for (is_said, line) in [
            (draft.soft_delete && !rule.live, "among   = \"all\"\n"),
            (!rule.nulls_equal, "nulls   = \"distinct\"\n"),
            (rule.ignore_case, "case    = \"ignore\"\n"),
        ] {
            out.push_str(if is_said { line } else { "" });
        }
    }
}

/// What stands between the braces.
fn column(entity: &EntityDraft<'_>, draft: &ColumnDraft<'_>) -> String {
    let names: Vec<String> =
        draft.sources.iter().map(|source| entity.column_name(draft.part, &source.name)).collect();
    let mut words = vec![
        format!("from = {}", one_or_many(&names)),
        format!("as = {}", string(draft.made.word())),
    ];
    options(&draft.made, &mut words);
    let is_bytes = matches!(draft.made, Made::Text(_) | Made::Bytea | Made::XpoFile);
    if is_bytes && draft.sources.iter().any(|source| source.sql_type.is_lob()) {
        words.push("lob = \"inline\"".into());
    }
    if !draft.sentinels.is_empty() {
        let pairs =
            draft.sentinels.iter().map(|(date, to)| format!("{} = {}", string(date), string(to)));
        words.push(format!("sentinels = {{ {} }}", pairs.collect::<Vec<_>>().join(", ")));
    }
    if draft.sensitive {
        words.push("sensitive = true".into());
    }
    words.join(", ")
}

fn options(made: &Made, words: &mut Vec<String>) {
    match made {
        Made::Bool { default: true } => words.push("default = false".into()),
        Made::Numeric { scale, .. } => words.push(format!("scale = {scale}")),
        Made::Money { currency, digits } => {
            words.push(format!("currency = {}, digits = {digits}", string(currency)));
        }
        Made::Text(rule) => text_rule(*rule, words),
        Made::Date { midnight: true } => words.push("time = \"midnight\"".into()),
        Made::Time { truncate: true } => words.push("precision = \"truncate\"".into()),
        Made::Timestamptz { zone, truncate } => {
            words.extend(zone.as_ref().map(|zone| format!("zone = {}", string(zone))));
            if *truncate {
                words.push("precision = \"truncate\"".into());
            }
        }
        Made::Enum { values, null } => {
            let values = values.iter().map(|(number, name)| format!("{number} = {}", string(name)));
            words.push(format!("values = {{ {} }}", values.collect::<Vec<_>>().join(", ")));
            words.extend(null.as_ref().map(|null| format!("null = {}", string(null))));
        }
        Made::Type { values } => {
            words.push("not_null = true".into());
            if !values.is_empty() {
                let values =
                    values.iter().map(|(n, name)| format!("{} = {}", string(n), string(name)));
                words.push(format!("values = {{ {} }}", values.collect::<Vec<_>>().join(", ")));
            }
        }
        Made::Ref { to, orphans } => {
            words.push(format!("to = {}, orphans = {}", string(to), string(orphans)));
        }
        Made::Bool { default: false }
        | Made::Int2
        | Made::Int4
        | Made::Int8
        | Made::Float8
        | Made::Bytea
        | Made::Uuid
        | Made::Date { midnight: false }
        | Made::Time { truncate: false }
        | Made::XpoFile => {}
    }
}

fn text_rule(rule: TextRule, words: &mut Vec<String>) {
    let said = [
        (rule.trim_end, "trim = \"end\""),
        (rule.empty_is_null, "empty = \"null\""),
        (rule.strip_nul, "nul = \"strip\""),
        (rule.replace_surrogates, "surrogate = \"replace\""),
    ];
    words.extend(said.into_iter().filter(|(is, _)| *is).map(|(_, word)| word.to_owned()));
}

/// The legacy tables that become nothing, with the reasons; the dictionary of types, where it is
/// asked.
pub(super) fn ignored(
    room: &Room<'_>,
    outlines: &Outlines<'_>,
    domains: &[&str],
    entities: &[EntityDraft<'_>],
) -> Option<File> {
    let is_asked = entities.iter().any(|entity| {
        let by_type = |column: &ColumnDraft<'_>| matches!(column.made, Made::Type { .. });
        !entity.types.is_empty() || entity.columns.iter().any(by_type)
    });
    let found = room.families.dictionary().map(|table| &table.table);
    let dictionary =
        outlines.dictionary.as_ref().or(found.filter(|_| is_asked && !room.choices.knows_types));
    if dictionary.is_none() && outlines.ignored.is_empty() && outlines.unnamed.is_empty() {
        return None;
    }
    let mut text = String::new();
    let head = "The legacy tables that do not move, and why. Every report prints the reasons.";
    write(&[Note::remark(head)], Syntax::Toml, &mut text);
    if let Some(dictionary) = dictionary {
        let what = "XPO's dictionary of type names: what ObjectType is resolved by.";
        text.push('\n');
        write(&[Note::remark(what)], Syntax::Toml, &mut text);
        text.push_str(&format!("object_types = {}\n", string(&dictionary.to_string())));
    }
    for unnamed in &outlines.unnamed {
        text.push('\n');
        write(&[Note::question(unnamed.clone())], Syntax::Toml, &mut text);
    }
    for ignored in &outlines.ignored {
        text.push_str("\n[[ignore]]\n");
        let question = ignored.question.iter().map(Note::question).collect::<Vec<_>>();
        write(&question, Syntax::Toml, &mut text);
        let table = string(&ignored.table.to_string());
        text.push_str(&format!("table = {table}\nreason = {}\n", string(&ignored.reason)));
    }
    let name = if domains.contains(&"ignored") { "ignored-tables" } else { "ignored" };
    Some(File { path: format!("mappings/{name}.toml"), text })
}

fn one_or_many(names: &[String]) -> String {
    match names {
        [only] => string(only),
        several => array(several),
    }
}

fn array(names: &[String]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| string(name)).collect();
    format!("[{}]", quoted.join(", "))
}

/// A key, in quotes where TOML would take it for something else.
fn key(name: &str) -> String {
    let is_bare = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    if !name.is_empty() && name.bytes().all(is_bare) { name.to_owned() } else { string(name) }
}

/// A basic string: one line, whatever is in it.
fn string(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for letter in text.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            letter if letter.is_control() => {
                quoted.push_str(&format!("\\u{:04X}", u32::from(letter)));
            }
            letter => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}
