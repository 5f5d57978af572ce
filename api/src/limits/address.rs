//! Whence a request came.

use std::net::IpAddr;

use axum::http::HeaderMap;
use ipnet::IpNet;

/// The client's address, as far as it can be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Address(pub(crate) IpAddr);

/// Proxies of the operator, whose word on the address before them is taken.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proxies(Vec<IpNet>);

/// A text that names no network.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is neither an address nor a network such as 10.0.0.0/8")]
pub struct ProxiesError(String);

impl std::str::FromStr for Proxies {
    type Err = ProxiesError;

    /// Addresses and networks with commas between.
    fn from_str(text: &str) -> Result<Self, ProxiesError> {
        let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
        let network = |name: &str| {
            let network = name.parse().or_else(|_| name.parse::<IpAddr>().map(IpNet::from));
            network.map_err(|_| ProxiesError(name.to_owned()))
        };
        names.map(network).collect::<Result<_, _>>().map(Self)
    }
}

impl Proxies {
    fn trusts(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }

    /// The nearest address that is not a trusted proxy's. `X-Forwarded-For` is read from its end,
    /// where the nearest proxy wrote: what stands before the first stranger is that stranger's
    /// own claim.
    pub(crate) fn client(&self, peer: IpAddr, headers: &HeaderMap) -> Address {
        let mut nearest = peer.to_canonical();
        if self.trusts(nearest) {
            let values = headers.get_all("x-forwarded-for").iter().rev();
            let hops = values.filter_map(|value| value.to_str().ok());
            for hop in hops.flat_map(|value| value.rsplit(',')) {
                let Some(address) = parse(hop.trim()) else { break };
                nearest = address;
                if !self.trusts(nearest) {
                    break;
                }
            }
        }
        Address(nearest)
    }
}

/// An address, with or without a port.
fn parse(hop: &str) -> Option<IpAddr> {
    let address = hop.parse::<IpAddr>().ok();
    let address = address.or_else(|| hop.parse::<std::net::SocketAddr>().ok().map(|at| at.ip()));
    address.map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_strangers_claims_are_not_taken() {
        let proxies: Proxies = "10.0.0.0/8, ::1".parse().expect("networks");
        let cases: [(&str, &[&str], &str); 9] = [
            ("9.9.9.9", &["1.1.1.1"], "9.9.9.9"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &["1.1.1.1"], "1.1.1.1"),
            ("10.0.0.1", &["1.1.1.1, 2.2.2.2"], "2.2.2.2"),
            ("10.0.0.1", &["1.1.1.1, 2.2.2.2, 10.9.9.9"], "2.2.2.2"),
            ("10.0.0.1", &["1.1.1.1", "2.2.2.2"], "2.2.2.2"),
            ("10.0.0.1", &["1.1.1.1, garbage"], "10.0.0.1"),
            ("::ffff:10.0.0.1", &["[2001:db8::1]:80"], "2001:db8::1"),
            ("::1", &["10.0.0.2"], "10.0.0.2"),
        ];
        for (peer, forwarded, expected) in cases {
            let mut headers = HeaderMap::new();
            for value in forwarded {
                headers.append("x-forwarded-for", value.parse().expect("a header"));
            }
            let client = proxies.client(peer.parse().expect("an address"), &headers);
            assert_eq!(client.0.to_string(), expected, "{peer} {forwarded:?}");
        }
    }

    #[test]
    fn a_mistake_is_named() {
        let error = "10.0.0.0/8, proxy.internal".parse::<Proxies>().expect_err("no network");
        assert!(error.to_string().contains("`proxy.internal`"));
        assert_eq!("".parse(), Ok(Proxies::default()));
    }
}
