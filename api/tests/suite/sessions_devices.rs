//! Where push messages go.

use serde_json::json;

use crate::{
    lab::{Lab, id, owner, sessions_of_the_test},
    sessions::{lab, post, serve, sign_in, text},
};

async fn devices(lab: &Lab) -> Vec<(uuid::Uuid, String)> {
    sqlx::query_as("select user_id, fcm_token from devices order by fcm_token")
        .fetch_all(&lab.admin)
        .await
        .expect("rows")
}

#[tokio::test]
async fn a_device_is_its_users_and_its_sessions() {
    let lab = lab().await;
    let server = serve(&lab, sessions_of_the_test()).await;
    let signed_in = sign_in(&server.client(""), "mobile").await;
    let one = server.client(text(&signed_in, "accessToken"));
    let two = server.client(&lab.token(&owner(2)).await);
    let body = json!({ "fcm_token": "token-a", "platform": "android" });
    let made = post(&one, "/v2/devices", body.clone()).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let device = text(&made, "id").to_owned();
    let again =
        post(&one, "/v2/devices", json!({ "fcm_token": "token-a", "platform": "ios" })).await;
    assert_eq!((text(&again, "id"), &again.body["platform"]), (device.as_str(), &json!("ios")));
    assert_eq!(devices(&lab).await, [(id(13, 1, 1), "token-a".to_owned())]);
    let path = format!("/v2/devices/{device}");
    two.send("DELETE", &path, &[], "").await.assert_error(404, "NOT_FOUND");
    // It changes hands, and is another one then.
    let taken = post(&two, "/v2/devices", body.clone()).await;
    assert_ne!(text(&taken, "id"), device);
    assert_eq!(devices(&lab).await, [(id(13, 2, 1), "token-a".to_owned())]);
    one.send("DELETE", &path, &[], "").await.assert_error(404, "NOT_FOUND");
    let path = format!("/v2/devices/{}", text(&taken, "id"));
    assert_eq!(two.send("DELETE", &path, &[], "").await.status, 204);
    // It goes with the session that registered it.
    post(&one, "/v2/devices", body).await;
    assert_eq!(post(&one, "/auth/sign-out", json!({})).await.status, 204);
    assert_eq!(devices(&lab).await, []);
}

#[tokio::test]
async fn what_is_no_device_is_refused() {
    let lab = lab().await;
    let server = serve(&lab, sessions_of_the_test()).await;
    let client = server.client(&lab.token(&owner(1)).await);
    for (token, platform) in [
        (json!(""), "ios"),
        (json!("a b"), "ios"),
        (json!("a\u{0}"), "ios"),
        (json!("x".repeat(4097)), "ios"),
        (json!(null), "ios"),
        (json!("x"), "windows"),
    ] {
        let body = json!({ "fcm_token": token, "platform": platform });
        post(&client, "/v2/devices", body).await.assert_error(400, "VALIDATION_ERROR");
    }
    let body = json!({ "fcm_token": "x", "platform": "web" });
    post(&server.client(""), "/v2/devices", body).await.assert_error(401, "FORBIDDEN");
    for (path, status) in [("/v2/devices/x", 400), ("/v2/devices/%FF", 400)] {
        client.send("DELETE", path, &[], "").await.assert_error(status, "VALIDATION_ERROR");
    }
    for n in 0..25 {
        let body = json!({ "fcm_token": format!("token-{n:02}"), "platform": "web" });
        assert_eq!(post(&client, "/v2/devices", body).await.status, 201);
    }
    let kept = devices(&lab).await;
    assert_eq!((kept.len(), kept[0].1.as_str()), (20, "token-05"), "the latest");
}
