//! The target's tables against the mapping: each disagreement, and that what is advised mends it.

use std::collections::BTreeSet;

use mapping::{finding::Finding, plan::EntityPlan};
use sandbox::postgres::{SUPERUSER, shared};
use sqlx::{AssertSqlSafe, PgPool};
use target::schema::TargetSchema;

use crate::lab::{Lab, catalog, plan};

async fn check(pool: &PgPool) -> Vec<Finding> {
    let plan = plan();
    let schema = TargetSchema::read(pool, &plan).await.expect("the schema");
    schema.check(&plan, &catalog())
}

async fn run(pool: &PgPool, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(pool).await.expect(sql);
}

fn told(findings: &[Finding]) -> Vec<String> {
    findings.iter().map(|finding| format!("{}: {}", finding.rule, finding.message)).collect()
}

#[tokio::test]
async fn a_migrated_target_has_nothing_wrong() {
    let lab = Lab::new().await;
    assert_eq!(told(&check(&lab.admin).await), Vec::<String>::new());
    // Every role may ask.
    assert_eq!(told(&check(&lab.owner).await), Vec::<String>::new());
}

#[tokio::test]
async fn an_empty_database_is_told_what_to_write_and_that_is_enough() {
    let server = shared().await.expect("Postgres");
    server.create_database("schema_empty").await.expect("a database");
    let pool = PgPool::connect(&server.url(SUPERUSER, "schema_empty")).await.expect("a pool");
    let found = check(&pool).await;
    assert_eq!(
        told(&found),
        ["contracts", "tenants", "owners", "links"].map(|table| {
            format!("target-table-missing: there is no table `public.{table}` in Postgres")
        })
    );
    for finding in found {
        run(&pool, &finding.help).await;
    }
    run(&pool, "grant all on contracts, tenants, owners, links to public").await;
    // Another test may have made the roles meanwhile: what they may do is not this test's.
    let left: Vec<String> = told(&check(&pool).await);
    assert!(left.iter().all(|line| line.starts_with("target-row-security")), "{left:#?}");
}

#[tokio::test]
async fn every_disagreement_is_told_at_once_and_mended_by_its_own_advice() {
    let lab = Lab::new().await;
    run(
        &lab.admin,
        "alter table contracts drop column terms, drop column source_position,
             alter column total type numeric(18, 2), alter column version drop not null,
             alter column number set not null, alter column photo set not null,
             add column origin text not null,
             add column remark text;
         alter table tenants drop constraint tenants_pkey, drop column credit,
             add column credit integer generated always as (version + 1) stored,
             alter column source_position set not null;
         revoke update on owners from ficus_engine;
         grant select on owners to ficus_api",
    )
    .await;
    let found = check(&lab.admin).await;
    assert_eq!(
        told(&found),
        [
            "target-type: `contracts.total` is numeric in Postgres, and the mapping writes bigint",
            "target-column-missing: there is no column `contracts.terms` in Postgres",
            "target-not-null: `contracts.photo` is NOT NULL in Postgres, and the mapping may write \
             NULL: `Photo` is nullable",
            "target-column-missing: there is no column `contracts.source_position` in Postgres",
            "target-unfilled: `contracts.origin` is NOT NULL in Postgres without a default, and the \
             mapping does not fill it: every row would be refused",
            "target-extra: `contracts.remark` is in Postgres, and the mapping does not fill it",
            "target-generated: `tenants.credit` is made by Postgres itself, and the mapping writes it",
            "target-not-null: `tenants.source_position` is NOT NULL in Postgres, and a row that is \
             made after the cutover has none",
            "target-primary-key: the primary key of `tenants` is nothing, and has to be `id`",
            "target-rights: ficus_engine may not read and write `owners`",
            "target-row-security: ficus_api may read `owners`, and row level security is not forced \
             on it: every request would see every row",
        ],
    );
    for finding in found {
        // What is to be run stands before what is to be thought about.
        let sql = finding.help.replace("map it, give it a default, or ", "");
        let sql = sql.split(';').next().unwrap_or_default();
        if !sql.contains("row level security") && !sql.starts_with("map it") {
            run(&lab.admin, sql).await;
        }
    }
    run(&lab.admin, "alter table owners enable row level security, force row level security").await;
    let left = check(&lab.admin).await;
    assert_eq!(
        told(&left),
        [
            "target-extra: `contracts.origin` is in Postgres, and the mapping does not fill it",
            "target-extra: `contracts.remark` is in Postgres, and the mapping does not fill it",
        ]
    );
}

#[tokio::test]
async fn constraints_across_rows_wait_for_the_cutover() {
    let lab = Lab::new().await;
    run(
        &lab.admin,
        "create unique index contracts_number_idx on contracts (number);
         create unique index contracts_id_number_idx on contracts (id, number);
         alter table tenants add constraint tenants_name_key unique nulls not distinct (name);
         alter table owners add constraint owners_bank_excl exclude (bank with =);
         alter table contracts add constraint contracts_tenant_id_fkey
             foreign key (tenant_id) references tenants (id);
         create table notes (id uuid primary key, contract_id uuid
             constraint notes_contract_fkey references contracts (id))",
    )
    .await;
    let found = check(&lab.admin).await;
    let why = "two rows may swap their values within one legacy transaction";
    assert_eq!(
        told(&found),
        [
            format!("target-sealed-early: `contracts` has a unique index, `contracts_number_idx`, while the domain `contracts` is legacy: {why}"),
            "target-sealed-early: `contracts` has a foreign key, `contracts_tenant_id_fkey`, while \
             the domain `contracts` is legacy: a child may come before its parent"
                .to_owned(),
            "target-sealed-early: `contracts` has a foreign key, `notes_contract_fkey`, while the \
             domain `contracts` is legacy: a row that is still referred to could not be deleted"
                .to_owned(),
            format!("target-sealed-early: `tenants` has a unique index, `tenants_name_key`, while the domain `contracts` is legacy: {why}"),
            format!("target-sealed-early: `owners` has an exclusion constraint, `owners_bank_excl`, while the domain `contracts` is legacy: {why}"),
        ]
    );
    let plan = plan();
    let schema = TargetSchema::read(&lab.admin, &plan).await.expect("the schema");
    let entity = |name: &str| plan.entity(name).expect("an entity").clone();
    let keeps = |entity: &EntityPlan, columns: &[&str]| {
        schema.keeps_unique(entity, &columns.iter().copied().collect::<BTreeSet<_>>())
    };
    assert!(keeps(&entity("tenants"), &["name"]) && keeps(&entity("tenants"), &["name", "note"]));
    assert!(!keeps(&entity("tenants"), &["note"]));
    assert!(!keeps(&entity("contracts"), &["number"]), "NULLs are distinct, and may be there");

    run(
        &lab.admin,
        "alter table ficus.domain disable trigger all; update ficus.domain set state = 'cut_over'",
    )
    .await;
    assert_eq!(told(&check(&lab.admin).await), Vec::<String>::new(), "sealed, as it should be");
    run(&lab.admin, "update ficus.domain set state = 'following'").await;
    for finding in check(&lab.admin).await {
        let sql = finding.help.split(';').next().unwrap_or_default().to_owned();
        run(&lab.admin, &sql).await;
    }
    assert_eq!(told(&check(&lab.admin).await), Vec::<String>::new());
}

#[tokio::test]
async fn a_scale_is_part_of_a_type() {
    let server = shared().await.expect("Postgres");
    server.create_database("schema_check").await.expect("a database");
    let pool = PgPool::connect(&server.url(SUPERUSER, "schema_check")).await.expect("a pool");
    let text = crate::lab::MAPPING
        .replace("as = \"money\", currency = \"MNT\", digits = 2", "as = \"numeric\", scale = 4")
        .replace(
            "number    = { from = \"No\", as = \"text\", trim = \"end\" }",
            "number = { from = \"No\", as = \"enum\", values = { a = \"one\", b = \"two\" } }",
        );
    let file = |name: &str, text: &str| mapping::file::MappingFile {
        name: name.into(),
        text: text.into(),
    };
    let files = [file("lab.toml", &text), file("x.toml", "object_types = \"dbo.XPObjectType\"")];
    let plan = mapping::plan::Plan::compile(&files, &catalog()).expect("a plan");
    run(
        &pool,
        "create table contracts (id uuid primary key, number varchar(20), tenant_id uuid,
             total numeric(18, 2), terms text, photo bytea, deleted_at timestamptz,
             version integer, source_position bytea)",
    )
    .await;
    let check = || async {
        let schema = TargetSchema::read(&pool, &plan).await.expect("the schema");
        let found = schema.check(&plan, &catalog());
        found.into_iter().filter(|f| f.subject.entity() == Some("contracts")).collect::<Vec<_>>()
    };
    let found = check().await;
    assert_eq!(
        told(&found)[..2],
        [
            "target-type: `contracts.number` is character varying in Postgres, and the mapping writes text",
            "target-type: `contracts.total` has 2 digits after the point in Postgres, and the mapping writes 4",
        ]
    );
    run(
        &pool,
        "alter table contracts alter number type text, alter total type numeric,
             add constraint number_check check (number in ('one', 'three')),
             add constraint number_length check (length(number) > 0)",
    )
    .await;
    let found: Vec<Finding> =
        check().await.into_iter().filter(|f| f.rule.name().starts_with("target-check")).collect();
    assert_eq!(
        told(&found),
        [
            "target-check: the CHECK `number_check` refuses 'two', which the mapping writes into \
             `contracts.number`",
            "target-check-wider: the CHECK `number_check` allows 'three', which the mapping never \
             writes into `contracts.number`",
        ]
    );
    run(&pool, &found[0].help).await;
    let rules: Vec<&str> = check().await.iter().map(|finding| finding.rule.name()).collect();
    assert!(!rules.contains(&"target-check"), "{rules:?}");
}
