use std::time::Duration;

use legacy::{Disposition, Encryption, Error, KeyRange, Limits, Session};
use mapping::{catalog::LegacyTable, position::Lsn};
use sandbox::tds::Tls;
use secrecy::SecretString;

use crate::setup::Fixture;

#[tokio::test]
async fn a_refused_login_names_the_user_and_not_the_password() {
    let mut fixture = Fixture::plain().await;
    fixture.settings.password = SecretString::from("hush");
    let error = Session::connect(&fixture.settings).await.unwrap_err();
    assert!(matches!(&error, Error::Login { user, .. } if user == "ficus"), "{error:?}");
    assert!(!format!("{error:?}").contains("hush"));
    assert_eq!(error.disposition(), Disposition::Stop);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_one_sentence() {
    let Fixture { server, settings, .. } = Fixture::plain().await;
    server.stop().await;
    let error = Session::connect(&settings).await.unwrap_err();
    let address = settings.address();
    assert_eq!(error.to_string(), format!("no connection to the legacy server {address}"));
    assert_eq!(error.disposition(), Disposition::Retry);
}

#[tokio::test]
async fn a_server_that_says_nothing_is_not_waited_for() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut fixture = Fixture::plain().await;
    fixture.settings.port = silent.local_addr().unwrap().port();
    let limits = Limits { connect: Duration::from_millis(200), ..Limits::default() };
    let error = Session::connect_within(&fixture.settings, limits).await.unwrap_err();
    assert!(matches!(error, Error::Connect { .. }), "{error:?}");
}

#[tokio::test]
async fn encryption_is_agreed_or_refused_never_dropped() {
    let mut fixture = Fixture::start(Tls::Off).await;
    fixture.settings.encryption = Encryption::Required;
    let error = Session::connect(&fixture.settings).await.unwrap_err();
    assert!(matches!(error, Error::Encryption { level: "required", .. }), "{error:?}");

    let mut fixture = Fixture::start(Tls::Optional).await;
    fixture.settings.trust_certificate = false;
    let error = Session::connect(&fixture.settings).await.unwrap_err();
    assert!(matches!(error, Error::Encryption { .. } | Error::Connect { .. }), "{error:?}");

    fixture.settings.host = "legacy.example".to_owned();
    fixture.settings.encryption = Encryption::Off;
    let error = Session::connect(&fixture.settings).await.unwrap_err();
    assert!(matches!(error, Error::PlainText { .. }), "{error:?}");
}

#[tokio::test]
async fn errors_of_the_server_are_sorted() {
    let fixture = Fixture::plain().await;
    let mut session = fixture.session().await;
    let missing = session.row_count(&LegacyTable::new("dbo", "Nothing")).await.unwrap_err();
    assert!(matches!(missing, Error::Missing { .. }), "{missing:?}");
    for (number, expect, disposition) in [
        (1205, "another session was in the way", Disposition::Retry),
        (1222, "another session was in the way", Disposition::Retry),
        (229, "no permission", Disposition::Stop),
        (701, "the legacy server can't serve now", Disposition::Retry),
        (8134, "the legacy server reported error 8134", Disposition::Stop),
    ] {
        fixture.server.faults().fail_next_query(number);
        let error = session.split(fixture.table("Contract"), 10).await.unwrap_err();
        assert_eq!(error.to_string(), format!("{expect}: splitting dbo.Contract"));
        assert_eq!(error.disposition(), disposition);
        // The statement failed, not the connection.
        assert_eq!(session.split(fixture.table("Contract"), 100).await.unwrap().len(), 3);
    }
}

#[tokio::test]
async fn a_connection_cut_in_the_middle_of_a_row_keeps_the_rows_before() {
    let fixture = Fixture::plain().await;
    let stored = fixture.stored("Payment");
    for cut in [1, 999, 1000, 1001, 1777] {
        let mut session = fixture.session().await;
        fixture.server.faults().close_after_rows(cut);
        let mut rows = Vec::new();
        let mut each = |row| {
            rows.push(row);
            true
        };
        let table = fixture.table("Payment");
        let error = session.read_range(table, &KeyRange::default(), &mut each).await.unwrap_err();
        assert!(matches!(error, Error::Lost { .. }), "{error:?}");
        assert_eq!(error.disposition(), Disposition::Retry);
        assert!(rows.len() <= usize::try_from(cut).unwrap());
        assert_eq!(rows, stored[..rows.len()]);
        assert!(!session.is_usable());
        let again = session.object_types().await.unwrap_err();
        assert!(matches!(again, Error::Lost { .. }));
    }
}

#[tokio::test]
async fn a_stream_that_stalls_is_given_up() {
    let fixture = Fixture::plain().await;
    fixture.server.faults().delay_per_row(Duration::from_millis(20));
    let mut session = fixture.session().await;
    let short = Duration::from_millis(100);
    session.set_limits(Limits { answer: short, stall: short, ..Limits::default() });
    let table = fixture.table("Payment");
    let mut each = |_| true;
    let error = session.read_range(table, &KeyRange::default(), &mut each).await.unwrap_err();
    assert!(matches!(error, Error::Timeout { .. }), "{error:?}");
    assert!(!session.is_usable());
}

/// The driver passes over what comes after a DONE, and a row that is not there makes no noise.
#[tokio::test]
async fn f60_an_answer_is_whole_when_as_many_rows_came_as_were_given() {
    let fixture = Fixture::plain().await;
    let table = fixture.table("Payment");
    let keys = [table.canonical_key(&fixture.stored("Payment")[7]).unwrap()];
    for rows in [0, 1500, 2498] {
        let mut session = fixture.session().await;
        fixture.server.faults().lose_row_after(rows);
        let read = session.read_range(table, &KeyRange::default(), &mut |_| true).await;
        let Err(error) = read else { panic!("{rows}: {read:?}") };
        assert!(matches!(error, Error::Incomplete { came: 2498, .. }), "{error:?}");
        assert_eq!(error.disposition(), Disposition::Retry);
        assert!(!session.is_usable());
    }
    let mut session = fixture.session().await;
    assert_eq!(session.read_keys(table, &keys).await.unwrap().len(), 1);
}

/// A short list is worse than none: keys that changed are compared, columns that are not there are
/// not read.
#[tokio::test]
async fn f60_a_list_is_whole_or_it_is_not_given() {
    let fixture = Fixture::plain().await;
    let table = fixture.table("Payment");
    let faults = fixture.server.faults();
    let stored = fixture.stored("Payment");
    fixture
        .database
        .transaction(|changes| {
            let mut rows = stored[..5].iter();
            rows.try_for_each(|row| changes.delete("dbo.Payment", &row[..1]).map(drop))
        })
        .unwrap();
    let mut session = fixture.session().await;
    let (first, last) = (Lsn::ZERO, session.capture_state().await.unwrap().max_lsn.unwrap());
    let asked = session.changed_keys(table, "dbo_Payment", (first, last), 10_000).await.unwrap();
    assert_eq!(asked.unwrap().len(), 5);

    faults.lose_row_of("[dbo_Payment_CT]");
    let read = session.changed_keys(table, "dbo_Payment", (first, last), 10_000).await;
    let Err(error) = read else { panic!("{read:?}") };
    assert!(matches!(error, Error::Incomplete { came: 4, .. }), "{error:?}");
    assert!(!session.is_usable());

    for list in ["sys.columns", "sys.index_columns", "cdc.change_tables"] {
        let mut session = fixture.session().await;
        faults.lose_row_of(list);
        let read = session.catalog().await;
        assert!(matches!(read, Err(Error::Incomplete { .. })), "{list}: {read:?}");
    }
    let mut session = fixture.session().await;
    faults.lose_row_of("XPObjectType");
    let read = session.object_types().await;
    assert!(matches!(read, Err(Error::Incomplete { .. })), "{read:?}");
    let mut session = fixture.session().await;
    faults.lose_row_of("ROW_NUMBER()");
    let read = session.split(table, 1000).await;
    assert!(matches!(read, Err(Error::Incomplete { .. })), "{read:?}");
    assert!(fixture.session().await.catalog().await.is_ok(), "a fault strikes once");
}
