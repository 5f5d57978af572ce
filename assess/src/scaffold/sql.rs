//! Drafts as a product's migrations: tables, what they are looked up by, who may touch them.

use mapping::name::suffixed;

use super::{
    File, Room,
    draft::{ColumnDraft, EntityDraft, Made},
    names::{Names, literal, sql},
    notes::{Note, Syntax, WIDTH, one_line, write},
    unique,
};

/// The first version that a product may use.
const FIRST_VERSION: i64 = 1001;

/// Writes the migrations of all domains, so that no index has the name of another.
pub(super) struct Writer<'r, 'c> {
    room: &'r Room<'c>,
    entities: &'r [EntityDraft<'c>],
    names: Names,
    used: Vec<i64>,
}

impl<'r, 'c> Writer<'r, 'c> {
    pub(super) fn new(room: &'r Room<'c>, entities: &'r [EntityDraft<'c>]) -> Self {
        let mut names = Names::default();
        for entity in entities {
            names.take(std::slice::from_ref(&entity.name));
        }
        let used = room.choices.migrations.iter().map(|(version, _)| *version).collect();
        Self { room, entities, names, used }
    }

    /// The names of relations so far.
    pub(super) fn names(&mut self) -> &mut Names {
        &mut self.names
    }

    /// The migration of a domain. One that was there before keeps its number.
    pub(super) fn migration(&mut self, domain: &str, is_sealed: bool) -> File {
        let name = domain.replace('-', "_");
        let before = self.room.choices.migrations.iter().find(|(_, known)| *known == name);
        let next = self.used.iter().max().map_or(FIRST_VERSION, |last| last + 1);
        let version = before.map_or(next.max(FIRST_VERSION), |(version, _)| *version);
        self.used.push(version);
        let entities: Vec<&EntityDraft<'_>> =
            self.entities.iter().filter(|entity| entity.domain == domain).collect();
        let mut text = String::new();
        head(domain, is_sealed, &mut text);
        for entity in &entities {
            text.push('\n');
            table(entity, &mut text);
        }
        self.indexes(&entities, &mut text);
        access(&entities, &mut text);
        File { path: format!("migrations/{version:04}_{name}.sql"), text }
    }

    /// References are followed in both directions. What the seal makes unique has its index then.
    fn indexes(&mut self, entities: &[&EntityDraft<'_>], out: &mut String) {
        let mut lines = Vec::new();
        for entity in entities {
            let unique = unique::first_columns(self.room, entity);
            let is_ref = |column: &&ColumnDraft<'_>| matches!(column.made, Made::Ref { .. });
            for column in entity.columns.iter().filter(is_ref) {
                if unique.contains(&column.name) {
                    continue;
                }
                let name = suffixed(&format!("{}_{}", entity.name, column.name), "_idx");
                let name = self.names.take(&[name]);
                let (table, column) = (sql(&entity.name), sql(&column.name));
                lines.push(format!("create index {name} on {table} ({column});\n"));
            }
        }
        if !lines.is_empty() {
            out.push('\n');
            write(&[Note::remark("References are followed in both directions.")], Syntax::Sql, out);
            out.extend(lines);
        }
    }
}

fn head(domain: &str, is_sealed: bool, out: &mut String) {
    let sealed = if is_sealed {
        format!("References, unique rules and NOT NULLs come at the cutover (seal/{domain}.sql). ")
    } else {
        String::new()
    };
    let notes = [
        format!(
            "The tables of {domain}, one for each entity of its mapping file. Drafted by `ficus mapping \
             scaffold`; a line `-- ? …` asks what the schema does not tell."
        ),
        String::new(),
        format!(
            "While the domain follows the legacy system its tables have a primary key and CHECKs and \
             nothing across rows: parents come after children, and a unique value may pass from one row \
             to another within one legacy transaction. {sealed}Ids are minted by the engine; \
             `source_position` is the legacy change that made the row, NULL for a row that was made here \
             after the cutover."
        ),
    ];
    write(&notes.map(Note::Remark), Syntax::Sql, out);
    out.push_str("set local lock_timeout = '10s';\n");
}

fn table(entity: &EntityDraft<'_>, out: &mut String) {
    let mut lines: Vec<(String, String)> = vec![("id".into(), "uuid primary key".into())];
    for column in &entity.columns {
        lines.push((sql(&column.name), column.made.sql_type()));
    }
    if entity.version.is_some() {
        lines.push(("version".into(), "integer not null default 0".into()));
    }
    if entity.soft_delete {
        lines.push(("deleted_at".into(), "timestamptz".into()));
    }
    lines.push(("source_position".into(), "bytea".into()));
    let widths = lines.iter().map(|(name, _)| name.len());
    let width = widths.filter(|width| *width <= 24).max().unwrap_or(0);
    out.push_str(&format!("create table {} (\n", sql(&entity.name)));
    let last = lines.len() - 1;
    for (index, (name, sql_type)) in lines.iter().enumerate() {
        let comma = if index == last { "" } else { "," };
        let column = index.checked_sub(1).and_then(|index| entity.columns.get(index));
        let check = column.map_or_else(String::new, |column| check(entity, column, width));
        out.push_str(&format!("    {name:width$} {sql_type}{check}{comma}\n"));
    }
    out.push_str(");\n");
    comments(entity, out);
}

/// The names that a column may hold.
fn check(entity: &EntityDraft<'_>, column: &ColumnDraft<'_>, width: usize) -> String {
    let allowed = column.made.allowed();
    if allowed.is_empty() {
        return String::new();
    }
    let name = suffixed(&format!("{}_{}", entity.name, column.name), "_check");
    let indent = " ".repeat(width + 5);
    let mut lines = vec![format!("{indent}check ({} in (", sql(&column.name))];
    for (index, value) in allowed.iter().enumerate() {
        let end = if index + 1 == allowed.len() { "))" } else { "," };
        let word = format!("{}{end}", literal(value));
        let Some(line) = lines.last_mut() else { continue };
        if line.chars().count() + word.chars().count() + 1 > WIDTH && index > 0 {
            lines.push(format!("{indent}    {word}"));
        } else {
            let blank = if index > 0 { " " } else { "" };
            line.push_str(blank);
            line.push_str(&word);
        }
    }
    format!(" constraint {name}\n{}", lines.join("\n"))
}

fn comments(entity: &EntityDraft<'_>, out: &mut String) {
    let table = sql(&entity.name);
    let parts: Vec<String> = entity.parts.iter().map(|part| part.table.to_string()).collect();
    let from = literal(&format!("from {}", one_line(&parts.join(" and "))));
    out.push_str(&format!("\ncomment on table {table} is {from};\n"));
    for column in &entity.columns {
        let text = match &column.made {
            Made::Money { currency, digits } => {
                format!("minor units of {currency} ({digits} digits)")
            }
            Made::XpoFile => "as it was before XAF compressed it".to_owned(),
            _ => continue,
        };
        let column = sql(&column.name);
        out.push_str(&format!("comment on column {table}.{column} is {};\n", literal(&text)));
    }
}

/// The engine writes, reports read; whoever else may see a row is a person's decision.
fn access(entities: &[&EntityDraft<'_>], out: &mut String) {
    let tables: Vec<String> = entities.iter().map(|entity| sql(&entity.name)).collect();
    out.push('\n');
    let why = "The engine writes them through the one way in, reports and reconcile read them.";
    write(&[Note::remark(why)], Syntax::Sql, out);
    grant("select, insert, update, delete", &tables, "ficus_engine", out);
    grant("select", &tables, "ficus_reader", out);
    out.push('\n');
    let ask = "who of the API's users may see and change which rows? Until it is said ficus_api has no \
               right here. What the engine and the readers need beside policies for ficus_api:";
    write(&[Note::question(ask)], Syntax::Sql, out);
    let quoted: Vec<String> = entities.iter().map(|entity| literal(&entity.name)).collect();
    let names: Vec<String> =
        wrapped(&quoted).lines().map(|line| format!("--     {line}\n")).collect();
    out.push_str(&format!("{POLICIES_BEGIN}{}{POLICIES_END}", names.join("")));
}

/// As a product's row security begins.
const POLICIES_BEGIN: &str = "-- do $$
-- declare
--     name text;
-- begin
--     foreach name in array array[
";

const POLICIES_END: &str = "--     ] loop
--         execute format('alter table %I enable row level security', name);
--         execute format('alter table %I force row level security', name);
--         execute format('create policy owner_reads on %I for select to ficus_owner using (true)', name);
--         execute format('create policy engine_writes on %I to ficus_engine using (true) with check (true)', name);
--         execute format('create policy reader_reads on %I for select to ficus_reader using (true)', name);
--     end loop;
-- end
-- $$;
";

fn grant(rights: &str, tables: &[String], role: &str, out: &mut String) {
    let line = format!("grant {rights} on {} to {role};\n", tables.join(", "));
    if line.chars().count() <= WIDTH {
        out.push_str(&line);
    } else {
        let wrapped = wrapped(tables);
        out.push_str(&format!("grant {rights} on\n{wrapped}\n    to {role};\n"));
    }
}

/// Names with commas, wrapped and indented.
fn wrapped(names: &[String]) -> String {
    let mut lines = vec!["   ".to_owned()];
    for (index, name) in names.iter().enumerate() {
        let word = if index + 1 == names.len() { name.clone() } else { format!("{name},") };
        let Some(line) = lines.last_mut() else { continue };
        if line.len() + word.len() + 1 > WIDTH && line.trim() != "" {
            lines.push(format!("    {word}"));
        } else {
            line.push(' ');
            line.push_str(&word);
        }
    }
    lines.join("\n")
}
