//! Every request of ours is counted before it costs anything.

use std::net::{IpAddr, Ipv4Addr};

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::Response,
};

use super::{Kind, Who};
use crate::{
    Error,
    identity::Token,
    language::Language,
    server::{App, Peer},
};

/// Counts the request for its address and its token, whatever that is good for, and leaves the
/// address for who needs it.
pub(crate) async fn guard(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<Peer>();
    let peer = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |Peer(peer)| peer.ip());
    let address = app.limits.proxies().client(peer, request.headers());
    request.extensions_mut().insert(address);
    let token = Token::of(request.headers()).ok();
    match count(&app, address.0, token).await {
        Ok(()) => next.run(request).await,
        Err(error) => error.respond(Language::of(request.headers())),
    }
}

async fn count(app: &App, address: IpAddr, token: Option<Token>) -> Result<(), Error> {
    app.limits.count_leased(Kind::Request, Who::Address(address)).await?;
    match token {
        Some(token) => app.limits.count_leased(Kind::Request, Who::Identity(token.as_hash())).await,
        None => Ok(()),
    }
}
