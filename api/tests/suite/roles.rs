//! The server refuses to run with a login that row level security does not bind.

use api::database::check_role;

use crate::lab::Lab;

#[tokio::test]
async fn a_login_that_sees_more_is_refused() {
    let lab = Lab::new().await;
    let logins = [
        ("", "is a superuser"),
        ("create role api_bypass login bypassrls in role ficus_api", "has BYPASSRLS"),
        ("create role api_owner login in role ficus_api, ficus_owner", "owns tables"),
        ("create role api_engine login in role ficus_api, ficus_engine", "sees every row"),
        (
            "create role api_reader login noinherit in role ficus_api, ficus_reader",
            "sees every row",
        ),
        ("create role api_work login in role ficus_api, ficus_work", "sees every row"),
        ("create role api_nobody login", "is no member of ficus_api"),
        ("create role api_plain login in role ficus_api", ""),
    ];
    for (create, why) in logins {
        let login = match create.split(' ').nth(2) {
            Some(login) => {
                // Roles belong to the server, which other databases of this process share.
                lab.sql(create).await;
                login
            }
            None => "postgres",
        };
        match check_role(&lab.pool_as(login).await).await {
            Ok(()) => assert_eq!(why, "", "{login} passed"),
            Err(error) => assert!(!why.is_empty() && error.to_string().contains(why), "{error}"),
        }
    }
    let set_role = lab.api_pool(1).await;
    check_role(&set_role).await.expect("SET ROLE ficus_api is bound");
}
