use bytes::BytesMut;
use mapping::value::{Decimal, LegacyValue};

use super::*;
use crate::legacy::Database;

const DDL: &str = "
CREATE TABLE Price (Amount money NOT NULL PRIMARY KEY);
CREATE TABLE Day (At datetime NOT NULL, Seen datetimeoffset(3) NOT NULL, PRIMARY KEY (At, Seen));
CREATE TABLE Code (Code varchar(10) NOT NULL PRIMARY KEY);
CREATE TABLE Number (N decimal(9,2) NOT NULL PRIMARY KEY)";

fn database() -> Database {
    let database = Database::from_ddl("L", "Cyrillic_General_CI_AS", DDL).expect("read");
    let prices = [-5, 0, 5].map(|amount| vec![decimal(amount, 4)]);
    database.load("Price", prices).expect("loaded");
    let day = |ms: i64, seen: i64| {
        let seen = LegacyValue::TimestampOffset { utc_ticks: seen * 10_000, offset_minutes: 480 };
        vec![LegacyValue::Timestamp(ms * 10_000), seen]
    };
    database.load("Day", [day(0, 1), day(3, 2), day(3, 7)]).expect("loaded");
    let codes = ["a", "Я "].map(|code| vec![text(code)]);
    database.load("Code", codes).expect("loaded");
    database.load("Number", [vec![decimal(150, 2)], vec![decimal(151, 2)]]).expect("loaded");
    database
}

fn text(text: &str) -> LegacyValue<'static> {
    LegacyValue::Text(text.to_owned().into())
}

fn decimal(unscaled: i128, scale: u8) -> LegacyValue<'static> {
    LegacyValue::Decimal(Decimal { unscaled, scale })
}

/// The number of rows, or the error's number.
fn count(sql: &str, parameters: &[(LegacyValue<'static>, &str)]) -> Result<usize, u32> {
    let parameters: Vec<Parameter> = parameters
        .iter()
        .enumerate()
        .map(|(index, (value, sql_type))| Parameter {
            name: format!("@P{}", index + 1),
            value: value.clone(),
            sql_type: sql_type.parse().expect("a type"),
        })
        .collect();
    let mut session = Session::new(database());
    let statements = parse(sql).map_err(|error| error.number)?;
    let [statement] = statements.as_slice() else { panic!("one statement") };
    match run(&mut session, statement, &parameters).map_err(|error| error.number)? {
        Outcome::Rows(mut cursor) => {
            let mut out = BytesMut::new();
            Ok(std::iter::repeat_with(|| cursor.write_next(&mut out)).take_while(|m| *m).count())
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn keys_are_converted_to_their_columns_type() {
    let above = |table: &str, column: &str, value: &str| {
        format!(
            "SELECT [{column}] FROM [dbo].[{table}] WHERE [{column}] > {value} ORDER BY [{column}]"
        )
    };
    let price = above("Price", "Amount", "CONVERT(money, @P1)");
    assert_eq!(count(&price, &[(decimal(-500, 6), "decimal(38,6)")]), Ok(2), "above -0.0005");
    assert_eq!(count(&price, &[(decimal(0, 4), "decimal(19,4)")]), Ok(1));
    let code = above("Code", "Code", "CONVERT(varchar(10), @P1)");
    assert_eq!(count(&code, &[(text("A "), "nvarchar(2)")]), Ok(1));
    assert_eq!(count(&code, &[(text("я"), "nvarchar(1)")]), Ok(0));
    let number = above("Number", "N", "@P1");
    assert_eq!(count(&number, &[(decimal(15, 1), "decimal(38,1)")]), Ok(1));
    assert_eq!(
        count(&number, &[(decimal(1505, 3), "decimal(38,3)")]),
        Err(206),
        "it can't be in N's type"
    );
    let code = above("Code", "Code", "CONVERT(varchar(10), @P1, 7)");
    assert_eq!(count(&code, &[(text("a"), "nvarchar(2)")]), Err(102));
}

#[test]
fn times_are_compared_in_their_columns_type() {
    let sql = "SELECT [At] FROM [dbo].[Day] WHERE ([At] > CONVERT(datetime, @P1, 121) OR ([At] = CONVERT(datetime, @P1, 121) AND [Seen] > CONVERT(datetimeoffset(3), @P2, 127))) ORDER BY [At], [Seen]";
    let seen = |text_of: &str| (text(text_of), "nvarchar(40)");
    let at = |ms: &str| (text(&format!("1970-01-01 00:00:00.{ms}")), "nvarchar(40)");
    assert_eq!(count(sql, &[at("003"), seen("1970-01-01T00:00:00.002Z")]), Ok(1));
    assert_eq!(count(sql, &[at("000"), seen("1970-01-01T00:00:00.001Z")]), Ok(2));
    assert_eq!(count(sql, &[at("0031"), seen("1970-01-01T00:00:00.001Z")]), Err(241));
    let plain = "SELECT [At] FROM [dbo].[Day] WHERE [At] > @P1 ORDER BY [At], [Seen]";
    let of = |sql_type: &'static str| (LegacyValue::Timestamp(30_000), sql_type);
    assert_eq!(count(plain, &[of("datetime2(7)")]), Err(206), "trap 8");
    assert_eq!(count(plain, &[of("datetime")]), Ok(0));
}

#[test]
fn only_bounds_of_the_whole_key_are_ranges() {
    let with = |bound: &str| {
        let sql = format!("SELECT [Seen] FROM [dbo].[Day] WHERE {bound} ORDER BY [At], [Seen]");
        let zero = (LegacyValue::Timestamp(0), "datetime");
        let seen = LegacyValue::TimestampOffset { utc_ticks: 20_000, offset_minutes: 0 };
        count(&sql, &[zero, (seen, "datetimeoffset(3)"), (LegacyValue::Null, "datetime")])
    };
    assert_eq!(with("[At] > @P1"), Ok(2));
    assert_eq!(with("[At] >= @P1 AND [At] < @P1"), Ok(0));
    assert_eq!(with("[At] <= @P1"), Ok(1));
    assert_eq!(with("[At] > @P3"), Ok(0), "nothing compares with NULL");
    assert_eq!(with("[At] > @P1 OR [At] = @P1 AND [Seen] > @P2"), Ok(2));
    for bound in [
        "[At] = @P1",
        "[Seen] > @P2",
        "[At] > @P1 AND [Seen] > @P2",
        "[At] > @P1 OR [At] < @P1",
        "([At] > @P1 OR ([At] = @P3 AND [Seen] > @P2))",
        "([At] >= @P1 OR ([At] = @P1 AND [Seen] > @P2))",
        "([At] > @P1 OR ([At] = @P1 AND [Seen] < @P2))",
        "@P1 < [At]",
        "[At] > 5",
    ] {
        assert_eq!(with(bound), Err(102), "{bound}");
    }
    assert_eq!(with("[No] > @P1"), Err(207));
}
