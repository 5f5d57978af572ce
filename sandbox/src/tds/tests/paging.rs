//! Ranges, splits and look-ups by key.

use std::collections::BTreeSet;

use rand::{RngExt, SeedableRng, rngs::StdRng};
use tiberius::ToSql;
use uuid::Uuid;

use super::*;

async fn query(connection: &mut Connection, sql: &str, parameters: &[&dyn ToSql]) -> Vec<Row> {
    let result = connection.query(sql, parameters).await.expect("sent");
    result.into_first_result().await.expect("rows")
}

#[tokio::test]
async fn guid_keys_are_paged_each_once() {
    let database = database();
    let mut random = StdRng::seed_from_u64(7);
    let guids: BTreeSet<Uuid> =
        (0..5_000).map(|_| Uuid::from_u128(random.random::<u128>())).collect();
    let rows = guids.iter().map(|guid| vec![LegacyValue::Guid(*guid), money(-5)]);
    database.load("Payment", rows).expect("loaded");
    let server = start(&database, Tls::Off).await;
    let mut connection = connect(&server).await;
    let split = "SELECT [Oid] FROM (SELECT [Oid], ROW_NUMBER() OVER (ORDER BY [Oid]) AS [n] FROM [dbo].[Payment]) AS r WHERE r.[n] % @P1 = 0 ORDER BY r.[n]";
    let cuts = query(&mut connection, split, &[&700_i64]).await;
    let cuts: Vec<Uuid> = cuts.iter().filter_map(|row| row.get(0)).collect();
    assert_eq!(cuts.len(), 7);
    let select = "SELECT [Oid], CAST([Amount] AS decimal(10,4)) AS [Amount] FROM [dbo].[Payment]";
    let mut seen = Vec::new();
    for index in 0..=cuts.len() {
        let after = index.checked_sub(1).map(|before| cuts[before]);
        let page = match (after, cuts.get(index)) {
            (Some(after), Some(to)) => {
                let sql = format!("{select} WHERE [Oid] > @P1 AND [Oid] <= @P2 ORDER BY [Oid]");
                query(&mut connection, &sql, &[&after, to]).await
            }
            (None, Some(to)) => {
                let sql = format!("{select} WHERE [Oid] <= @P1 ORDER BY [Oid]");
                query(&mut connection, &sql, &[to]).await
            }
            (Some(after), None) => {
                let sql = format!("{select} WHERE [Oid] > @P1 ORDER BY [Oid]");
                query(&mut connection, &sql, &[&after]).await
            }
            (None, None) => panic!("it was split"),
        };
        assert!(page.len() <= 700);
        seen.extend(page.iter().filter_map(|row| row.get::<Uuid, _>(0)));
    }
    assert_eq!(seen.len(), 5_000);
    let order: Vec<_> = database.rows("Payment").expect("there");
    assert!(seen.iter().zip(order).all(|(seen, row)| LegacyValue::Guid(*seen) == row[0]));
    assert_eq!(seen.into_iter().collect::<BTreeSet<_>>(), guids);
}

#[tokio::test]
async fn composite_text_keys_are_paged_each_once() {
    let database = database();
    let letters = ["a", "A1", "Б", "б2", "ө", "Я", "z "];
    let mut rows = Vec::new();
    for company in ["AB12", "ab13", "Ө1"] {
        for letter in letters {
            rows.extend((0..40).map(|n| contract(company, &format!("{letter}{n:03}"))));
        }
    }
    let count = rows.len();
    database.load("Contract", rows).expect("loaded");
    let server = start(&database, Tls::Off).await;
    let mut connection = connect(&server).await;
    let select = "SELECT [CompanyNo], [ContractNo], CAST([MonthlyTotal] AS decimal(19,4)) AS [MonthlyTotal], [Terms] FROM [dbo].[Contract]";
    let order = "ORDER BY [CompanyNo], [ContractNo]";
    let split = "SELECT [CompanyNo], [ContractNo] FROM (SELECT [CompanyNo], [ContractNo], ROW_NUMBER() OVER (ORDER BY [CompanyNo], [ContractNo]) AS [n] FROM [dbo].[Contract]) AS r WHERE r.[n] % @P1 = 0 ORDER BY r.[n]";
    let cuts = query(&mut connection, split, &[&100_i32]).await;
    let key = |row: &Row| {
        let part = |index| row.get::<&str, _>(index).expect("not NULL").to_owned();
        (part(0), part(1))
    };
    // The client sends other letters of the same key, with blanks.
    let cuts: Vec<(String, String)> =
        cuts.iter().map(key).map(|(a, b)| (a.to_lowercase(), b.to_uppercase() + " ")).collect();
    let above = "([CompanyNo] > @P1 OR ([CompanyNo] = @P1 AND [ContractNo] > @P2))";
    let below = "([CompanyNo] < @P3 OR ([CompanyNo] = @P3 AND [ContractNo] <= @P4))";
    let (last_a, last_b) = cuts.last().expect("it was split");
    let first_below = "([CompanyNo] < @P1 OR ([CompanyNo] = @P1 AND [ContractNo] <= @P2))";
    let sql = format!("{select} WHERE {first_below} {order}");
    let mut seen = query(&mut connection, &sql, &[&cuts[0].0, &cuts[0].1]).await;
    for pair in cuts.windows(2) {
        let [(a, b), (c, d)] = pair else { panic!("pairs") };
        let sql = format!("{select} WHERE {above} AND {below} {order}");
        let page = query(&mut connection, &sql, &[a, b, c, d]).await;
        assert_eq!(page.len(), 100);
        seen.extend(page);
    }
    let sql = format!("{select} WHERE {above} {order}");
    seen.extend(query(&mut connection, &sql, &[last_a, last_b]).await);
    assert_eq!(seen.len(), count);
    let expected = database.rows("Contract").expect("there");
    for (row, expected) in seen.iter().zip(expected) {
        let (company, number) = key(row);
        assert_eq!([text(&company), text(&number)], expected[..2]);
    }
    let total = seen[0].get::<tiberius::numeric::Numeric, _>("MonthlyTotal").expect("not NULL");
    assert_eq!((total.value(), total.scale()), (12_345_678, 4));
}

#[tokio::test]
async fn datetime_keys_are_paged_and_found() {
    let database = database();
    let at = |n: i64| LegacyValue::Timestamp((1_700_000_000_000 + (n * 10 + 1) / 3) * 10_000);
    let row = |n: i64| vec![LegacyValue::Int(n / 100), text("std "), at(n % 100), money(n.into())];
    database.load("SpaceRate", (0..300).map(row)).expect("loaded");
    let server = start(&database, Tls::Off).await;
    let mut connection = connect(&server).await;
    let above = "([SPACE_ID] > @P1 OR ([SPACE_ID] = @P1 AND [RATE_CODE] > @P2) OR ([SPACE_ID] = @P1 AND [RATE_CODE] = @P2 AND [VALID_FROM] > CONVERT(datetime, @P3, 121)))";
    let sql = format!(
        "SELECT [SPACE_ID], [RATE_CODE], [VALID_FROM], CAST([RATE] AS decimal(19,4)) AS [RATE] FROM [dbo].[SpaceRate] WHERE {above} ORDER BY [SPACE_ID], [RATE_CODE], [VALID_FROM]"
    );
    let iso = |n: i64| format!("2023-11-14 22:13:20.{:03}", (n * 10 + 1) / 3);
    for n in [0, 1, 2, 99, 100, 298, 299] {
        let page = query(&mut connection, &sql, &[&(n / 100), &"STD", &iso(n % 100)]).await;
        let left = usize::try_from(299 - n).expect("positive");
        assert_eq!(page.len(), left, "after row {n}");
    }
    let by_key = "SELECT t.[SPACE_ID], CAST(t.[RATE] AS decimal(19,4)) AS [RATE] FROM [dbo].[SpaceRate] AS t JOIN (VALUES (@P1, @P2, CONVERT(datetime, @P3, 121)), (@P4, @P5, CONVERT(datetime, @P6, 121)), (@P7, @P8, CONVERT(datetime, @P9, 121))) AS k ([SPACE_ID], [RATE_CODE], [VALID_FROM]) ON t.[SPACE_ID] = k.[SPACE_ID] AND t.[RATE_CODE] = k.[RATE_CODE] AND t.[VALID_FROM] = k.[VALID_FROM]";
    let (first, second, absent) = (iso(1), iso(98), iso(1).replace("003", "004"));
    let parameters: [&dyn ToSql; 9] =
        [&0_i32, &"std", &first, &2_i32, &"Std  ", &second, &0_i32, &"std", &iso(100)];
    let found = query(&mut connection, by_key, &parameters).await;
    let rates: Vec<i128> = found
        .iter()
        .filter_map(|row| row.get::<tiberius::numeric::Numeric, _>("RATE"))
        .map(|rate| rate.value())
        .collect();
    assert_eq!(rates, [1, 298]);
    // .004 rounds to the same 1/300 s as .003.
    let parameters: [&dyn ToSql; 9] =
        [&0_i32, &"std", &absent, &9_i32, &"std", &first, &9_i32, &"std", &first];
    assert_eq!(query(&mut connection, by_key, &parameters).await.len(), 1);
}

#[tokio::test]
async fn a_comparison_in_another_type_is_refused() {
    let database = database();
    let server = start(&database, Tls::Off).await;
    let mut connection = connect(&server).await;
    let sql = "SELECT [SPACE_ID] FROM [dbo].[SpaceRate] WHERE [SPACE_ID] > @P1 ORDER BY [SPACE_ID], [RATE_CODE], [VALID_FROM]";
    let error = connection.query(sql, &[&"7"]).await.map(|_| ()).expect_err("text against int");
    assert_eq!(error.code(), Some(206), "{error}");
    let error = connection.query(sql, &[]).await.map(|_| ()).expect_err("no parameter");
    assert_eq!(error.code(), Some(137), "{error}");
    assert!(query(&mut connection, sql, &[&Option::<i32>::None]).await.is_empty());
}
