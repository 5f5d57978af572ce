//! The target against the mapping. Every disagreement at once, each with what to write.

use std::collections::BTreeSet;

use mapping::{
    catalog::Catalog,
    check::Promise,
    finding::{Finding, Rule, Subject},
    plan::{EntityPlan, PgType, Plan, TargetColumn},
};

use super::{Column, Table, TargetSchema, ddl, text_set::text_set};
use crate::{statement::Ident, target::type_name};

/// The engine's own column.
const POSITION: &str = "source_position";

impl TargetSchema {
    /// Everything in which the target differs from what the mapping needs. The catalogue says
    /// which legacy columns may be NULL.
    #[must_use]
    pub fn check(&self, plan: &Plan, catalog: &Catalog) -> Vec<Finding> {
        let mut found = Vec::new();
        for entity in &plan.entities {
            let mut comparison = Comparison { schema: self, plan, entity, found: Vec::new() };
            match self.table(entity) {
                Some(table) => comparison.table(table, catalog),
                None => comparison.missing(),
            }
            found.append(&mut comparison.found);
        }
        found
    }
}

/// One entity with its table.
struct Comparison<'a> {
    schema: &'a TargetSchema,
    plan: &'a Plan,
    entity: &'a EntityPlan,
    found: Vec<Finding>,
}

impl Comparison<'_> {
    fn note(&mut self, rule: Rule, column: Option<&str>, message: String, help: String) {
        let entity = self.entity.name.clone();
        let subject = match column {
            Some(column) => Subject::Column { entity, column: column.to_owned() },
            None => Subject::Entity(entity),
        };
        self.found.push(Finding::new(rule, subject, column.unwrap_or_default(), message, help));
    }

    /// `table.column`, for messages.
    fn name(&self, column: &str) -> String {
        format!("`{}.{column}`", self.entity.target_table)
    }

    fn missing(&mut self) {
        let (schema, table) = (&self.entity.target_schema, &self.entity.target_table);
        let message = format!("there is no table `{schema}.{table}` in Postgres");
        self.note(Rule::TargetTableMissing, None, message, ddl::create(self.entity));
    }

    fn table(&mut self, table: &Table, catalog: &Catalog) {
        for (index, column) in self.entity.columns.iter().enumerate() {
            match table.columns.get(&column.name) {
                None => self.no_column(&column.name, &ddl::column(column)),
                Some(found) => {
                    self.type_of(column, found);
                    let promise = self.plan.promise(self.entity, index, catalog);
                    self.values(column, found, table, &promise.unwrap_or_default());
                }
            }
        }
        self.position(table);
        self.extra(table);
        self.constraints(table);
        self.access(table);
    }

    fn no_column(&mut self, name: &str, definition: &str) {
        let message = format!("there is no column {} in Postgres", self.name(name));
        let help = ddl::alter(self.entity, &format!("add column {definition}"));
        self.note(Rule::TargetColumnMissing, Some(name), message, help);
    }

    fn type_of(&mut self, column: &TargetColumn, found: &Column) {
        let wanted = type_name(column.pg_type);
        let name = self.name(&column.name);
        let to = format!(
            "alter column {} type {}",
            Ident::new(&column.name),
            ddl::type_of(column.pg_type)
        );
        let scale = match column.pg_type {
            PgType::Numeric { scale } => Some(i32::from(scale)),
            _ => None,
        };
        if found.type_name != wanted {
            let message = format!(
                "{name} is {} in Postgres, and the mapping writes {wanted}",
                found.type_name
            );
            let help =
                format!("{} Or choose another `as` in the mapping", ddl::alter(self.entity, &to));
            self.note(Rule::TargetType, Some(&column.name), message, help);
        } else if let (Some(scale), Some(actual)) =
            (scale, found.scale.filter(|s| scale != Some(*s)))
        {
            let message = format!(
                "{name} has {actual} digits after the point in Postgres, and the mapping writes {scale}"
            );
            let help = format!("say scale = {actual}, or {}", ddl::alter(self.entity, &to));
            self.note(Rule::TargetType, Some(&column.name), message, help);
        }
        if found.generated {
            let message = format!("{name} is made by Postgres itself, and the mapping writes it");
            let drop = format!("alter column {} drop expression", Ident::new(&column.name));
            let help = format!("{} Or leave it out of the mapping", ddl::alter(self.entity, &drop));
            self.note(Rule::TargetGenerated, Some(&column.name), message, help);
        }
    }

    /// NULLs, and the texts of a CHECK.
    fn values(&mut self, column: &TargetColumn, found: &Column, table: &Table, promise: &Promise) {
        let name = self.name(&column.name);
        if let (Some(why), true) = (&promise.null, found.not_null) {
            let message =
                format!("{name} is NOT NULL in Postgres, and the mapping may write NULL: {why}");
            let drop = format!("alter column {} drop not null", Ident::new(&column.name));
            let help = format!(
                "{} Or say `default` or `not_null` in the mapping",
                ddl::alter(self.entity, &drop)
            );
            self.note(Rule::TargetNotNull, Some(&column.name), message, help);
        }
        let Some(written) = &promise.texts else { return };
        let written: BTreeSet<String> = written.iter().cloned().collect();
        for check in table.checks.iter().filter(|check| check.column == column.name) {
            let Some(allowed) = text_set(&check.expression, &column.name) else { continue };
            self.texts(column, &check.name, &written, &allowed);
        }
    }

    fn texts(
        &mut self,
        column: &TargetColumn,
        check: &str,
        written: &BTreeSet<String>,
        allowed: &BTreeSet<String>,
    ) {
        let list = |texts: Vec<&String>| {
            texts.into_iter().map(|text| ddl::literal(text)).collect::<Vec<_>>().join(", ")
        };
        let quoted = Ident::new(check);
        let refused: Vec<&String> = written.difference(allowed).collect();
        if !refused.is_empty() {
            let message = format!(
                "the CHECK `{check}` refuses {}, which the mapping writes into {}",
                list(refused),
                self.name(&column.name)
            );
            let all = list(written.union(allowed).collect());
            let replace = format!(
                "drop constraint {quoted}, add constraint {quoted} check ({} in ({all}))",
                Ident::new(&column.name)
            );
            self.note(
                Rule::TargetCheck,
                Some(&column.name),
                message,
                ddl::alter(self.entity, &replace),
            );
        }
        let wider: Vec<&String> = allowed.difference(written).collect();
        if !wider.is_empty() {
            let message = format!(
                "the CHECK `{check}` allows {}, which the mapping never writes into {}",
                list(wider),
                self.name(&column.name)
            );
            let help = format!(
                "name the legacy value in `values`, or [entity.accept] target-check-wider.{} = \"why\"",
                column.name
            );
            self.note(Rule::TargetCheckWider, Some(&column.name), message, help);
        }
    }

    /// The column by which every row knows its source (law 3).
    fn position(&mut self, table: &Table) {
        let definition = format!("\"{POSITION}\" bytea");
        let Some(found) = table.columns.get(POSITION) else {
            return self.no_column(POSITION, &definition);
        };
        let name = self.name(POSITION);
        if found.type_name != "bytea" {
            let message =
                format!("{name} is {} in Postgres, and the engine writes bytea", found.type_name);
            let help = ddl::alter(self.entity, &format!("alter column \"{POSITION}\" type bytea"));
            self.note(Rule::TargetType, Some(POSITION), message, help);
        }
        if found.not_null {
            let message = format!(
                "{name} is NOT NULL in Postgres, and a row that is made after the cutover has none"
            );
            let help =
                ddl::alter(self.entity, &format!("alter column \"{POSITION}\" drop not null"));
            self.note(Rule::TargetNotNull, Some(POSITION), message, help);
        }
    }

    fn extra(&mut self, table: &Table) {
        let known = |name: &String| {
            name == POSITION || self.entity.columns.iter().any(|column| column.name == *name)
        };
        let extra: Vec<(&String, &Column)> =
            table.columns.iter().filter(|(name, _)| !known(name)).collect();
        for (column, found) in extra {
            let name = self.name(column);
            if found.not_null && !found.has_default && !found.generated {
                let message = format!(
                    "{name} is NOT NULL in Postgres without a default, and the mapping does not \
                     fill it: every row would be refused"
                );
                let drop = format!("alter column {} drop not null", Ident::new(column));
                let help =
                    format!("map it, give it a default, or {}", ddl::alter(self.entity, &drop));
                self.note(Rule::TargetUnfilled, Some(column), message, help);
            } else {
                let message = format!("{name} is in Postgres, and the mapping does not fill it");
                let help = format!(
                    "map it, drop it, or [entity.accept] target-extra.{column} = \"why it is there\""
                );
                self.note(Rule::TargetExtra, Some(column), message, help);
            }
        }
    }

    /// Law 7: until the cutover a followed table has its primary key and its CHECKs only.
    fn constraints(&mut self, table: &Table) {
        if table.primary_key != ["id"] {
            let is = match table.primary_key.join(", ") {
                none if none.is_empty() => "nothing".to_owned(),
                columns => format!("({columns})"),
            };
            let name = &self.entity.target_table;
            let message = format!("the primary key of `{name}` is {is}, and has to be `id`");
            let help = ddl::alter(self.entity, "add primary key (id)");
            self.note(Rule::TargetPrimaryKey, None, message, help);
        }
        let state = self.schema.domains.get(&self.entity.domain).map(String::as_str);
        if matches!(state, Some("cut_over" | "retired")) {
            return;
        }
        let state = state.unwrap_or("legacy").to_owned();
        for unique in &table.uniques {
            if unique.columns.contains("id") {
                continue;
            }
            let why = "two rows may swap their values within one legacy transaction";
            let drop = if unique.is_constraint {
                ddl::alter(self.entity, &format!("drop constraint {}", Ident::new(&unique.name)))
            } else {
                let name = Ident::qualified(&self.entity.target_schema, &unique.name);
                format!("drop index {name};")
            };
            self.early(&unique.name, "a unique index", &state, why, drop);
        }
        for name in &table.exclusions {
            let why = "two rows may swap their values within one legacy transaction";
            let drop = ddl::alter(self.entity, &format!("drop constraint {}", Ident::new(name)));
            self.early(name, "an exclusion constraint", &state, why, drop);
        }
        for key in &table.foreign_keys {
            // Between two mapped tables, the referring one tells.
            if key.incoming && self.schema.tables.contains_key(&key.child) {
                continue;
            }
            let child = Ident::qualified(&key.child.0, &key.child.1);
            let drop = format!("alter table {child} drop constraint {};", Ident::new(&key.name));
            let why = if key.incoming {
                "a row that is still referred to could not be deleted"
            } else {
                "a child may come before its parent"
            };
            self.early(&key.name, "a foreign key", &state, why, drop);
        }
    }

    fn early(&mut self, name: &str, what: &str, state: &str, why: &str, drop: String) {
        let message = format!(
            "`{}` has {what}, `{name}`, while the domain `{}` is {state}: {why}",
            self.entity.target_table, self.entity.domain
        );
        let help = format!("{drop} Make it at the cutover");
        self.note(Rule::TargetSealedEarly, None, message, help);
    }

    fn access(&mut self, table: &Table) {
        let name = self.entity.target_table.clone();
        let quoted = ddl::table(self.entity);
        if table.engine_writes == Some(false) {
            let message = format!("ficus_engine may not read and write `{name}`");
            let help = format!("grant select, insert, update, delete on {quoted} to ficus_engine;");
            self.note(Rule::TargetRights, None, message, help);
        }
        if table.api_reads == Some(true) && !table.row_security {
            let message = format!(
                "ficus_api may read `{name}`, and row level security is not forced on it: every \
                 request would see every row"
            );
            let help = format!(
                "alter table {quoted} enable row level security, force row level security; and write \
                 its policies"
            );
            self.note(Rule::TargetRowSecurity, None, message, help);
        }
    }
}
