//! `ficus mapping scaffold`.

use assess::{
    assessment::Assessment,
    scaffold::{Choices, Currency, File, Known, Scaffold, scaffold, select},
};
use mapping::{
    catalog::{Catalog, LegacyTable},
    plan::{Plan, TableRole},
};

use crate::{
    args::ScaffoldArgs,
    exit::{Exit, usage},
    out, parts,
    settings::Settings,
};

mod write;

/// Drafts files, and prints or writes them.
pub(crate) async fn run(args: &ScaffoldArgs, settings: &Settings) -> anyhow::Result<Exit> {
    let mut choices = choices(args)?;
    let assessment = args.assessment.as_deref().map(assessment).transpose()?;
    let catalog = catalog(settings, assessment.as_ref()).await?;
    let tables = select(&catalog, &args.tables).map_err(|refused| usage(refused.join("\n  ")))?;
    warn_of_bare(&catalog);
    add_product(settings, &catalog, &tables, &mut choices);
    let draft = scaffold(&catalog, &tables, assessment.as_ref(), &choices);
    match &args.out {
        Some(folder) => {
            write::all(folder, &draft.files, args.force)?;
            for file in &draft.files {
                out::line(format!("wrote {}", folder.join(&file.path).display()));
            }
        }
        None => draft.files.iter().for_each(print),
    }
    tell(&draft, args);
    Ok(Exit::Success)
}

fn choices(args: &ScaffoldArgs) -> anyhow::Result<Choices> {
    let currency = args.currency.clone().zip(args.digits);
    let choices = Choices {
        zone: args.zone.clone(),
        currency: currency.map(|(code, digits)| Currency { code, digits }),
        domain: args.domain.clone(),
        ..Choices::default()
    };
    let mistakes = choices.mistakes();
    if mistakes.is_empty() { Ok(choices) } else { Err(usage(mistakes.join("\n  "))) }
}

fn assessment(path: &std::path::Path) -> anyhow::Result<Assessment> {
    let shown = path.display();
    let text = std::fs::read_to_string(path)
        .map_err(|error| usage(format!("--assessment: can't read {shown}: {error}")))?;
    serde_json::from_str(&text)
        .map_err(|error| usage(format!("--assessment: {shown} is no saved assessment: {error}")))
}

/// An assessment holds its catalogue, so that a draft can be made far from the legacy server.
async fn catalog(settings: &Settings, assessment: Option<&Assessment>) -> anyhow::Result<Catalog> {
    let is_set = |key: &str| settings.text(key).is_some();
    match assessment {
        Some(assessed) if !is_set("legacy.catalog") && !is_set("legacy.url") => {
            Ok(assessed.catalog.clone())
        }
        _ => parts::catalog(settings).await,
    }
}

/// A catalogue that an older version saved has no constraints in it.
fn warn_of_bare(catalog: &Catalog) {
    let is_bare = |table: &mapping::catalog::Table| {
        table.foreign_keys.is_empty() && table.unique_indexes.is_empty()
    };
    if catalog.tables.iter().all(is_bare) {
        out::note(
            "the catalogue names no foreign key and no unique index, so hierarchies and references \
             are told by names alone; if it is an old one, save it again with `ficus catalog save`",
        );
    }
}

/// What the product has already: entities to refer to, and numbers of migrations. A new product
/// has nothing yet.
fn add_product(
    settings: &Settings,
    catalog: &Catalog,
    drafted: &[LegacyTable],
    choices: &mut Choices,
) {
    if let Ok(migrations) = parts::migrations(settings) {
        choices.migrations = migrations.into_iter().map(|m| (m.version, m.name)).collect();
    }
    let Ok(files) = parts::mapping_files(settings) else { return };
    let Ok(plan) = Plan::compile(&files, catalog) else {
        out::note(
            "the mapping files that are there do not compile, so nothing is referred to in them \
             (`ficus mapping check` says why)",
        );
        return;
    };
    let of_type = |table: &&mapping::plan::TablePlan| table.role == TableRole::ObjectTypes;
    let dictionary = plan.tables.iter().find(of_type);
    choices.knows_types = dictionary.is_some_and(|table| !drafted.contains(&table.table));
    for entity in &plan.entities {
        let table_of = |part: &mapping::plan::Part| {
            plan.tables.get(usize::from(part.table.0)).map(|table| table.table.clone())
        };
        let tables: Vec<LegacyTable> = entity.parts.iter().filter_map(table_of).collect();
        // An entity whose own table is drafted again is about to be replaced.
        if tables.last().is_some_and(|own| !drafted.contains(own)) {
            choices.known.push(Known {
                entity: entity.name.clone(),
                domain: entity.domain.clone(),
                target: match entity.target_schema.as_str() {
                    "public" => entity.target_table.clone(),
                    schema => format!("{schema}.{}", entity.target_table),
                },
                tables,
            });
        }
    }
}

fn print(file: &File) {
    out::line(format!("==> {} <==", file.path));
    out::line(&file.text);
}

/// The questions, so that nobody has to look for them.
fn tell(draft: &Scaffold, args: &ScaffoldArgs) {
    let questions = draft.questions();
    for question in &questions {
        let path = match &args.out {
            Some(folder) => folder.join(&question.file).display().to_string(),
            None => question.file.clone(),
        };
        out::note(format!("{path}:{}: {}", question.line, question.text));
    }
    out::note(format!("{} files, {} questions", draft.files.len(), questions.len()));
}
