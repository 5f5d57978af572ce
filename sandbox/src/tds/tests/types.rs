//! Every type, over plain and encrypted connections.

use tiberius::ColumnData;
use uuid::Uuid;

use super::*;

const TYPES: [&str; 30] = [
    "bit",
    "tinyint",
    "smallint",
    "int",
    "bigint",
    "real",
    "float",
    "decimal(38,10)",
    "decimal(9,2)",
    "money",
    "smallmoney",
    "date",
    "time(7)",
    "time(0)",
    "datetime",
    "smalldatetime",
    "datetime2(7)",
    "datetime2(3)",
    "datetimeoffset(7)",
    "char(3)",
    "varchar(20)",
    "varchar(max)",
    "nchar(3)",
    "nvarchar(20)",
    "nvarchar(max)",
    "binary(4)",
    "varbinary(8)",
    "varbinary(max)",
    "uniqueidentifier",
    "xml",
];

fn values() -> Values {
    let decimal =
        |unscaled, scale| LegacyValue::Decimal(mapping::value::Decimal { unscaled, scale });
    let bytes = |bytes: &[u8]| LegacyValue::Bytes(bytes.to_vec().into());
    vec![
        LegacyValue::Bool(true),
        LegacyValue::Int(255),
        LegacyValue::Int(-32_768),
        LegacyValue::Int(-2_147_483_648),
        LegacyValue::Int(i64::MAX),
        LegacyValue::Float(1.5),
        LegacyValue::Float(0.1),
        decimal(-(10_i128.pow(38) - 1), 10),
        decimal(-12_345, 2),
        decimal(i128::from(i64::MAX), 4),
        decimal(-1, 4),
        LegacyValue::Date(-719_162),
        LegacyValue::Time(863_999_999_999),
        LegacyValue::Time(10_000_000),
        LegacyValue::Timestamp(-1_234_567_890_030_000),
        LegacyValue::Timestamp(600_000_000),
        LegacyValue::Timestamp(12_345_678_901_234_567),
        LegacyValue::Timestamp(1_230_000),
        LegacyValue::TimestampOffset { utc_ticks: 1_234_567, offset_minutes: 480 },
        text("ab"),
        text("Батболд"),
        text("я"),
        text("Ө"),
        text("Бат-Өлзий 🚀"),
        text(&"ү".repeat(50_000)),
        bytes(&[1]),
        bytes(&[]),
        bytes(&[7; 70_000]),
        LegacyValue::Guid(Uuid::from_u128(0x0011_2233_4455_6677_8899_AABB_CCDD_EEFF)),
        text("<a>ү</a>"),
    ]
}

/// What tiberius has to make of them.
fn expected() -> Vec<String> {
    let shown = [
        "Bit(Some(true))",
        "U8(Some(255))",
        "I16(Some(-32768))",
        "I32(Some(-2147483648))",
        "I64(Some(9223372036854775807))",
        "F32(Some(1.5))",
        "F64(Some(0.1))",
        "Numeric(Some(-9999999999999999999999999999.9999999999))",
        "Numeric(Some(-123.45))",
        "F64(Some(922337203685477.6))",
        "F64(Some(-0.0001))",
        "Date(Some(Date(0)))",
        "Time(Some(Time { increments: 863999999999, scale: 7 }))",
        "Time(Some(Time { increments: 1, scale: 0 }))",
        "DateTime(Some(DateTime { days: 24138, seconds_fragments: 1737332991 }))",
        "SmallDateTime(Some(SmallDateTime { days: 25567, seconds_fragments: 1 }))",
    ];
    shown.iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn all_types_come_through() {
    let mut ddl = "CREATE TABLE dbo.AllTypes (Id int NOT NULL PRIMARY KEY".to_owned();
    for (index, sql_type) in TYPES.iter().enumerate() {
        ddl.push_str(&format!(", c{index} {sql_type} NULL"));
    }
    ddl.push(')');
    let database = Database::from_ddl("Legacy", "Cyrillic_General_CI_AS", &ddl).expect("read");
    let row = |id: i64, values: Values| -> Values {
        std::iter::once(LegacyValue::Int(id)).chain(values).collect()
    };
    let nulls = vec![LegacyValue::Null; TYPES.len()];
    let mut half = values();
    half.iter_mut().step_by(2).for_each(|value| *value = LegacyValue::Null);
    let loaded = [row(1, values()), row(2, nulls), row(3, half)];
    database.load("AllTypes", loaded).expect("they fit");
    let names: Vec<String> = (0..TYPES.len()).map(|index| format!("[c{index}]")).collect();
    let sql = format!("SELECT {} FROM [dbo].[AllTypes] ORDER BY [Id]", names.join(", "));
    let server = start(&database, Tls::Optional).await;
    for encryption in [EncryptionLevel::NotSupported, EncryptionLevel::Required] {
        let mut connection = connect_as(&server, "p@ss é", encryption).await.expect("accepted");
        let rows = rows(&mut connection, &sql).await;
        let [full, nulls, half] = rows.as_slice() else { panic!("{} rows", rows.len()) };
        check_full(full);
        assert!(nulls.cells().all(|(_, data)| format!("{data:?}").ends_with("(None)")));
        for (index, ((_, full), (_, half))) in full.cells().zip(half.cells()).enumerate() {
            let half = format!("{half:?}");
            if index % 2 == 0 {
                assert!(half.ends_with("(None)"), "{index}: {half}");
            } else {
                assert_eq!(half, format!("{full:?}"), "{index}");
            }
        }
    }
    server.stop().await;
}

fn check_full(row: &Row) {
    let shown: Vec<String> = row.cells().map(|(_, data)| format!("{data:?}")).collect();
    for (index, expected) in expected().iter().enumerate() {
        if TYPES[index] == "datetime" {
            continue;
        }
        assert_eq!(&shown[index], expected, "{}", TYPES[index]);
    }
    let of = |sql_type: &str| TYPES.iter().position(|t| *t == sql_type).expect("listed");
    let string = |sql_type: &str| row.get::<&str, _>(of(sql_type)).expect("not NULL").to_owned();
    assert_eq!(string("char(3)"), "ab ");
    assert_eq!(string("varchar(20)"), "Батболд");
    assert_eq!(string("varchar(max)"), "я");
    assert_eq!(string("nchar(3)"), "Ө  ");
    assert_eq!(string("nvarchar(20)"), "Бат-Өлзий 🚀");
    assert_eq!(string("nvarchar(max)"), "ү".repeat(50_000));
    assert_eq!(row.get::<&[u8], _>(of("binary(4)")), Some(&[1_u8, 0, 0, 0][..]));
    assert_eq!(row.get::<&[u8], _>(of("varbinary(8)")), Some(&[][..]));
    assert_eq!(row.get::<&[u8], _>(of("varbinary(max)")), Some(&[7_u8; 70_000][..]));
    let guid = Uuid::from_u128(0x0011_2233_4455_6677_8899_AABB_CCDD_EEFF);
    assert_eq!(row.get::<Uuid, _>(of("uniqueidentifier")), Some(guid));
    assert!(shown[of("xml")].contains("<a>ү</a>"), "{}", shown[of("xml")]);
    // -1234567890030000 ticks are 1966-02-02T02:40:10.997.
    let Some((_, ColumnData::DateTime(Some(at)))) = row.cells().nth(of("datetime")) else {
        panic!("{}", shown[of("datetime")]);
    };
    let ticks = i64::from(at.days() - 25_567) * 864_000_000_000
        + (i64::from(at.seconds_fragments()) * 10 + 1) / 3 * 10_000;
    assert_eq!(ticks, -1_234_567_890_030_000);
    let Some((_, ColumnData::DateTime2(Some(at)))) = row.cells().nth(of("datetime2(7)")) else {
        panic!("{}", shown[of("datetime2(7)")]);
    };
    let days = i64::from(at.date().days()) - 719_162;
    let ticks = i64::try_from(at.time().increments()).expect("in a day");
    assert_eq!(days * 864_000_000_000 + ticks, 12_345_678_901_234_567);
    let Some((_, ColumnData::DateTimeOffset(Some(at)))) = row.cells().nth(of("datetimeoffset(7)"))
    else {
        panic!("{}", shown[of("datetimeoffset(7)")]);
    };
    assert_eq!((at.offset(), at.datetime2().time().increments()), (480, 1_234_567));
}

#[tokio::test]
async fn a_lone_surrogate_is_sent_as_it_is() {
    let database = database();
    let mut row = contract("AB", "1");
    row[5] = LegacyValue::BrokenText("a\u{FFFD}b".into());
    database.load("Contract", [row]).expect("loaded");
    let server = start(&database, Tls::Off).await;
    let mut connection = connect(&server).await;
    let sql = "SELECT [Terms] FROM [dbo].[Contract] ORDER BY [CompanyNo], [ContractNo]";
    let result = connection.simple_query(sql).await.expect("sent").into_first_result().await;
    assert!(result.is_err(), "tiberius is strict by default");
    let mut config = config("p@ss é", EncryptionLevel::NotSupported);
    config.lossy_utf16_decoding(true);
    let mut lossy = connect_with(&server, config).await.expect("accepted");
    let rows = rows(&mut lossy, sql).await;
    assert_eq!(rows[0].get::<&str, _>(0), Some("a\u{FFFD}b"));
}
