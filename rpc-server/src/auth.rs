//! The identity of a peer, asked for in its handshake, before there is anything for it.

use std::{
    future::{Future, ready},
    pin::Pin,
    time::{Duration, SystemTime},
};

use rpc_core::{Peer, Principal, websocket::Rejection};

/// Says who a peer is, from its HTTP request and address, or refuses it.
///
/// Asked during the handshake: a peer that is refused gets an HTTP status and takes no memory of a session. What it waits for counts
/// towards [`Limits::hello_timeout`](rpc_core::Limits::hello_timeout). A client that connects again, for a session that goes on, is asked again.
///
/// ```
/// use rpc_server::{Authenticator, Identity, Peer, Principal, Rejection};
///
/// struct Accounts(/* a pool of connections to a database */);
///
/// impl Accounts {
///     async fn owner_of(&self, token: &str) -> Option<String> {
/// #       (token == "a7f3").then(|| "ann".to_owned())
///     }
/// }
///
/// impl Authenticator for Accounts {
///     async fn authenticate(&self, peer: &Peer) -> Result<Identity, Rejection> {
///         let token = peer.token().ok_or_else(|| Rejection::new(401, "a token is needed"))?;
///         let name = self.owner_of(token).await.ok_or_else(|| Rejection::new(401, "the token is not valid"))?;
///         Ok(Principal::named(name).into())
///     }
/// }
///
/// let builder = rpc_server::Server::builder().authenticator(Accounts());
/// ```
pub trait Authenticator: Send + Sync + 'static {
    /// The peer's identity.
    ///
    /// # Errors
    /// The answer for a peer that gets no connection: 401 if another token would help, 403 if none would.
    fn authenticate(&self, peer: &Peer) -> impl Future<Output = Result<Identity, Rejection>> + Send;
}

/// The identity of a peer, and how long it counts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Identity {
    /// The name that the peer proved to have, or nobody's.
    pub principal: Principal,
    /// When the identity stops to count; `None` for never.
    pub expires_at: Option<SystemTime>,
}

impl Identity {
    /// This identity, until then. Some time later ([`token_grace`](crate::ServerBuilder::token_grace)) the server ends the peer's
    /// connection with code 4401. Its session goes on, on a connection that the client opens with another token of the same principal.
    pub fn until(self, expires_at: SystemTime) -> Self {
        Self { expires_at: Some(expires_at), ..self }
    }

    /// The time that a connection of this identity may last. `None` for any; an error if it counts no more.
    pub(crate) fn lasts(&self, grace: Duration) -> Result<Option<Duration>, Rejection> {
        let Some(expires_at) = self.expires_at else { return Ok(None) };
        // The wall clock is looked at once: a clock that is set later ends no connection.
        match expires_at.duration_since(SystemTime::now()) {
            Ok(left) => Ok(Some(left.saturating_add(grace))),
            Err(_) => Err(Rejection::new(401, "the token has expired")),
        }
    }
}

impl From<Principal> for Identity {
    fn from(principal: Principal) -> Self {
        Self { principal, expires_at: None }
    }
}

type Answer<'a> = Pin<Box<dyn Future<Output = Result<Identity, Rejection>> + Send + 'a>>;

/// An authenticator of any type.
pub(crate) trait AnyAuthenticator: Send + Sync {
    fn ask<'a>(&'a self, peer: &'a Peer) -> Answer<'a>;
}

impl<A: Authenticator> AnyAuthenticator for A {
    fn ask<'a>(&'a self, peer: &'a Peer) -> Answer<'a> {
        Box::pin(self.authenticate(peer))
    }
}

impl<A: Authenticator> Authenticator for std::sync::Arc<A> {
    fn authenticate(&self, peer: &Peer) -> impl Future<Output = Result<Identity, Rejection>> + Send {
        (**self).authenticate(peer)
    }
}

/// An authenticator that decides at once.
pub(crate) struct AtOnce<F>(pub(crate) F);

impl<F> Authenticator for AtOnce<F>
where
    F: Fn(&Peer) -> Result<Principal, Rejection> + Send + Sync + 'static,
{
    fn authenticate(&self, peer: &Peer) -> impl Future<Output = Result<Identity, Rejection>> + Send {
        ready((self.0)(peer).map(Identity::from))
    }
}

/// Takes the token out of the query of the peer's request, and puts it where it is asked for: into the `authorization` header, if there is
/// no other token.
pub(crate) fn take_token_from_query(peer: &mut Peer, parameter: &str) {
    let Some((path, query)) = peer.target.split_once('?') else { return };
    let is_token = |pair: &&str| pair.split_once('=').is_some_and(|(name, _)| name == parameter);
    let token = query.split('&').find(is_token).and_then(|pair| pair.split_once('='));
    let Some(token) = token.map(|(_, token)| format!("Bearer {token}")) else { return };
    let rest: Vec<&str> = query.split('&').filter(|pair| !is_token(pair)).collect();
    let target = if rest.is_empty() { path.to_owned() } else { format!("{path}?{}", rest.join("&")) };
    if peer.token().is_none() {
        peer.headers.push(("authorization".into(), token));
    }
    peer.target = target;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_taken_out_of_the_query() {
        let taken = |target: &str, header: Option<&str>| {
            let mut peer = Peer::default();
            peer.target = target.into();
            peer.headers.extend(header.map(|value| ("authorization".into(), value.into())));
            take_token_from_query(&mut peer, "token");
            (peer.target.clone(), peer.token().map(str::to_owned))
        };
        let of = |target: &str, token: Option<&str>| (target.to_owned(), token.map(str::to_owned));
        assert_eq!(taken("/a?token=t-1&b=2", None), of("/a?b=2", Some("t-1")));
        assert_eq!(taken("/a?token=t", None), of("/a", Some("t")));
        assert_eq!(taken("/a?tokens=t&token", None), of("/a?tokens=t&token", None));
        assert_eq!(taken("/token=t", None), of("/token=t", None));
        // A header counts for more, and the query keeps no token in any case.
        assert_eq!(taken("/?token=t&token=u", Some("Bearer h")), of("/", Some("h")));
        assert_eq!(taken("/?token=t", Some("Basic h")), of("/", Some("t")));
    }

    #[test]
    fn tokens_come_in_a_header_or_a_subprotocol() {
        let token = |name: &str, value: &str| {
            let mut peer = Peer::default();
            peer.headers.push((name.into(), value.into()));
            peer.token().map(str::to_owned)
        };
        assert_eq!(token("authorization", "Bearer a.b-c").as_deref(), Some("a.b-c"));
        assert_eq!(token("authorization", "bearer  a").as_deref(), Some("a"));
        assert_eq!(token("sec-websocket-protocol", "rpc.v1, bearer.a.b").as_deref(), Some("a.b"));
        for (name, value) in [
            ("authorization", "Basic a"),
            ("authorization", "Bearer "),
            ("authorization", "Bearer"),
            ("authorization", "Béarer a"),
            ("sec-websocket-protocol", "rpc.v1"),
            ("x-authorization", "Bearer a"),
        ] {
            assert_eq!(token(name, value), None, "{name}: {value}");
        }
    }

    #[test]
    fn an_identity_that_counts_no_more_gets_no_connection() {
        let now = SystemTime::now();
        let identity = |at| Identity::from(Principal::Anonymous).until(at);
        let grace = Duration::from_secs(25);
        assert_eq!(Identity::default().lasts(grace), Ok(None));
        assert!(identity(now - Duration::from_secs(1)).lasts(grace).is_err());
        let hour = Duration::from_secs(3_600);
        let lasts = identity(now + hour).lasts(grace);
        assert!(matches!(lasts, Ok(Some(lasts)) if lasts > hour && lasts <= hour + grace), "{lasts:?}");
    }
}
