//! Refresh: rotation, reuse, the grace of the token before, and races.

use std::time::Duration;

use serde_json::json;

use crate::{
    client::{Answer, Client},
    lab::{Lab, Server, sessions_of_the_test},
    sessions::{lab, post, serve, sign_in, text, trail},
};

async fn refresh(client: &Client, token: &str) -> Answer {
    post(client, "/auth/token", json!({ "refreshToken": token })).await
}

async fn refreshed(client: &Client, token: &str) -> (String, String) {
    let answer = refresh(client, token).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    (text(&answer, "refreshToken").to_owned(), text(&answer, "accessToken").to_owned())
}

async fn begin() -> (Lab, Server, Client, String, String) {
    let lab = lab().await;
    let server = serve(&lab, sessions_of_the_test()).await;
    let client = server.client("");
    let answer = sign_in(&client, "mobile").await;
    let token = |name| text(&answer, name).to_owned();
    let (first, access) = (token("refreshToken"), token("accessToken"));
    (lab, server, client, first, access)
}

async fn contracts(server: &Server, access: &str) -> u16 {
    server.client(access).get("/v2/contracts").await.status.as_u16()
}

#[tokio::test]
async fn each_refresh_gives_another_pair() {
    let (lab, server, client, first, access) = begin().await;
    let (second, next_access) = refreshed(&client, &first).await;
    assert!(second != first && next_access != access);
    assert_eq!(contracts(&server, &next_access).await, 200);
    assert_eq!(contracts(&server, &access).await, 200, "requests under way are served");
    lab.sql("update sessions set previous_expires_at = now()").await;
    assert_eq!(contracts(&server, &access).await, 401);
    let (third, _) = refreshed(&client, &second).await;
    assert!(third != first && third != second);
    let sessions: i64 = sqlx::query_scalar("select count(*) from sessions")
        .fetch_one(&lab.admin)
        .await
        .expect("a count");
    assert_eq!(sessions, 1);
}

#[tokio::test]
async fn the_token_before_gets_the_same_successor_for_a_moment() {
    let (lab, server, client, first, _) = begin().await;
    let one = refreshed(&client, &first).await;
    assert_eq!(refreshed(&client, &first).await, one);
    assert_eq!(refreshed(&client, &first).await, one);
    assert_eq!(contracts(&server, &one.1).await, 200);
    // After the moment it is a copy.
    lab.sql(
        "update refresh_tokens set rotated_at = rotated_at - interval '31 seconds' \
             where rotated_at is not null",
    )
    .await;
    refresh(&client, &first).await.assert_error(401, "FORBIDDEN");
    assert_family_is_over(&lab, &server, &client, &one).await;
}

#[tokio::test]
async fn an_older_token_ends_the_family_even_in_that_moment() {
    let (lab, server, client, first, _) = begin().await;
    let second = refreshed(&client, &first).await;
    let third = refreshed(&client, &second.0).await;
    refresh(&client, &first).await.assert_error(401, "FORBIDDEN");
    assert_family_is_over(&lab, &server, &client, &third).await;
}

async fn assert_family_is_over(
    lab: &Lab,
    server: &Server,
    client: &Client,
    (token, access): &(String, String),
) {
    assert_eq!(contracts(server, access).await, 401);
    refresh(client, token).await.assert_error(401, "FORBIDDEN");
    let why: String = sqlx::query_scalar("select ended_by from sessions")
        .fetch_one(&lab.admin)
        .await
        .expect("a session");
    assert_eq!(why, "token-reused");
    let last = trail(lab).await.pop().expect("a line");
    assert_eq!(last, ("token-reused".to_owned(), "token-reused".to_owned()));
    // Others of the same user go on.
    assert_eq!(sign_in(client, "mobile").await.status, 200);
}

#[tokio::test]
async fn a_wrong_secret_burns_nothing() {
    let (_lab, _server, client, first, access) = begin().await;
    let mut short = first.clone();
    short.pop();
    for wrong in [format!("{first}x"), short, access] {
        refresh(&client, &wrong).await.assert_error(401, "FORBIDDEN");
    }
    refreshed(&client, &first).await;
}

#[tokio::test]
async fn twenty_at_once_get_one_successor() {
    let (lab, server, client, first, _) = begin().await;
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let (client, first) = (client.clone(), first.clone());
        tasks.spawn(async move { refreshed(&client, &first).await });
    }
    let mut pairs = tasks.join_all().await;
    pairs.dedup();
    let [one] = pairs.as_slice() else { panic!("{} successors", pairs.len()) };
    assert_eq!(contracts(&server, &one.1).await, 200);
    let generations: Vec<i32> =
        sqlx::query_scalar("select generation from refresh_tokens order by 1")
            .fetch_all(&lab.admin)
            .await
            .expect("rows");
    assert_eq!(generations, [0, 1]);
}

#[tokio::test]
async fn two_processes_with_one_key_agree_and_with_another_key_nothing_is_lost() {
    let (lab, _server, client, first, _) = begin().await;
    let one = refreshed(&client, &first).await;
    let twin = serve(&lab, sessions_of_the_test()).await;
    assert_eq!(refreshed(&twin.client(""), &first).await, one);
    let mut changed = sessions_of_the_test();
    changed.key = b"another".to_vec().into();
    let changed = serve(&lab, changed).await.client("");
    refresh(&changed, &first).await.assert_error(401, "FORBIDDEN");
    refreshed(&changed, &one.0).await;
}

#[tokio::test]
async fn a_session_ends_by_itself_when_idle_and_in_any_case() {
    let (lab, server, client, first, access) = begin().await;
    lab.sql("update sessions set token_expires_at = now()").await;
    assert_eq!(contracts(&server, &access).await, 401);
    let (second, access) = refreshed(&client, &first).await;
    assert_eq!(contracts(&server, &access).await, 200);
    lab.sql("update refresh_tokens set expires_at = now() where rotated_at is null").await;
    refresh(&client, &second).await.assert_error(401, "FORBIDDEN");
    assert_eq!(contracts(&server, &access).await, 200, "the access token lives its minutes");
    lab.sql("update sessions set expires_at = now()").await;
    assert_eq!(contracts(&server, &access).await, 401);
    // No refresh lives longer than the session, and none makes it longer.
    let mut short = sessions_of_the_test();
    (short.session_life, short.idle_life) = (Duration::from_secs(90), Duration::from_secs(600));
    let client = serve(&lab, short).await.client("");
    let answer = sign_in(&client, "mobile").await;
    assert_eq!(
        (&answer.body["expiresIn"], &answer.body["refreshExpiresIn"]),
        (&json!(90), &json!(90))
    );
    let answer = refresh(&client, text(&answer, "refreshToken")).await;
    assert!(answer.body["refreshExpiresIn"].as_u64().expect("a number") < 90);
}

#[tokio::test]
async fn a_refresh_sees_what_the_user_is_now() {
    let (lab, server, client, first, access) = begin().await;
    lab.sql("update roles set is_administrative = true").await;
    let (second, access_of_staff) = refreshed(&client, &first).await;
    assert_eq!(server.client(&access_of_staff).ids("/v2/contracts", 50).await.len(), 9);
    drop(access);
    lab.sql(
        "update roles set is_administrative = false; \
             update users set property_owner_id = null",
    )
    .await;
    refresh(&client, &second).await.assert_error(401, "FORBIDDEN");
    assert_eq!(contracts(&server, &access_of_staff).await, 401);
}

#[tokio::test]
async fn a_session_does_not_outlive_a_change_of_its_password() {
    let (lab, server, client, first, access) = begin().await;
    lab.sql("update users set password_hash = 'AAAA'").await;
    refresh(&client, &first).await.assert_error(401, "FORBIDDEN");
    assert_eq!(contracts(&server, &access).await, 401);
}
