//! What is advised is what a mapping file takes.

use assess::assessment::{Assessment, TableAssessment};
use mapping::{file::MappingFile, plan::Plan};

use crate::setup::{assess, clock, job, start};

/// The mistakes that a mapping of one table has in the advised line. What else is wrong with so
/// short a file (every other column is missing) stands in other lines.
fn mistakes(assessment: &Assessment, table: &TableAssessment, line: &str) -> Vec<String> {
    let text = format!(
        "domain = \"d\"\nobject_types = \"dbo.XPObjectType\"\n[[entity]]\nname = \"e\"\nfrom = \"{}\"\n[entity.columns]\n{line}\n",
        table.table
    );
    let file = MappingFile { name: "advice.toml".to_owned(), text };
    let Err(mistakes) = Plan::compile(&[file], &assessment.catalog) else { return Vec::new() };
    mistakes
        .iter()
        .filter(|mistake| mistake.line == 7)
        // The entity that is referred to is in another file.
        .filter(|mistake| !mistake.message.contains("entity"))
        .map(ToString::to_string)
        .collect()
}

fn is_column_line(line: &str) -> bool {
    line.contains(" = { from = ") && !line.contains('…')
}

#[tokio::test(flavor = "multi_thread")]
async fn every_line_compiles() {
    let legacy = start(3_000, 5).await;
    let mut job = job(&legacy.url());
    job.clock = clock();
    let assessment = assess(&job).await;
    let mut lines = 0;
    for table in &assessment.tables {
        let advice = table.hazards.iter().flat_map(|hazard| hazard.advice.lines());
        for line in advice.filter(|line| is_column_line(line)) {
            let found = mistakes(&assessment, table, line);
            assert!(found.is_empty(), "{} {line}: {found:?}", table.table);
            lines += 1;
        }
        for hazard in table.hazards.iter().filter(|h| h.advice.starts_with('[')) {
            let parsed: Result<toml::Table, _> = hazard.advice.parse();
            assert!(parsed.is_ok(), "{}", hazard.advice);
        }
    }
    assert!(lines > 50, "{lines}");
}
