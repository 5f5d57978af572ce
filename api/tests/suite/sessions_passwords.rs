//! Signing in by password: XAF's hash, ours, and whom neither lets in.

use serde_json::json;

use crate::{
    client::{Answer, Client},
    lab::{Lab, id, sessions_of_the_test},
    sessions::{HASH, PASSWORD, lab, post, serve, sign_in, trail},
};

async fn attempt(client: &Client, name: &str, password: &str) -> Answer {
    let body = json!({ "userName": name, "password": password, "kind": "mobile" });
    post(client, "/auth/sign-in", body).await
}

async fn own_hash(lab: &Lab) -> Option<String> {
    sqlx::query_scalar("select password_hash from credentials")
        .fetch_optional(&lab.admin)
        .await
        .expect("rows")
}

#[tokio::test]
async fn the_legacy_hash_is_replaced_and_stays_the_judge() {
    let lab = lab().await;
    let server = serve(&lab, sessions_of_the_test()).await;
    let client = server.client("");
    assert_eq!(own_hash(&lab).await, None);
    assert_eq!(sign_in(&client, "mobile").await.status, 200);
    let own = own_hash(&lab).await.expect("a hash of ours");
    assert!(own.starts_with("$argon2id$"), "{own}");
    // `users` is the legacy system's.
    let kept: String = sqlx::query_scalar("select password_hash from users where id = $1")
        .bind(id(13, 1, 1))
        .fetch_one(&lab.admin)
        .await
        .expect("a user");
    assert_eq!(kept, HASH);
    assert_eq!(sign_in(&client, "mobile").await.status, 200);
    assert_eq!(own_hash(&lab).await.as_ref(), Some(&own), "hashed once");
    attempt(&client, "Дорж 1", "another").await.assert_error(401, "FORBIDDEN");
    // Changed over there (the value of the empty password, which nobody may have here).
    let changed = "AAABAgMEBQYHCAkKCwwNDg/0y4wbpU4BNzpxOaVWf+6A+5mMoAKM4DBPmvvEZF/oRA==";
    lab.sql(&format!("update users set password_hash = '{changed}'")).await;
    sign_in(&client, "mobile").await.assert_error(401, "FORBIDDEN");
    lab.sql("update users set password_hash = null").await;
    sign_in(&client, "mobile").await.assert_error(401, "FORBIDDEN");
    // And back: our hash is of this very value, and good again.
    lab.sql(&format!("update users set password_hash = '{HASH}'")).await;
    assert_eq!(sign_in(&client, "mobile").await.status, 200);
    assert_eq!(own_hash(&lab).await, Some(own));
}

#[tokio::test]
async fn whom_the_legacy_system_keeps_out_stays_out() {
    let lab = lab().await;
    let server = serve(&lab, sessions_of_the_test()).await;
    let client = server.client("");
    let cases = [
        ("is_active = false", 401, ""),
        ("deleted_at = now()", 401, ""),
        ("password_hash = ''", 401, ""),
        ("password_hash = 'Нууц үг 1'", 401, ""),
        ("lockout_end = 'infinity'", 403, "locked"),
        ("change_password_on_first_logon = true", 403, "change-password"),
        ("property_owner_id = null", 403, "no-access"),
        ("property_owner_id = gen_random_uuid()", 403, "no-access"),
    ];
    for (set, status, reason) in cases {
        lab.sql(&format!("update users set {set}")).await;
        let answer = sign_in(&client, "mobile").await;
        answer.assert_error(status, "FORBIDDEN");
        let details = answer.body["error"]["details"]["reason"].as_str().unwrap_or_default();
        assert_eq!(details, reason, "{set}");
        // Why is only told to whoever knows the password.
        let stranger = attempt(&client, "Дорж 1", "another").await;
        stranger.assert_error(401, "FORBIDDEN");
        assert!(stranger.body["error"].get("details").is_none());
        lab.sql("delete from sign_in_failures").await;
        lab.sql(&format!(
            "update users set is_active = true, deleted_at = null, password_hash = '{HASH}', \
             lockout_end = null, change_password_on_first_logon = false, \
             property_owner_id = '{}' where id = '{}'",
            id(1, 1, 1),
            id(13, 1, 1)
        ))
        .await;
        assert_eq!(sign_in(&client, "mobile").await.status, 200, "after {set}");
    }
    lab.sql("update users set lockout_end = now() - interval '1 day'").await;
    assert_eq!(sign_in(&client, "mobile").await.status, 200, "a lock that is over");
}

#[tokio::test]
async fn who_is_staff_the_roles_say() {
    let lab = lab().await;
    let mut settings = sessions_of_the_test();
    settings.staff_roles = vec!["ROLE1".to_owned()];
    let (named, unnamed) = (serve(&lab, settings).await, serve(&lab, sessions_of_the_test()).await);
    let role = async |server: &crate::lab::Server| {
        sign_in(&server.client(""), "mobile").await.body["role"].clone()
    };
    assert_eq!(role(&named).await, "staff");
    assert_eq!(role(&unnamed).await, "owner");
    for policy in ["permission_policy = 'allow_all'", "is_administrative = true"] {
        lab.sql(&format!("update roles set {policy}")).await;
        assert_eq!(role(&unnamed).await, "staff", "{policy}");
        lab.sql("update roles set deleted_at = now()").await;
        assert_eq!(role(&unnamed).await, "owner", "a deleted role");
        lab.sql(
            "update roles set deleted_at = null, permission_policy = 'read_only_all', \
                 is_administrative = false",
        )
        .await;
        assert_eq!(role(&unnamed).await, "owner", "who only reads all there would write here");
    }
}

#[tokio::test]
async fn a_name_of_two_users_is_nobodys() {
    let lab = lab().await;
    let server = serve(&lab, sessions_of_the_test()).await;
    lab.sql(&format!(
        "update users set user_name = 'ДОРЖ 1', is_active = true, password_hash = '{HASH}'"
    ))
    .await;
    sign_in(&server.client(""), "mobile").await.assert_error(401, "FORBIDDEN");
}

#[tokio::test]
async fn failures_lock_a_name_whether_it_is_somebodys_or_not() {
    let lab = lab().await;
    let mut settings = sessions_of_the_test();
    settings.failures_max = 3;
    let server = serve(&lab, settings).await;
    let client = server.client("");
    let mut answers = Vec::new();
    for name in ["Дорж 1", "nobody"] {
        let mut heard = Vec::new();
        for _ in 0..3 {
            heard.push(attempt(&client, name, "wrong").await);
        }
        heard.push(attempt(&client, name, PASSWORD).await);
        let last = heard.last().expect("four");
        last.assert_error(429, "FORBIDDEN");
        let seconds: u64 =
            last.headers["retry-after"].to_str().expect("text").parse().expect("a number");
        assert!((890..=900).contains(&seconds), "{seconds}");
        assert_eq!(last.body["error"]["details"]["retryAfterSeconds"], seconds);
        let seen = |answer: &Answer| (answer.status, answer.body["error"]["code"].clone());
        answers.push(heard.iter().map(seen).collect::<Vec<_>>());
    }
    assert_eq!(answers[0], answers[1], "a stranger learns nothing");
    // No name stands anywhere.
    let rows: String = sqlx::query_scalar(
        "select string_agg(a::text, ' ') || (select string_agg(f::text, ' ') from sign_in_failures as f) \
         from audit_log as a",
    )
    .fetch_one(&lab.admin)
    .await
    .expect("rows");
    assert!(!rows.contains("Дорж") && !rows.contains("дорж") && !rows.contains("nobody"), "{rows}");
    assert_eq!(
        trail(&lab).await.iter().filter(|(action, _)| action == "sign-in-failed").count(),
        6
    );
    lab.sql("update sign_in_failures set locked_until = now()").await;
    attempt(&client, "Дорж 1", "wrong").await.assert_error(401, "FORBIDDEN");
    assert_eq!(sign_in(&client, "mobile").await.status, 200, "counted anew");
    let left: i64 = sqlx::query_scalar("select count(*) from sign_in_failures")
        .fetch_one(&lab.admin)
        .await
        .expect("a count");
    assert_eq!(left, 1, "success forgets the failures of its name");
}
